// child.send(message, socket): the child answers on the parent's socket. Says what both saw.
import { fork } from 'node:child_process';
import dgram, { type Socket } from 'node:dgram';
import { once } from 'node:events';

interface Seen {
  text: string;
  instance: boolean;
  address: string;
  ksocket: boolean;
}

if (process.argv[2] === 'child') {
  process.on('message', (text: string, socket: Socket) => {
    if (socket === undefined) return;
    process.send?.({
      text,
      instance: socket instanceof dgram.Socket,
      address: socket.address().address,
      ksocket: 'sendMany' in socket,
    } satisfies Seen);
    socket.on('message', (data, rinfo) => {
      socket.send(`child got ${data}`, rinfo.port, rinfo.address, () => {
        socket.close();
        process.disconnect?.();
      });
    });
  });
  process.send?.('ready');
} else {
  const child = fork(import.meta.filename, ['child']);
  // With --import, Node takes the very first message before it has run the imports.
  if (process.argv[2] !== 'at once') await once(child, 'message');
  const socket = dgram.createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  child.send('a socket', socket);
  let seen: Seen | string;
  do [seen] = await once(child, 'message');
  while (typeof seen === 'string');
  console.log(JSON.stringify({ ...seen, parent: 'sendMany' in socket }));
  socket.close();

  const peer = dgram.createSocket('udp4');
  const answered = once(peer, 'message');
  peer.send('hello', port, '127.0.0.1');
  const [data, rinfo] = await answered;
  console.log(`${data}`, rinfo.port === port);
  peer.close();
  const [code] = await once(child, 'exit');
  console.log('exit', code);
}
