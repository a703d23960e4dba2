// Sockets and bare handles that go to a child over IPC, where they are bound, answer and are closed; some when the parent
// has closed its own already. Says what the child, and who asks it, see.
import { type ChildProcess, fork, type SendHandle } from 'node:child_process';
import cluster from 'node:cluster';
import dgram, { type Socket } from 'node:dgram';
import { once } from 'node:events';

type Type = 'udp4' | 'udp6';

/** The bare handle of a socket. */
function handleOf(socket: Socket): SendHandle {
  const key = Object.getOwnPropertySymbols(socket).find(({ description }) => description === 'state symbol');
  return (socket as unknown as Record<symbol, { handle: SendHandle }>)[key as symbol].handle;
}

/** In the child. */
function serve(socket: Socket, text: string): void {
  const events: string[] = [];
  for (const event of ['listening', 'close']) socket.on(event, () => events.push(event));
  socket.on('message', (data, rinfo) => {
    socket.send(`${text} got ${data}`, rinfo.port, rinfo.address, () => {
      socket.close(() => {
        setImmediate(() => process.send?.(`${text}: ${events}`));
      });
    });
  });
}

async function bound(type: Type): Promise<Socket> {
  const socket = dgram.createSocket(type).bind(0, type === 'udp4' ? '127.0.0.1' : '::1');
  await once(socket, 'listening');
  return socket;
}

async function pass(child: ChildProcess, text: string, type: Type, bare: boolean, closeFirst: boolean): Promise<void> {
  const socket = await bound(type);
  const { port, address } = socket.address();
  const taken = once(child, 'message');
  child.send(`${text} ${type}`, bare ? handleOf(socket) : socket, (error) => {
    if (error) console.log(text, error.message);
  });
  if (closeFirst) socket.close();
  console.log(`${(await taken)[0]}`.replace(`${port}`, 'PORT'));
  if (!closeFirst) socket.close();

  const client = await bound(type);
  const ended = once(child, 'message');
  client.send('hello', port, address);
  const [answer, rinfo] = await once(client, 'message');
  console.log(`${answer}`, rinfo.port === port);
  console.log(`${(await ended)[0]}`);
  client.close();
  const again = dgram.createSocket(type).bind(port, address);
  await once(again, 'listening'); // nobody holds it any more
  again.close();
}

if (process.argv[2] === 'child' || cluster.isWorker) {
  process.on('message', (text: string, passed: Socket | undefined) => {
    if (passed === undefined) return process.disconnect?.();
    const [name, type] = text.split(' ');
    const isSocket = passed instanceof dgram.Socket;
    const socket = isSocket ? passed : dgram.createSocket(type as Type);
    if (!isSocket) socket.bind(passed);
    serve(socket, name);
    process.send?.(`${text} ${isSocket} ${Object.values(socket.address())}`);
  });
  process.send?.('ready');
} else {
  const worker = cluster.fork();
  const children: [string, ChildProcess][] = [
    ['child', fork(import.meta.filename, ['child'])],
    ['worker', worker.process],
  ];
  await Promise.all(children.map(([, child]) => once(child, 'message')));
  for (const [name, child] of children) {
    for (const type of ['udp4', 'udp6'] as const) {
      await pass(child, `${name}-socket`, type, false, false);
      await pass(child, `${name}-closed`, type, false, true);
      await pass(child, `${name}-handle`, type, true, false);
    }
    child.send('end');
    console.log(await once(child, 'exit'));
  }
}
