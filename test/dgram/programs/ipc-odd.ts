// child.send(message, socket) of sockets that have no descriptor to send, and of one that is sent twice.
import { fork } from 'node:child_process';
import dgram, { type Socket } from 'node:dgram';
import { once } from 'node:events';

if (process.argv[2] === 'child') {
  process.on('message', (text: string, socket?: Socket) => {
    process.send?.(`${text}: ${socket === undefined ? 'no socket' : socket.address().address}`);
    socket?.close();
    if (text === 'end') process.disconnect?.();
  });
  process.send?.('ready');
} else {
  const child = fork(import.meta.filename, ['child']);
  await once(child, 'message');
  const send = (text: string, socket?: Socket) =>
    new Promise<void>((resolve) => {
      child.send(text, socket, (error) => {
        console.log(text, error === null ? 'sent' : error.message);
        resolve();
      });
    });
  const [unbound, closed, bound] = Array.from({ length: 3 }, () => dgram.createSocket('udp4'));
  await send('unbound', unbound); // fails, and nothing arrives
  closed.close();
  bound.bind(0, '127.0.0.1');
  await once(bound, 'listening');
  for (const [text, socket] of [['closed', closed], ['bound', bound], ['again', bound], ['end']] as const) {
    const answered = once(child, 'message');
    await send(text, socket);
    console.log((await answered)[0]);
  }
  unbound.close();
  bound.close();
}
