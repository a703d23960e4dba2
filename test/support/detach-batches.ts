// A program that attacks the memory that 'batch' listeners are lent.

/** Tries to detach a borrowed Buffer's memory in every way that the runtime has, in each of 200 'batch' events, while
 * datagrams keep coming; every one of them has to arrive whole. */
export async function detachBatches(): Promise<void> {
  const { createSocket } = await import('ksocket');
  const { Worker, MessageChannel } = await import('node:worker_threads');
  const channel = new MessageChannel();
  const worker = new Worker('setInterval(() => {}, 1000)', { eval: true });
  // biome-ignore lint/suspicious/noExplicitAny: not all of these are in every Node
  type Memory = any;
  const ways: [string, (memory: Memory, view: Buffer) => unknown][] = [
    ['structuredClone', (memory) => structuredClone(memory, { transfer: [memory] })],
    ['structuredClone of a view', (memory, view) => structuredClone(view, { transfer: [memory] })],
    ['MessagePort', (memory) => channel.port1.postMessage(memory, [memory])],
    ['Worker', (memory, view) => worker.postMessage(view, [memory])],
    ['transfer', (memory) => memory.transfer()],
    ['transfer to less', (memory) => memory.transfer(1)],
    ['transferToFixedLength', (memory) => memory.transferToFixedLength()],
    ['resize', (memory) => memory.resize(0)],
    [
      'a byte stream',
      (_, view) => new ReadableStream({ type: 'bytes', start: (to: Memory) => to.enqueue(view as Memory) } as Memory),
    ],
    [
      'a byte stream read into it',
      (_, view) => {
        const stream = new ReadableStream({ type: 'bytes' } as Memory) as Memory;
        stream
          .getReader({ mode: 'byob' })
          .read(view)
          .catch(() => {});
      },
    ],
  ];
  const socket = createSocket('udp4');
  const sender = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  await new Promise<void>((resolve) => sender.bind(0, '127.0.0.1', resolve));
  const { port } = socket.address();
  let sent = 0;
  let received = 0;
  const lost: string[] = [];
  const send = () => {
    for (let i = 0; i < 20; i++, sent++) sender.send(Buffer.alloc(1000, sent & 255), port, '127.0.0.1');
  };
  send();
  await new Promise<void>((resolve) => {
    socket.on('batch', (batch) => {
      const [name, detach] = ways[received % ways.length];
      const view = batch.data(0);
      const { buffer } = view;
      for (const memory of [buffer, batch.bytes.buffer]) {
        try {
          detach(memory, view);
        } catch {} // refused
        if (memory.byteLength === 0 || view.length !== 1000) lost.push(name);
      }
      for (let i = 0; i < batch.length; i++) {
        const data = batch.data(i);
        if (data.length !== 1000 || data.some((byte) => byte !== (received & 255))) throw new Error('damaged');
        received++;
      }
      if (received < sent) return;
      if (received >= 1000) resolve();
      else send();
    });
  });
  console.log(JSON.stringify({ received, lost }));
  process.exit();
}
