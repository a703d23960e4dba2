// An ordinary program. What it prints must not depend on whose sockets it has.
import { createSocket, Socket } from 'node:dgram';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { inherits } from 'node:util';

const before = new Set(Object.getOwnPropertyNames(globalThis));
process.on('warning', (warning) => console.log('a warning', warning.message));

const dgram = createRequire(import.meta.url)('dgram');
console.log(Object.keys(dgram).filter((name) => !name.startsWith('_')));
console.log(typeof Socket, Socket.name, Socket.length, Object.getPrototypeOf(Socket).name);

// As in old programs.
// biome-ignore lint/suspicious/noExplicitAny: they had no types
const Old: any = function Old(this: object) {
  dgram.Socket.call(this, 'udp4');
};
inherits(Old, dgram.Socket);
const old = new Old();
console.log(old instanceof dgram.Socket, old.type, old.constructor.name);

class Newer extends (Socket as unknown as new (options: object) => Socket) {
  received: string[] = [];
  constructor() {
    super({ type: 'udp4' });
    this.on('message', (data) => this.received.push(data.toString()));
  }
}
const newer = new Newer();
newer.bind(0, '127.0.0.1');
await once(newer, 'listening');

const sender = createSocket('udp4');
sender.send('hello', newer.address().port, '127.0.0.1', (...args) => console.log('sent', args));
const [data, rinfo] = await once(newer, 'message');
console.log(newer.received, newer instanceof Socket, newer instanceof Newer);
console.log(data.buffer.byteLength, data.byteOffset, data.length, data.buffer.constructor.name, Object.keys(rinfo));
structuredClone(data.buffer, { transfer: [data.buffer] });
console.log('taken', data.length);

// Several at once have a memory each, too.
for (const text of ['one', 'two', 'three']) sender.send(text, newer.address().port, '127.0.0.1');
const buffers: Buffer[] = [];
while (buffers.length < 3) buffers.push((await once(newer, 'message'))[0]);
console.log(buffers.map((buffer) => [buffer.byteOffset, buffer.buffer.byteLength, buffer.toString()]));

old.bind(() => old.close());
await once(old, 'close');
for (const socket of [newer, sender]) {
  socket.close();
  await once(socket, 'close');
}
console.log(
  'new globals',
  Object.getOwnPropertyNames(globalThis).filter((name) => !before.has(name)),
);
