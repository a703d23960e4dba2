// Counts what arrives at a port, by where it comes from. A filter in tcpdump's language says what counts; the kernel drops the
// rest before it costs anything.
//
//   node examples/counter.ts PORT FILTER      Node 22.18 and later; for Node 20 see docs/examples.md
//   node examples/counter.ts 5300 'src net 127.0.0.0/8 and payload len > 4'
//   echo hello | socat - UDP:127.0.0.1:5300   package socat
import { type Batch, createSocket, type Socket } from 'ksocket';

export interface CounterOptions {
  /** Default `::`, which is IPv4, too. */
  address?: string;
  port: number;
  /** Without one everything counts. */
  filter?: string;
}

export interface Count {
  datagrams: number;
  bytes: number;
}

export interface Counter {
  socket: Socket;
  /** By address, in the order in which they were first seen. */
  counts: ReadonlyMap<string, Count>;
}

/** Counts from now on, until its socket is closed. */
export function countDatagrams({ address = '::', port, filter }: CounterOptions): Counter {
  const counts = new Map<string, Count>();
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  if (filter !== undefined) socket.filter(filter); // before bind(): nothing slips through
  socket.on('batch', (batch: Batch) => {
    for (let i = 0; i < batch.length; i++) {
      const from = batch.address(i);
      const count = counts.get(from) ?? { datagrams: 0, bytes: 0 };
      count.datagrams++;
      count.bytes += batch.size(i);
      counts.set(from, count);
    }
  });
  socket.bindSync({ port, address });
  return { socket, counts };
}

if (process.argv[1] === import.meta.filename) {
  const [port, ...words] = process.argv.slice(2);
  const { socket, counts } = countDatagrams({ port: Number(port), filter: words.join(' ') || undefined });
  console.log(`counting at port ${socket.address().port}`);
  let printed = 0;
  setInterval(() => {
    const { rxDatagrams } = socket.stats();
    if (rxDatagrams === printed) return;
    printed = rxDatagrams;
    for (const [from, { datagrams, bytes }] of counts) console.log(`${from}: ${datagrams} datagrams, ${bytes} bytes`);
  }, 1000);
}
