// addMembership(group, 'all'): on every interface, and on those that come, in a network of the test's own.
import assert from 'node:assert/strict';
import { onDgram } from '../support/backend.js';
import { runProgram } from '../support/child.js';
import { inNamespace } from '../support/namespace.js';
import { Sockets } from '../support/peer.js';
import { kernelPreload } from '../support/programs.js';
import { test } from '../support/test.js';

// v1 has no address.
const network = [
  'ip link set lo up',
  'ip link add v0 type veth peer name v1',
  'ip link set v0 up',
  'ip link set v1 up',
  'ip addr add 10.9.0.1/24 dev v0',
].join(' && ');

/** What a program in that network prints. It gets `joined`, the interfaces that /proc has in a group, and `until`. */
async function inNetwork(program: (tools: Tools) => Promise<unknown>, more = 'true'): Promise<unknown> {
  const whole = async (body: string) => {
    const { readFileSync } = await import('node:fs');
    const { execFileSync } = await import('node:child_process');
    const { setTimeout: sleep } = await import('node:timers/promises');
    const hex = (group: string) => group.split('.').map((part) => Number(part).toString(16).padStart(2, '0'));
    const joined4 = (group: string) => {
      let name = '';
      const found: string[] = [];
      const wanted = hex(group).reverse().join('').toUpperCase();
      for (const line of readFileSync('/proc/net/igmp', 'utf8').split('\n')) {
        if (/^\d/.test(line)) name = line.split(/[\t ]+/)[1];
        else if (line.trim().startsWith(wanted)) found.push(name);
      }
      return found.sort().join();
    };
    const joined6 = (group: string) => {
      const lines = readFileSync('/proc/net/igmp6', 'utf8').split('\n');
      const found = lines.filter((line) => line.includes(group)).map((line) => line.split(/\s+/)[1]);
      return found.sort().join();
    };
    const until = async (condition: () => boolean) => {
      for (let i = 0; i < 500 && !condition(); i++) await sleep(10);
      return condition();
    };
    const sh = (command: string) => execFileSync('sh', ['-c', command]);
    const threads = () => readFileSync('/proc/self/status', 'utf8').match(/Threads:\s*(\d+)/)?.[1];
    const tools = { joined4, joined6, until, sh, sleep, threads, ksocket: await import('ksocket') };
    const run = new Function(`return (${body})`)() as (given: typeof tools) => Promise<unknown>;
    console.log(JSON.stringify(await run(tools)));
  };
  const { code, stdout, stderr } = await runProgram(whole, [program.toString()], {
    under: inNamespace(`${network} && ${more}`),
  });
  assert.deepEqual([stderr, code], ['', 0]);
  return JSON.parse(stdout);
}

interface Tools {
  joined4(group: string): string;
  joined6(group: string): string;
  until(condition: () => boolean): Promise<boolean>;
  sh(command: string): void;
  sleep(ms: number): Promise<void>;
  threads(): string | undefined;
  ksocket: typeof import('ksocket');
}

