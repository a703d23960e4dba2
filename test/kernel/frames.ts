// A program: one case of frames that are not what they look like, in the network namespace that it is started in (frames.once.test.ts).
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import type { createServer, ServerOptions } from 'ksocket';
import { answeredAll, ask, becomes, modes, portOf } from '../support/kernel.js';
import { hosts, OURS_V4, serving as servingAnywhere } from '../support/kernel-server.js';
import { ip, OURS, THEIRS } from '../support/second-host.js';

const serving = (options: ServerOptions = {}) => servingAnywhere({ kernel: { interfaces: [OURS] }, ...options });
const answering = (server: ReturnType<typeof createServer>) => server.stats().answering;

/** Sees what comes in by an interface, from before where it is run on. */
const SNIFFER = `
import socket, sys
one = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
one.bind((sys.argv[1], 0))
one.settimeout(float(sys.argv[2]))
`;

/** An Ethernet frame with "ask 0" to the server, of this source and to this destination; the hardware address its answer is to, or "". */
const FRAME = `${SNIFFER}
import struct
def total(data):
    out = sum(struct.unpack('!%dH' % (len(data) // 2), data))
    while out > 65535: out = (out & 65535) + (out >> 16)
    return out
to, source, port = bytes.fromhex(sys.argv[3]), bytes.fromhex(sys.argv[4]), int(sys.argv[5])
address, other = socket.inet_aton('192.0.2.1'), socket.inet_aton('192.0.2.9')
data = b'ask 00'
udp = struct.pack('!HHHH', 4000, port, 8 + len(data), 0) + data
ip = struct.pack('!BBHHHBBH', 69, 0, 20 + len(udp), 0, 16384, 64, 17, 0) + other + address
ip = ip[:10] + struct.pack('!H', 65535 - total(ip)) + ip[12:]
one.send(to + source + b'\\x08\\x00' + ip + udp)
try:
    while True:
        frame = one.recv(2000)
        if frame[12:14] == b'\\x08\\x00' and frame[23] == 17 and frame[36:38] == struct.pack('!H', 4000):
            print(frame[:6].hex())
            break
except TimeoutError:
    print('')
`;

/** Asks by a socket, whose datagram nobody sums on a cable; what the answer's checksum is. */
const SUMS = `${SNIFFER}
import struct
SOL_PACKET, PACKET_AUXDATA, CSUMNOTREADY = 263, 8, 8
one.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asking.connect(('192.0.2.1', int(sys.argv[3])))
asking.send(b'ask 0')
while True:
    frame, more, flags, address = one.recvmsg(2000, 100)
    if frame[12:14] != b'\\x08\\x00' or frame[23] != 17 or frame[34:36] != struct.pack('!H', int(sys.argv[3])): continue
    pseudo = frame[26:34] + struct.pack('!HH', 17, len(frame) - 34)
    total = sum(struct.unpack('!6H', pseudo))
    while total > 65535: total = (total & 65535) + (total >> 16)
    status, = struct.unpack('I', more[0][2][:4])
    print(f'to be summed: {status & CSUMNOTREADY != 0}, of addresses and length: {struct.unpack("!H", frame[40:42])[0] == total}')
    break
`;

const hardwareOf = (show: string) => (JSON.parse(show)[0].address as string).replaceAll(':', '');

export const cases: Record<string, () => Promise<void>> = {
  'datagrams that come joined over a cable are answered each, by the thread': async () => {
    await using host = await hosts();
    const server = serving();
    await server.start();
    const asked = await ask(host.before, OURS_V4, portOf(server), 200, 2000, '10');
    assert.ok(answeredAll(asked), JSON.stringify(asked));
    const { replies, kernelReplies, kernelPassed } = answering(server);
    assert.deepEqual([replies, kernelReplies], [200, 0]);
    assert.ok(kernelPassed >= 20, `${kernelPassed}`);
    assert.ok(answeredAll(await ask(host.before, OURS_V4, portOf(server), 100)));
    assert.equal(answering(server).kernelReplies, 100);
    await server.stop();
  },

  'an interface that takes tags off and puts none on is the thread’s, until it takes none off': async () => {
    await using host = await hosts();
    execFileSync('ethtool', ['-K', OURS, 'txvlan', 'off'], { stdio: 'ignore' });
    const server = serving();
    await server.start();
    assert.deepEqual(modes(server), [[OURS, null]]);
    assert.match(server.kernel.interfaces[0].reason ?? '', /^ENOTSUP: it takes VLAN tags off .*rxvlan off/);
    assert.ok(answeredAll(await ask(host.before, OURS_V4, portOf(server), 20)));
    execFileSync('ethtool', ['-K', OURS, 'rxvlan', 'off'], { stdio: 'ignore' });
    await becomes(server, ({ state }) => state === 'attached');
    assert.ok(answeredAll(await ask(host.before, OURS_V4, portOf(server), 20)));
    assert.equal(answering(server).kernelReplies, 20);
    await server.stop();
  },

  'frames for another machine, and from a group or from nobody, are not answered': async () => {
    await using host = await hosts();
    const server = serving({ address: '0.0.0.0' });
    await server.start();
    ip('link', 'set', OURS, 'promisc', 'on');
    const ours = hardwareOf(ip('-j', 'link', 'show', 'dev', OURS));
    const send = (to: string, from: string) => {
      const [command, ...args] = [...host.before, 'python3', '-c', FRAME, THEIRS, '0.3', to, from, `${portOf(server)}`];
      return execFileSync(command, args, { encoding: 'utf8', env: { ...process.env, LD_PRELOAD: '' } }).trim();
    };
    const somebody = '020000000009';
    assert.equal(send(ours, somebody), somebody);
    assert.equal(send('020000000008', somebody), '');
    assert.equal(send(ours, '030000000009'), '');
    assert.equal(send(ours, '000000000000'), '');
    assert.equal(answering(server).kernelReplies, 1);
    // The address of the interface is followed.
    ip('link', 'set', OURS, 'address', '02:00:00:00:00:77');
    let answer = '';
    for (let i = 0; i < 50 && answer === ''; i++) answer = send('020000000077', somebody);
    assert.equal(answer, somebody);
    assert.equal(send(ours, somebody), '');
    await server.stop();
  },

  'the answer to what a card is still to sum is for a card to sum, too': async () => {
    await using host = await hosts();
    const server = serving({ address: '0.0.0.0' });
    await server.start();
    const [command, ...args] = [...host.before, 'python3', '-c', SUMS, THEIRS, '3', `${portOf(server)}`];
    const said = execFileSync(command, args, { encoding: 'utf8', env: { ...process.env, LD_PRELOAD: '' } }).trim();
    assert.equal(said, 'to be summed: True, of addresses and length: True');
    assert.equal(answering(server).kernelReplies, 1);
    await server.stop();
  },
};

const body = cases[process.argv[2]];
if (body !== undefined) {
  await body();
  console.log(`${process.argv[2]}: done`);
}
