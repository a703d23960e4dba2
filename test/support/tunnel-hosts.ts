// Two hosts with a wire between them, for tunnels over it: network namespaces that end with the program.
//
//   here ── 10.7.0.1 fd07::1 ──(wire, MTU 9100)── 10.7.0.2 fd07::2 ── far
//
// Programs that run in `here` import this module, too. What asks the other host is another process, and is waited for
// with the event loop blocked: nothing that arrives was moved by JavaScript.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { TunnelOptions } from 'ksocket/tunnel';
import { runProgram } from './child.js';

const setup = [
  'mount -t tmpfs none /run', // where ip-netns(8) keeps names: nobody else sees these
  'ip netns add far',
  'ip link set lo up',
  'ip -n far link set lo up',
  'ip link add wire mtu 9100 type veth peer name wire mtu 9100 netns far',
  'ip addr add 10.7.0.1/24 dev wire',
  'ip addr add fd07::1/64 dev wire nodad',
  'ip -n far addr add 10.7.0.2/24 dev wire',
  'ip -n far addr add fd07::2/64 dev wire nodad',
  'ip -n far link set wire up',
  'ip link set wire up',
  ...['ip', 'ip -n far'].map((ip) => `while ${ip} -o link show type veth | grep -qv 'state UP'; do sleep 0.02; done`),
].join(' && ');

/** What a program stands behind to run in `here`. */
export function beforeTunnelHosts(): string[] {
  const asUser = process.getuid?.() === 0 ? [] : ['-r'];
  return ['unshare', ...asUser, '-n', '-m', 'sh', '-c', `${setup} && exec "$0" "$@"`];
}

const here = new URL(import.meta.url).href;

/** Runs a program in `here`, which is told how this module is imported, and returns the lines that it has printed. Throws unless it ends
 * well, and without a word to standard error. */
export async function runBetweenHosts<Rest extends unknown[]>(
  program: (helper: string, ...rest: Rest) => Promise<void>,
  ...rest: Rest
): Promise<string[]> {
  const { code, stdout, stderr } = await runProgram(program, [here, ...rest], { under: beforeTunnelHosts() });
  assert.deepEqual([code, stderr], [0, ''], stdout);
  return stdout.trim().split('\n');
}

export function sh(command: string): void {
  execFileSync('sh', ['-ec', command], { stdio: ['ignore', 'inherit', 'inherit'] });
}

export interface FarProcess {
  readonly pid: number;
  /** The next line that it says. */
  line(): Promise<string>;
  end(signal?: NodeJS.Signals): Promise<void>;
}

