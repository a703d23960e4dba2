// What is derived from the raw lines of the programs, and how each number is called and printed.

/** @param {{ count: number, seconds: number }} result */
export function rateOf(result) {
  if (result.count === 0) throw new Error('counted no datagram at all');
  return result.count / result.seconds;
}

/** CPU time of all threads, user and system, in ns a datagram. */
export function cpuNsOf(result) {
  return result.count > 0 ? ((result.cpuUserUs + result.cpuSysUs) * 1000) / result.count : null;
}

export function coresOf(result) {
  return (result.cpuUserUs + result.cpuSysUs) / 1e6 / result.seconds;
}

const megabytes = (bytes) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

/**
 * `judged`: a rival that does better there is named.
 * @type {Record<string, { label: string, better: 'higher' | 'lower', judged?: true, format: (value: number) => string }>}
 */
export const metrics = {
  rate: { label: 'datagrams/s', better: 'higher', judged: true, format: formatRate },
  gbits: { label: 'Gbit/s', better: 'higher', judged: true, format: (v) => v.toFixed(2) },
  socketRate: { label: 'sockets/s', better: 'higher', judged: true, format: formatRate },
  openUs: { label: 'µs a socket', better: 'lower', judged: true, format: (v) => v.toFixed(1) },
  socketBytes: { label: 'RSS bytes a socket', better: 'lower', judged: true, format: (v) => v.toFixed(0) },
  cpuNs: { label: 'CPU ns/datagram', better: 'lower', judged: true, format: (v) => v.toFixed(0) },
  sendCpuNs: {
    label: 'sender’s CPU ns/datagram',
    better: 'lower',
    judged: true,
    format: (v) => v.toFixed(0),
  },
  cores: { label: 'cores used', better: 'lower', format: (v) => v.toFixed(2) },
  offered: { label: 'offered/s', better: 'higher', format: formatRate },
  delivered: { label: 'delivered/s', better: 'higher', format: formatRate },
  lost: { label: 'datagrams lost', better: 'lower', judged: true, format: (v) => v.toFixed(0) },
  p50Us: { label: 'p50 µs', better: 'lower', judged: true, format: (v) => v.toFixed(1) },
  p99Us: { label: 'p99 µs', better: 'lower', judged: true, format: (v) => v.toFixed(1) },
  p999Us: { label: 'p99.9 µs', better: 'lower', format: (v) => v.toFixed(1) },
  maxUs: { label: 'max µs', better: 'lower', format: (v) => v.toFixed(0) },
  timeouts: { label: 'time-outs', better: 'lower', judged: true, format: (v) => v.toFixed(0) },
  sameCpu: { label: 'on the client’s core', better: 'higher', format: (v) => `${Math.round(v * 100)} %` },
  lagWorstMs: { label: 'worst timer lag ms', better: 'lower', judged: true, format: (v) => v.toFixed(1) },
  lagMedianMs: { label: 'median timer lag ms', better: 'lower', judged: true, format: (v) => v.toFixed(2) },
  rssGrowth: { label: 'RSS, last third ÷ middle third', better: 'lower', judged: true, format: (v) => v.toFixed(3) },
  answerDelayS: { label: 's late to answer', better: 'lower', format: (v) => v.toFixed(1) },
  rssPeakBytes: { label: 'RSS peak', better: 'lower', judged: true, format: megabytes },
  importMs: { label: 'import ms', better: 'lower', format: (v) => v.toFixed(1) },
  firstMs: { label: 'first datagram ms', better: 'lower', judged: true, format: (v) => v.toFixed(1) },
  rssBytes: { label: 'RSS', better: 'lower', judged: true, format: megabytes },
  rssAddedBytes: { label: 'RSS peak over idle', better: 'lower', format: megabytes },
};

export function formatRate(value) {
  if (value >= 1e6) return `${(value / 1e6).toFixed(2)} M`;
  if (value >= 1e3) return `${(value / 1e3).toFixed(1)} k`;
  return value.toFixed(0);
}
