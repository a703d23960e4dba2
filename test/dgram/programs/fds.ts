// bind({ fd }) with what the parent has put at descriptors: 3 is a bound UDP socket, 4 a TCP one, 5 a pipe, 6 a file.
import dgram from 'node:dgram';
import { once } from 'node:events';

// biome-ignore lint/suspicious/noExplicitAny: an error of any kind
const show = (error: any) => `${error} code ${error.code} errno ${error.errno} syscall ${error.syscall}`;

const socket = dgram.createSocket({ type: 'udp4', recvBufferSize: 10_000, sendBufferSize: 11_000 });
let listening = false;
socket.on('listening', () => {
  listening = true;
});
socket.bind({ fd: 3 });
console.log('listening within bind', listening, socket.address().address, socket.address().family);
console.log('buffers', socket.getRecvBufferSize(), socket.getSendBufferSize());

for (const fd of [3, 4, 5, 6, 1_000_000]) {
  const other = dgram.createSocket('udp4');
  try {
    other.bind({ fd });
    console.log(fd, 'bound');
  } catch (error) {
    console.log(fd, show(error));
  }
  other.close();
  await once(other, 'close');
}

const peer = dgram.createSocket('udp4');
peer.send('question', socket.address().port, '127.0.0.1');
const [data, rinfo] = await once(socket, 'message');
socket.send(`answer to ${data}`, rinfo.port, rinfo.address);
const [answer] = await once(peer, 'message');
console.log(`${answer}`);
peer.close();
socket.close();