/** A program of Node's, on the other host or here; resolves once it has said `ready`. */
export async function startProgram(host: 'far' | 'here', code: string, args: string[] = []): Promise<FarProcess> {
  const node = [process.execPath, '--input-type=module', '-e', code, ...args];
  const command = host === 'far' ? ['ip', 'netns', 'exec', 'far', ...node] : node;
  const child = spawn(command[0], command.slice(1), { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const line = async () => (await lines.next()).value as string;
  assert.equal(await line(), 'ready');
  return {
    pid: child.pid as number,
    line,
    end: async (signal = 'SIGTERM') => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const closed = once(child, 'close');
      child.kill(signal);
      await closed;
    },
  };
}

const TUNNEL = `
  const { createTunnel } = await import('ksocket/tunnel');
  await createTunnel(JSON.parse(process.argv[1])).start();
  console.log('ready');
`;

export function startTunnelProgram(host: 'far' | 'here', options: TunnelOptions): Promise<FarProcess> {
  return startProgram(host, TUNNEL, [JSON.stringify(options)]);
}

/** What a tunnel is made with here, 1, or by the other host, 2. */
export function optionsOf(host: 1 | 2, more: Partial<TunnelOptions> = {}): TunnelOptions {
  const addresses = [`10.50.0.${host}/24`, `fd50::${host}/64`];
  return { vni: 42, device: 'lan0', addresses, remotes: [{ address: `10.7.0.${3 - host}` }], ...more };
}

export const otherEnds = ['another tunnel', 'the kernel’s own vxlan device'];

/** What is at the other host, with what optionsOf(2) says. */
export async function startOtherEnd(kind: string): Promise<{ end(): Promise<void> }> {
  if (kind === otherEnds[0]) return await startTunnelProgram('far', optionsOf(2));
  sh(
    'ip -n far link add lan0 mtu 9050 type vxlan id 42 local 10.7.0.2 remote 10.7.0.1 dstport 4789 && ' +
      'ip -n far addr add 10.50.0.2/24 dev lan0 && ip -n far addr add fd50::2/64 dev lan0 nodad && ip -n far link set lan0 up',
  );
  return { end: async () => {} };
}

/** What the transfers' other end does: port 5001 answers with the SHA-256 of what it was sent, 5002 sends. */
const SERVICES = `
  const { createHash } = await import('node:crypto');
  const { createServer } = await import('node:net');
  const { bytesFrom } = await import(process.argv[1]);
  createServer({ allowHalfOpen: true }, (socket) => {
    const hash = createHash('sha256');
    socket.on('data', (data) => hash.update(data)).on('end', () => socket.end(hash.digest('hex'))).on('error', () => {});
  }).listen(5001, '::');
  createServer((socket) => {
    bytesFrom(socket, Number(process.argv[2]));
    socket.on('error', () => {});
  }).listen(5002, '::', () => console.log('ready'));
`;

/** Writes so many bytes that are never the same for long, and says their SHA-256. */
export async function bytesFrom(socket: import('node:net').Socket, bytes: number): Promise<string> {
  const { createHash, randomBytes } = await import('node:crypto');
  const block = randomBytes(1 << 20);
  const hash = createHash('sha256');
  for (let at = 0, n = 0; at < bytes; n++) {
    block.writeUInt32LE(n, (n * 4099) % (block.length - 4));
    const part = Buffer.from(block.subarray(0, Math.min(block.length, bytes - at)));
    at += part.length;
    hash.update(part);
    if (!socket.write(part)) await once(socket, 'drain');
  }
  const digest = hash.digest('hex');
  socket.end(digest);
  return digest;
}

/** Sends so many bytes to port 5001 of the address, or gets as many from 5002; prints the hash of each end. */
const TRANSFER = `
  const { createHash } = await import('node:crypto');
  const { connect } = await import('node:net');
  const { bytesFrom } = await import(process.argv[1]);
  const [, , address, direction, bytes] = process.argv;
  const socket = connect({ host: address, port: direction === 'up' ? 5001 : 5002, allowHalfOpen: true });
  const chunks = [];
  let length = 0;
  const hash = createHash('sha256');
  socket.on('data', (data) => {
    const body = Math.max(0, Math.min(data.length, Number(bytes) - length));
    if (direction === 'down') hash.update(data.subarray(0, body));
    chunks.push(direction === 'down' ? data.subarray(body) : data);
    length += data.length;
  });
  socket.on('end', () => {
    const told = Buffer.concat(chunks).toString();
    socket.end();
    if (direction === 'down') console.log(hash.digest('hex'), told);
    else console.log(sent, told.slice(-64));
  });
  let sent;
  if (direction === 'up') {
    // What is behind the bytes is their hash: the other end has it in its own.
    const half = { write: (part) => socket.write(part), once: socket.once.bind(socket), on: socket.on.bind(socket),
                   removeListener: socket.removeListener.bind(socket), end: () => socket.end() };
    sent = await bytesFrom(half, Number(bytes));
  }
`;

export function startServices(bytes: number): Promise<FarProcess> {
  return startProgram('far', SERVICES, [here, String(bytes)]);
}

/** Throws unless as much arrives as was sent. */
export function transfer(address: string, direction: 'up' | 'down', bytes: number): void {
  const args = ['--input-type=module', '-e', TRANSFER, here, address, direction, String(bytes)];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 60_000 });
  assert.equal(status, 0, stderr);
  const [sent, received] = stdout.trim().split(' ');
  assert.match(sent, /^[\da-f]{64}$/);
  assert.equal(sent, received, `${direction} ${address}`);
}

const PING = `
import os, socket, struct, sys
address, size = sys.argv[1], int(sys.argv[2])
v6 = ':' in address
s = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMPV6 if v6 else socket.IPPROTO_ICMP)
s.settimeout(1)
def checksum(data):
    total = sum(struct.unpack('!%dH' % (len(data) // 2), data))
    while total >> 16: total = (total & 65535) + (total >> 16)
    return ~total & 65535
body = os.urandom(size)
head = struct.pack('!BBHHH', 128 if v6 else 8, 0, 0, os.getpid() & 65535, 1)
if not v6: head = head[:2] + struct.pack('!H', checksum(head + body)) + head[4:]
for attempt in range(10):
    s.sendto(head + body, (address, 0))
    try:
        while True:
            answer = s.recv(65536)
            if not v6: answer = answer[20:]
            if answer[0] == (129 if v6 else 0) and answer[8:] == body: sys.exit(0)
    except TimeoutError: pass
sys.exit('no answer from ' + address)
`;

/** Throws unless an ICMP echo of so many bytes comes back as it was, within some seconds. */
export function ping(address: string, bytes: number): void {
  const { status, stderr } = spawnSync('python3', ['-c', PING, address, String(bytes)], { encoding: 'utf8' });
  assert.equal(status, 0, `ping ${address} ${bytes}: ${stderr}`);
}

/** Datagrams in one frame and in fragments, and so many bytes by TCP, over both families and in both directions. */
export function pingAndTransfer(bytes: number): void {
  for (const length of [56, 1472, 8972]) {
    ping('10.50.0.2', length);
    ping('fd50::2', length);
  }
  for (const address of ['10.50.0.2', 'fd50::2']) {
    for (const direction of ['up', 'down'] as const) transfer(address, direction, bytes);
  }
}
