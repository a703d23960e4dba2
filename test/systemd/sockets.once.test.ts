// systemdSockets(): what a service manager has opened, by LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSocket } from 'ksocket';
import { systemdSockets } from 'ksocket/systemd';
import { listening } from '../support/activated.js';
import { Child, runProgram, startProgram } from '../support/child.js';
import { unusedPort } from '../support/peer.js';
import { test } from '../support/test.js';

/** Says what it finds, twice. */
async function find() {
  const { systemdSockets } = await import('ksocket/systemd');
  const first = systemdSockets();
  console.log(JSON.stringify(first));
  console.log(JSON.stringify(systemdSockets()) === JSON.stringify(first));
}

const env = { LISTEN_FDS: undefined, LISTEN_PID: undefined, LISTEN_FDNAMES: undefined };

test('each kind of socket, with its name and address, again and again', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'ksocket-test-'));
  try {
    const path = join(directory, 'socket');
    const abstract = `\0ksocket-test-${process.pid}`;
    const under = listening(
      { type: 'udp4', address: '127.0.0.1', port: 0 },
      { type: 'udp6', address: '::1' },
      { type: 'tcp4', address: '127.0.0.1' },
      { type: 'tcp6', address: '::1' },
      { type: 'unix_dgram', address: path },
      { type: 'unix_stream', address: abstract },
      { type: 'unix_seqpacket', address: `${abstract}-2` },
      { type: 'file' },
    );
    const names = ['dns', 'dns', 'web', 'web6', 'log', '', 'x y', 'null'];
    const { code, stdout, stderr } = await runProgram(find, [], {
      under,
      env: { ...env, LISTEN_FDNAMES: names.join(':') },
    });
    assert.deepEqual([code, stderr], [0, '']);
    const [found, same] = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.equal(same, true);
    for (const { address } of found.slice(0, 4)) {
      assert.ok(address.port > 0);
      address.port = 0;
    }
    const ip4 = { address: '127.0.0.1', family: 'IPv4', port: 0 };
    const ip6 = { address: '::1', family: 'IPv6', port: 0 };
    assert.deepEqual(found, [
      { fd: 3, name: 'dns', type: 'udp4', address: ip4 },
      { fd: 4, name: 'dns', type: 'udp6', address: ip6 },
      { fd: 5, name: 'web', type: 'tcp4', address: ip4 },
      { fd: 6, name: 'web6', type: 'tcp6', address: ip6 },
      { fd: 7, name: 'log', type: 'unix_dgram', address: { path, family: 'unix' } },
      { fd: 8, name: '', type: 'unix_stream', address: { path: abstract, family: 'unix' } },
      { fd: 9, name: 'x y', type: 'unix_seqpacket', address: { path: `${abstract}-2`, family: 'unix' } },
      { fd: 10, name: 'null', type: 'other', address: null },
    ]);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('without names they are unknown', async () => {
  const under = listening({ type: 'udp4', address: '127.0.0.1' });
  const { stdout } = await runProgram(find, [], { under, env });
  assert.equal(JSON.parse(stdout.split('\n')[0])[0].name, 'unknown');
});

test('they are kept from children, also where they were not', async () => {
  // Node does so by itself at its start, for what it finds then.
  const program = async () => {
    const { systemdSockets } = await import('ksocket/systemd');
    const { readFileSync } = await import('node:fs');
    const { execFileSync } = await import('node:child_process');
    const flags = () => {
      const [, octal] = /^flags:\s+(\d+)$/m.exec(readFileSync('/proc/self/fdinfo/3', 'utf8')) ?? [];
      return (Number.parseInt(octal, 8) & 0o2000000) !== 0; // O_CLOEXEC
    };
    systemdSockets();
    console.log(
      flags(),
      execFileSync('sh', ['-c', 'test -e /proc/self/fd/3 || echo none'], { encoding: 'utf8' }).trim(),
    );
  };
  const under = listening({ type: 'udp4', address: '127.0.0.1' });
  const { stdout, stderr } = await runProgram(program, [], { under, env });
  assert.deepEqual([stdout, stderr], ['true none\n', '']);
});

test('another process’s, or none: an empty list', async () => {
  const under = listening({ type: 'udp4', address: '127.0.0.1' });
  for (const others of [{ LISTEN_PID: '1' }, { LISTEN_FDS: '0' }]) {
    const { stdout } = await runProgram(find, [], { under, env: { ...env, ...others } });
    assert.equal(stdout, '[]\ntrue\n');
  }
  const { stdout } = await runProgram(find, [], { env: { ...env, LISTEN_FDS: '1' } });
  assert.equal(stdout, '[]\ntrue\n', 'LISTEN_PID is not set');
});

test('unset takes the variables away, and nothing else does', async () => {
  const program = async () => {
    const { systemdSockets } = await import('ksocket/systemd');
    const variables = () => Object.keys(process.env).filter((name) => name.startsWith('LISTEN_')).length;
    console.log(systemdSockets({ unset: false }).length, variables());
    console.log(systemdSockets({ unset: true }).length, variables());
    console.log(systemdSockets().length, variables());
    Object.assign(process.env, { LISTEN_PID: `${process.pid}`, LISTEN_FDS: 'x' });
    try {
      systemdSockets({ unset: true });
    } catch (error) {
      console.log((error as NodeJS.ErrnoException).code, variables());
    }
  };
  const under = listening({ type: 'udp4', address: '127.0.0.1' });
  const { stdout, stderr } = await runProgram(program, [], { under, env: { ...env, LISTEN_FDNAMES: 'a' } });
  assert.deepEqual([stdout, stderr], ['1 3\n1 0\n0 0\nERR_KSOCKET_SYSTEMD 0\n', '']);
});

test('a malformed environment is an error that names the variable and its value', async () => {
  const program = async (cases: Record<string, string>[]) => {
    const { systemdSockets } = await import('ksocket/systemd');
    for (const variables of cases) {
      for (const name of ['LISTEN_FDS', 'LISTEN_FDNAMES']) delete process.env[name];
      Object.assign(process.env, { LISTEN_PID: `${process.pid}` }, variables);
      try {
        console.log(systemdSockets().length);
      } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException;
        console.log(code, message);
      }
    }
  };
  const wrong: [Record<string, string>, string][] = [
    [{ LISTEN_PID: '' }, "LISTEN_PID must be a whole number from 1 to 2147483647. Received ''"],
    [{ LISTEN_PID: '12x' }, "LISTEN_PID must be a whole number from 1 to 2147483647. Received '12x'"],
    [{ LISTEN_PID: '0' }, "LISTEN_PID must be a whole number from 1 to 2147483647. Received '0'"],
    [{ LISTEN_FDS: '-1' }, "LISTEN_FDS must be a whole number from 0 to 2147483644. Received '-1'"],
    [{ LISTEN_FDS: '1.5' }, "LISTEN_FDS must be a whole number from 0 to 2147483644. Received '1.5'"],
    [{ LISTEN_FDS: '2147483645' }, "LISTEN_FDS must be a whole number from 0 to 2147483644. Received '2147483645'"],
    [{ LISTEN_FDS: '2000000' }, 'LISTEN_FDS counts the descriptor '],
    [
      { LISTEN_FDS: '1', LISTEN_FDNAMES: 'a:b' },
      "LISTEN_FDNAMES must have 1 names, as LISTEN_FDS says. Received 'a:b'",
    ],
    [{ LISTEN_FDS: '2', LISTEN_FDNAMES: 'a' }, "LISTEN_FDNAMES must have 2 names, as LISTEN_FDS says. Received 'a'"],
  ];
  const under = listening({ type: 'udp4', address: '127.0.0.1' });
  const { stdout, stderr } = await runProgram(program, [wrong.map(([variables]) => variables)], { under, env });
  assert.equal(stderr, '');
  const lines = stdout.trim().split('\n');
  assert.equal(lines.length, wrong.length);
  wrong.forEach(([, message], i) => {
    const begin = `ERR_KSOCKET_SYSTEMD The environment variable ${message}`;
    assert.ok(lines[i].startsWith(begin), `${lines[i]} instead of ${begin}`);
  });
  assert.match(lines[6], /which is not there \(EBADF\)/);
});

