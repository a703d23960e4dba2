// A second host, and a third behind it, in network namespaces that end with the program: for what loopback does not show.
//
//   here ── 10.7.0.1 fd07::1 ──(wire, MTU 1500)── 10.7.0.2 fd07::2 ── far ── 10.8.0.1 fd08::1 ──(MTU 1300)── 10.8.0.2 fd08::2 ── beyond
//     └──── 10.9.0.1 ──(other)── 10.9.0.2 ── far
//
// Programs that run in `here` import this module, too.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

const setup = [
  'mount -t tmpfs none /run', // where ip-netns(8) keeps names: nobody else sees these
  'ip netns add far',
  'ip netns add beyond',
  'ip link set lo up',
  'ip link add wire type veth peer name wire netns far',
  'ip link add other type veth peer name other netns far',
  'ip -n far link add out type veth peer name in netns beyond',
  'ip addr add 10.7.0.1/24 dev wire',
  'ip addr add fd07::1/64 dev wire nodad',
  'ip addr add 10.9.0.1/24 dev other',
  'ip -n far addr add 10.7.0.2/24 dev wire',
  'ip -n far addr add fd07::2/64 dev wire nodad',
  'ip -n far addr add 10.9.0.2/24 dev other',
  'ip -n far addr add 10.8.0.1/24 dev out',
  'ip -n far addr add fd08::1/64 dev out nodad',
  'ip -n beyond addr add 10.8.0.2/24 dev in',
  'ip -n beyond addr add fd08::2/64 dev in nodad',
  'ip -n far link set out mtu 1300 up',
  'ip -n beyond link set in mtu 1300 up',
  'ip -n far link set wire up',
  'ip -n far link set other up',
  'ip link set wire up',
  'ip link set other up',
  'ip netns exec far sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1',
  'ip route add 10.8.0.0/24 via 10.7.0.2',
  'ip -6 route add fd08::/64 via fd07::2',
  'ip -n beyond route add default via 10.8.0.1',
  'ip -n beyond -6 route add default via fd08::1',
  // Who pretends to be one of these is answered.
  'ip -n far route add 192.0.2.0/24 via 10.7.0.1',
  'ip -n far -6 route add 2001:db8::/64 via fd07::1',
  // Until the kernel has noticed that a link is up it drops what is sent there.
  ...['ip', 'ip -n far', 'ip -n beyond'].map(
    (ip) => `while ${ip} -o link show type veth | grep -qv 'state UP'; do sleep 0.02; done`,
  ),
].join(' && ');

/** What a program stands behind to run in `here`. */
export function beforeFarHost(): string[] {
  const asUser = process.getuid?.() === 0 ? [] : ['-r'];
  return ['unshare', ...asUser, '-n', '-m', 'sh', '-c', `${setup} && exec "$0" "$@"`];
}

export interface Heard {
  from: string;
  port: number;
  length: number;
  text: string;
}

/** A UDP socket of Python's on another host, which says what it hears. */
export interface FarPeer {
  /** The next one. */
  hear(): Promise<Heard>;
  /** What it sends comes from its port. */
  send(text: string, address: string, port: number): void;
  end(): Promise<void>;
}

const PEER = `
import json, socket, sys, threading
address, port = sys.argv[1], int(sys.argv[2])
s = socket.socket(socket.AF_INET6 if ':' in address else socket.AF_INET, socket.SOCK_DGRAM)
s.bind((address, port))
def hear():
    while True:
        data, source = s.recvfrom(65536)
        print(json.dumps({'from': source[0], 'port': source[1], 'length': len(data), 'text': data[:40].decode()}), flush=True)
threading.Thread(target=hear, daemon=True).start()
print('ready', flush=True)
for line in sys.stdin:
    text, to, port = json.loads(line)
    s.sendto(text.encode(), (to, port))
`;

export async function startFarPeer(host: 'far' | 'beyond', address: string, port: number): Promise<FarPeer> {
  const child = spawn('ip', ['netns', 'exec', host, 'python3', '-c', PEER, address, `${port}`], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  await lines.next();
  return {
    hear: async () => JSON.parse((await lines.next()).value as string),
    send: (...args) => void child.stdin.write(`${JSON.stringify(args)}\n`),
    end: async () => {
      child.stdin.end();
      await once(child, 'close');
    },
  };
}
