// A tunnel as JavaScript has it: node:dgram, and descriptor 3, a TAP device, by node:fs. VXLAN, one remote: `javascript.mjs REMOTE`.
import dgram from 'node:dgram';
import fs from 'node:fs';
import process from 'node:process';

const DEVICE = 3;
const PORT = 4789;
const READS = 2; // each takes a thread of libuv's pool, which has four
const HEADER = Buffer.from('0800000000000700', 'hex');

const remote = process.argv[2];
const socket = dgram.createSocket({ type: 'udp4', recvBufferSize: 4 << 20, sendBufferSize: 4 << 20 });
socket.on('message', (datagram, { address }) => {
  if (address !== remote || datagram.length < HEADER.length + 14) return;
  if (datagram[0] !== HEADER[0] || datagram.readUIntBE(4, 3) !== HEADER.readUIntBE(4, 3)) return;
  fs.write(DEVICE, datagram, HEADER.length, datagram.length - HEADER.length, null, () => {});
});

function read() {
  const buffer = Buffer.allocUnsafe(HEADER.length + 9216);
  HEADER.copy(buffer);
  fs.read(DEVICE, buffer, HEADER.length, buffer.length - HEADER.length, null, (error, bytes) => {
    if (error) throw error;
    socket.send(buffer.subarray(0, HEADER.length + bytes), PORT, remote, () => {});
    read();
  });
}

socket.bind(PORT, () => {
  for (let i = 0; i < READS; i++) read();
});