test('options that are none', () => {
  // biome-ignore lint/suspicious/noExplicitAny: wrong options are the point
  const wrong = systemdSockets as (options: any) => unknown;
  assert.throws(() => wrong({ unsets: true }), { code: 'ERR_INVALID_ARG_VALUE', message: /did you mean 'unset'/ });
  assert.throws(() => wrong({ unset: 1 }), { code: 'ERR_INVALID_ARG_TYPE' });
  assert.throws(() => wrong(null), { code: 'ERR_INVALID_ARG_TYPE' });
});

test('without the addon there are none, and where there are it says so', async () => {
  const program = async () => {
    const { systemdSockets } = await import('ksocket/systemd');
    try {
      console.log(systemdSockets().length);
    } catch (error) {
      console.log((error as NodeJS.ErrnoException).code);
    }
  };
  const onDgram = { ...env, KSOCKET_BACKEND: 'dgram', KSOCKET_ENGINE: undefined };
  assert.equal((await runProgram(program, [], { env: onDgram })).stdout, '0\n');
  const under = listening({ type: 'udp4', address: '127.0.0.1' });
  assert.equal((await runProgram(program, [], { under, env: onDgram })).stdout, 'ERR_KSOCKET_NEEDS_ADDON\n');
});

test('a local socket takes one of its kind', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'ksocket-test-'));
  try {
    const path = join(directory, 'log');
    const program = async () => {
      const { createSocket } = await import('ksocket');
      const { systemdSockets } = await import('ksocket/systemd');
      const [{ fd, name, type }] = systemdSockets();
      if (type !== 'unix_dgram') throw new Error(type);
      const socket = createSocket(type, (data) => {
        console.log(`${name}: ${data}`);
        socket.close();
      });
      socket.bind({ fd }, () => console.log('ready'));
    };
    const options = { under: listening({ type: 'unix_dgram', address: path }), env: { ...env, LISTEN_FDNAMES: 'log' } };
    await using child = startProgram(program, [], options);
    await child.line(/^ready$/);
    await using sender = createSocket('unix_dgram');
    sender.send('hello', path);
    await child.line(/^log: hello$/);
    assert.deepEqual(await child.end(), { code: 0, signal: null, stdout: 'ready\nlog: hello\n', stderr: '' });
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('sockets and servers take what is found: systemd-socket-activate', async () => {
  const ports = [await unusedPort(), await unusedPort()];
  const program = async () => {
    const { createServer, createSocket } = await import('ksocket');
    const { systemdSockets } = await import('ksocket/systemd');
    const [first, second] = systemdSockets({ unset: true });
    const server = createServer({ fd: first.fd, reply: `${first.name} ${first.type}`, replyTo: 'source' });
    await server.start();
    const socket = createSocket('udp4', (data, { port, address }) => {
      socket.send(`${second.name} ${data}`, port, address);
    });
    socket.bind({ fd: second.fd });
    console.log('ready');
  };
  const source = `await (${program})()`;
  const listen = ports.flatMap((port) => ['-l', `127.0.0.1:${port}`]);
  const variables = ['KSOCKET_ENGINE', 'PATH'].flatMap((name) => ['-E', name]);
  const args = [
    '-d',
    ...listen,
    '--fdname=one:two',
    ...variables,
    process.execPath,
    '--input-type=module',
    '-e',
    source,
  ];
  await using child = new Child('systemd-socket-activate', args, { env });
  const { createSocket } = await import('node:dgram');
  const client = createSocket('udp4');
  const heard = new Set<string>();
  client.on('message', (data) => heard.add(String(data)));
  const ask = setInterval(() => {
    for (const port of ports) client.send('x', port, '127.0.0.1');
  }, 50);
  try {
    await child.line(/^ready$/);
    const { waitFor } = await import('../support/wait.js');
    await waitFor(
      () => heard.size === 2,
      () => [...heard].join(),
    );
    assert.deepEqual([...heard].sort(), ['one udp4', 'two x']);
  } finally {
    clearInterval(ask);
    client.close();
  }
});