if (onDgram) {
  test('without the addon it is refused', async () => {
    await using sockets = new Sockets();
    const socket = sockets.make();
    const refusal = { code: 'ERR_KSOCKET_NEEDS_ADDON' };
    assert.throws(() => socket.addMembership('224.0.0.114', 'all'), refusal);
    assert.throws(() => socket.dropMembership('224.0.0.114', 'all'), refusal);
  });
} else {
  test('a socket is in the group wherever it can be, follows what comes and goes, and leaves everywhere', async () => {
    const seen = await inNetwork(async ({ ksocket, joined4, joined6, until, sh, threads }) => {
      const out: unknown[] = [];
      const errors: unknown[] = [];
      const attempt = (body: () => void) => {
        try {
          body();
          errors.push('none');
        } catch (error) {
          errors.push((error as Error).message);
        }
      };
      const socket = ksocket.createSocket('udp6');
      await new Promise<void>((resolve) => socket.bind(0, resolve));
      const before = threads();
      attempt(() => socket.dropMembership('ff02::114', 'all'));
      attempt(() => socket.addMembership('fe80::114', 'all'));
      attempt(() => socket.addMembership('nonsense', 'all'));
      attempt(() => socket.addMembership('ff02::114', 'all'));
      attempt(() => socket.addMembership('ff02::114', 'all'));
      const own = ksocket.createSocket('udp4');
      own.addMembership('224.0.0.114', '10.9.0.1');
      attempt(() => own.addMembership('224.0.0.114', 'all'));
      const of = () => `${joined4('224.0.0.114')} ${joined6('ff020000000000000000000000000114')}`;
      out.push(of());
      sh('ip link add v2 type veth peer name v3 && ip link set v2 up && ip link set v3 up');
      out.push(await until(() => of() === 'v0,v1,v2,v3 v0,v1,v2,v3'));
      sh('ip link set v1 down && ip link del v2 && ip link add v4 type veth peer name v5 && ip link set v5 up');
      out.push(await until(() => of() === 'v0,v1,v5 v0,v1,v5'));
      sh('ip link set v4 up && ip link set v1 up');
      out.push(await until(() => of() === 'v0,v1,v4,v5 v0,v1,v4,v5'));
      attempt(() => own.dropMembership('224.0.0.114', 'all'));
      out.push(joined4('224.0.0.114')); // that which it did not begin
      attempt(() => socket.dropMembership('ff02::114', 'all'));
      out.push(joined6('ff020000000000000000000000000114'));
      own.close();
      out.push(joined4('224.0.0.114'), threads() === before);
      socket.close();
      return [out, errors];
    });
    assert.deepEqual(seen, [
      ['v0,v1 v0,v1', true, true, true, 'v0', '', '', true],
      [
        'dropMembership EADDRNOTAVAIL',
        'addMembership EINVAL',
        'addMembership EINVAL',
        'none',
        'addMembership EADDRINUSE',
        'none',
        'none',
        'none',
      ],
    ]);
  });

  test('what comes in by an interface that came later says which one it is', async () => {
    const seen = await inNetwork(async ({ ksocket, joined4, until, sh }) => {
      const out: unknown[] = [];
      const socket = ksocket.createSocket({ type: 'udp4', receiveLocal: true, reuseAddr: true });
      await new Promise<void>((resolve) => socket.bind(5353, resolve));
      socket.addMembership('224.0.0.251', 'all');
      sh('ip link add w0 index 77 type veth peer name w1 && ip link set w0 up && ip link set w1 up');
      out.push(await until(() => joined4('224.0.0.251').includes('w0')));
      const heard = new Promise((resolve) => {
        socket.on('message', (data, { local, ifindex }) => {
          if (ifindex === 77) resolve([`${data}`, local, ifindex]);
        });
      });
      // Out by its other end, whose index the kernel has chosen, and in by w0.
      const { readFileSync } = await import('node:fs');
      const lines = readFileSync('/proc/net/dev_mcast', 'utf8').split('\n');
      const other = Number(lines.find((line) => / w1 /.test(line))?.split(/\s+/)[0]);
      const sender = ksocket.createSocket('udp4');
      sh('ip addr add 10.77.0.1/24 dev w1; echo 0 > /proc/sys/net/ipv4/conf/all/rp_filter');
      sh('echo 1 > /proc/sys/net/ipv4/conf/w0/accept_local; echo 0 > /proc/sys/net/ipv4/conf/w0/rp_filter');
      sender.send('question', { port: 5353, address: '224.0.0.251', ifindex: other });
      out.push(await heard);
      socket.close();
      sender.close();
      return out;
    });
    assert.deepEqual(seen, [true, ['question', '224.0.0.251', 77]]);
  });

  test('what has gone and is there again under its index is joined again, by each socket, and nothing stays open', async () => {
    const seen = await inNetwork(async ({ ksocket, joined4, joined6, until, sh }) => {
      const out: unknown[] = [];
      const { readFileSync, readdirSync } = await import('node:fs');
      const descriptors = () => readdirSync('/proc/self/fd').length;
      // Those that listen to groups of NETLINK_ROUTE.
      const listening = () =>
        readFileSync('/proc/net/netlink', 'utf8').match(/^\w+ +0 +\d+ +0*[1-9a-f]\w* /gm)?.length ?? 0;
      const sockets = (['udp4', 'udp4', 'udp6'] as const).map((type) => ksocket.createSocket(type));
      for (const socket of sockets) await new Promise<void>((resolve) => socket.bind(0, resolve));
      sh('true'); // what a first child leaves open
      const before = descriptors();
      const join = () => {
        for (const socket of sockets.slice(0, 2)) socket.addMembership('224.0.0.114', 'all');
        sockets[2].addMembership('ff02::114', 'all');
      };
      const of = () => `${joined4('224.0.0.114')} ${joined6('ff020000000000000000000000000114')}`;
      const make = 'link add w0 index 77 type veth peer name w1 index 78\\nlink set w0 up\\nlink set w1 up\\n';
      join();
      sh(`printf '${make}' | ip -batch -`);
      out.push(await until(() => of() === 'v0,v1,w0,w1 v0,v1,w0,w1'), listening());
      // We see all of it at once.
      sh(`kill -STOP $PPID; printf 'link del w0\\n${make}' | ip -batch -; kill -CONT $PPID`);
      out.push(await until(() => of() === 'v0,v1,w0,w1 v0,v1,w0,w1'));
      // The same, behind more changes than the kernel keeps for us (ENOBUFS).
      const many = Array.from({ length: 1000 }, (_, i) => `link set v0 alias a${i}\\n`).join('');
      sh(`kill -STOP $PPID; printf '${many}link del w0\\n${make}' | ip -batch -; kill -CONT $PPID`);
      out.push(await until(() => of() === 'v0,v1,w0,w1 v0,v1,w0,w1'));
      sockets[0].dropMembership('224.0.0.114', 'all');
      out.push(joined4('224.0.0.114')); // the other socket is in it
      sockets[0].addMembership('224.0.0.114', 'all');
      sh('ip link set w1 mtu 1000');
      out.push(await until(() => of() === 'v0,v1,w0,w1 v0,v1,w0'));
      sh('ip link set w1 mtu 1500');
      out.push(await until(() => of() === 'v0,v1,w0,w1 v0,v1,w0,w1'));
      for (const socket of sockets.slice(0, 2)) socket.dropMembership('224.0.0.114', 'all');
      sockets[2].dropMembership('ff02::114', 'all');
      out.push(listening(), descriptors() - before);
      join();
      for (const socket of sockets) socket.close();
      out.push(listening());
      return out;
    });
    assert.deepEqual(seen, [true, 1, true, true, 'v0,v1,w0,w1', true, true, 0, 0, 0]);
  });

  test('what comes while the process has no descriptor left is joined once it has; what is renamed stays joined', async () => {
    const seen = await inNetwork(
      async ({ ksocket, joined4, until, sh, sleep }) => {
        const out: unknown[] = [];
        const { openSync, closeSync } = await import('node:fs');
        const { spawn } = await import('node:child_process');
        const socket = ksocket.createSocket('udp4');
        await new Promise<void>((resolve) => socket.bind(0, resolve));
        socket.addMembership('224.0.0.114', 'all');
        // The kernel tells of a carrier up to a second later: that is a change, too.
        const comes = `until [ $(ls /proc/$PPID/fd | wc -l) = 256 ]; do sleep 0.05; done
          ip link add w0 type veth peer name w1; ip link set w0 up; ip link set w1 up
          until [ $(ip -o link | grep -c 'state UP') = 4 ]; do sleep 0.05; done`;
        const child = spawn('sh', ['-c', comes], { stdio: ['ignore', 'inherit', 'inherit'] });
        const taken: number[] = [];
        try {
          while (true) taken.push(openSync('/dev/null', 'r'));
        } catch (error) {
          out.push((error as NodeJS.ErrnoException).code);
        }
        out.push(await new Promise((resolve) => child.on('exit', (code) => resolve(code))));
        await sleep(300);
        for (const fd of taken) closeSync(fd);
        out.push(await until(() => joined4('224.0.0.114') === 'v0,v1,w0,w1'));
        sh('ip link set w1 down && ip link set w1 name w9 && ip link set w9 up');
        out.push(await until(() => joined4('224.0.0.114') === 'v0,v1,w0,w9'));
        socket.dropMembership('224.0.0.114', 'all');
        out.push(joined4('224.0.0.114'));
        socket.close();
        return out;
      },
      // Addresses for IPv6, which come by themselves, would be changes of their own.
      'sysctl -qw net.ipv6.conf.all.disable_ipv6=1 && ulimit -n 256',
    );
    assert.deepEqual(seen, ['EMFILE', 0, true, true, '']);
  });

  test('beyond what the kernel allows it is in the group nowhere, and an end in a worker or without close() is one', async () => {
    const seen = await inNetwork(async ({ ksocket, joined4, sh, threads, until }) => {
      const out: unknown[] = [];
      sh('echo 1 > /proc/sys/net/ipv4/igmp_max_memberships');
      const socket = ksocket.createSocket('udp4');
      await new Promise<void>((resolve) => socket.bind(0, resolve));
      const before = threads();
      try {
        socket.addMembership('224.0.0.114', 'all');
      } catch (error) {
        const { code, syscall } = error as NodeJS.ErrnoException;
        out.push(code, syscall);
      }
      out.push(joined4('224.0.0.114'), threads() === before);
      sh('echo 20 > /proc/sys/net/ipv4/igmp_max_memberships');
      socket.addMembership('224.0.0.114', 'all');
      out.push(joined4('224.0.0.114'));
      const { Worker } = await import('node:worker_threads');
      const text = `import { createSocket } from 'ksocket';
      const socket = createSocket('udp4').bind(0, () => {
        socket.addMembership('224.0.0.115', 'all');
        process.exit();
      });`;
      await new Promise((resolve) => new Worker(text, { eval: true }).on('exit', resolve));
      out.push(await until(() => joined4('224.0.0.115') === ''));
      socket.unref(); // and the process ends
      return out;
    });
    assert.deepEqual(seen, ['ENOBUFS', 'addMembership', '', true, 'v0,v1', true]);
  });

  test('where nobody tells of interfaces it is refused, and features() says so', async () => {
    const program = async () => {
      const { createSocket, features } = await import('ksocket');
      const { allInterfaces, missing } = features();
      const socket = createSocket('udp4');
      try {
        socket.addMembership('224.0.0.114', 'all');
      } catch (error) {
        console.log(JSON.stringify([allInterfaces, missing.allInterfaces, (error as Error).message]));
      }
      socket.addMembership('224.0.0.114');
      socket.close();
    };
    const under = inNamespace(`${network} && ip route add 224.0.0.0/4 dev v0`);
    const env = { LD_PRELOAD: kernelPreload, KERNEL_LACKS_LINKS: '1' };
    const { code, stdout, stderr } = await runProgram(program, [], { under, env });
    assert.deepEqual([stderr, code], ['', 0]);
    assert.deepEqual(JSON.parse(stdout), [
      false,
      'EPERM: needs a netlink socket that hears of interfaces',
      'addMembership EPERM',
    ]);
  });

  test('one source alone, on every interface', async () => {
    const seen = await inNetwork(async ({ ksocket, joined4 }) => {
      const socket = ksocket.createSocket('udp4');
      await new Promise<void>((resolve) => socket.bind(0, resolve));
      socket.addSourceSpecificMembership('10.9.0.7', '232.1.1.1', 'all');
      const { readFileSync } = await import('node:fs');
      const filters = readFileSync('/proc/net/mcfilter', 'utf8')
        .split('\n')
        .filter((line) => line.includes('0xe8010101'));
      const out = [joined4('232.1.1.1'), filters.map((line) => line.trim().split(/\s+/).slice(1)).sort()];
      socket.dropSourceSpecificMembership('10.9.0.7', '232.1.1.1', 'all');
      out.push(joined4('232.1.1.1'));
      socket.close();
      return out;
    });
    const filter = (name: string) => [name, '0xe8010101', '0x0a090007', '1', '0'];
    assert.deepEqual(seen, ['v0,v1', [filter('v0'), filter('v1')], '']);
  });
}
