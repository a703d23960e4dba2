// Numbers as people read them. Each function gives the figure and its unit apart.

const DASH = '–';

/** Three significant digits and a prefix: 950, 1.25 k, 12.5 M. */
function scaled(value, base, prefixes) {
  let step = 0;
  let rest = Math.abs(value);
  while (rest >= base && step < prefixes.length - 1) {
    rest /= base;
    step++;
  }
  const digits = rest >= 100 || (step === 0 && Number.isInteger(rest)) ? 0 : rest >= 10 ? 1 : 2;
  return [`${Number((Math.sign(value) * rest).toFixed(digits))}`, prefixes[step]];
}

export function count(value, unit = '') {
  if (value === null || value === undefined) return [DASH, ''];
  const [figure, prefix] = scaled(value, 1000, ['', 'k', 'M', 'G']);
  return [figure, `${prefix}${unit}`];
}

export function bytes(value, unit = '') {
  if (value === null || value === undefined) return [DASH, ''];
  const [figure, prefix] = scaled(value, 1000, ['B', 'kB', 'MB', 'GB']);
  return [figure, `${prefix}${unit}`];
}

export function microseconds(us) {
  if (us === null || us === undefined) return [DASH, ''];
  const [figure, unit] = scaled(us, 1000, ['µs', 'ms']);
  return us >= 1e6 ? scaled(us / 1e6, 1000, ['s']) : [figure, unit];
}

export function milliseconds(ms) {
  if (ms === null || ms === undefined) return [DASH, ''];
  return ms >= 1000 ? scaled(ms / 1000, 1000, ['s']) : [`${Number(ms.toFixed(ms < 10 ? 1 : 0))}`, 'ms'];
}

export function percent(share) {
  if (share === null || share === undefined) return [DASH, ''];
  const value = share * 100;
  return [`${Number(value.toFixed(value < 10 ? 1 : 0))}`, '%'];
}

/** In one piece, as on an axis: "1.2 k/s", "0/s". */
export function joined([figure, unit]) {
  return unit === '' || unit.startsWith('/') ? figure + unit : `${figure} ${unit}`;
}

/** Every digit, in groups of three. */
export function exact(value) {
  return value.toLocaleString('en-US').replaceAll(',', '\u202f');
}

export function duration(seconds) {
  const days = Math.floor(seconds / 86400);
  const hours = Math.floor(seconds / 3600) % 24;
  const minutes = Math.floor(seconds / 60) % 60;
  if (days > 0) return `${days} d ${hours} h`;
  if (hours > 0) return `${hours} h ${minutes} min`;
  return minutes > 0 ? `${minutes} min ${Math.floor(seconds % 60)} s` : `${Math.floor(seconds)} s`;
}

export function clock(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString('en-GB');
}
