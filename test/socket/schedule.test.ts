// Where and when the kernel runs an I/O thread: cpus and priority, of sockets and of servers.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, createSocket, type SocketOptions } from 'ksocket';
import { runProgram } from '../support/child.js';
import { bound, Inbox, Sockets } from '../support/peer.js';
import { heldAtRest, untilHeldIs } from '../support/process.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

const SCHED_OTHER = 0;
const SCHED_FIFO = 1;

interface Scheduled {
  cpus: string;
  policy: number;
  priority: number;
}

/** How the I/O threads run, as proc(5) says it. */
function schedules(): Scheduled[] {
  const found: Scheduled[] = [];
  for (const task of readdirSync('/proc/self/task')) {
    try {
      const stat = readFileSync(`/proc/self/task/${task}/stat`, 'utf8');
      if (!stat.includes('(ksocket-io)')) continue;
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      found.push({ cpus: cpusOf(`self/task/${task}`), policy: Number(fields[38]), priority: Number(fields[37]) });
    } catch {} // ended meanwhile
  }
  return found;
}

/** A thread has its name once it runs. */
async function schedule(): Promise<Scheduled> {
  await waitFor(() => schedules().length === 1, 'the thread');
  return schedules()[0];
}

function cpusOf(task: string): string {
  return /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync(`/proc/${task}/status`, 'utf8'))?.[1] ?? '';
}

const all = cpusOf('self');
const last = Number(all.split(/[,-]/).at(-1));

test('cpus: the thread, and it alone, may run there only', async () => {
  for (const [cpus, allowed] of [
    [[last], `${last}`],
    [[last, last], `${last}`],
    [[last, 8191], `${last}`],
    [undefined, all],
  ] as const) {
    await heldAtRest();
    await using sockets = new Sockets();
    const socket = sockets.make({ type: 'udp4', cpus, thread: 'dedicated' });
    await bound(socket);
    assert.deepEqual(await schedule(), { cpus: allowed, policy: SCHED_OTHER, priority: 0 });
    assert.equal(cpusOf('self'), all, 'JavaScript runs where it did');
  }
});

test('cpus and priority ask for a thread of one’s own', async () => {
  await heldAtRest();
  await using sockets = new Sockets();
  const shared = sockets.make();
  await bound(shared);
  await schedule();
  for (const options of [{ cpus: [last] }, { priority: 1 }] as const) {
    await bound(sockets.make({ type: 'udp4', ...options }));
    assert.throws(() => createSocket({ type: 'udp4', thread: 'shared', ...options } as SocketOptions), {
      code: 'ERR_INVALID_ARG_VALUE',
      message: /'dedicated'/,
    });
  }
  await waitFor(() => schedules().length === 3, 'three threads');
});

test('priority: SCHED_FIFO, as the kernel says', async () => {
  for (const [priority, more] of [
    [1, {}],
    [99, {}],
    [42, { cpus: [last] }],
  ] as const) {
    await heldAtRest();
    await using sockets = new Sockets();
    await bound(sockets.make({ type: 'udp4', priority, ...more }));
    assert.deepEqual(await schedule(), { cpus: 'cpus' in more ? `${last}` : all, policy: SCHED_FIFO, priority });
  }
});

test('such a thread receives by itself, and everything arrives', async () => {
  for (const options of [{ cpus: [last] }, { priority: 10 }, { cpus: [last], priority: 10, busyPoll: 50 }] as const) {
    await using sockets = new Sockets();
    const socket = sockets.make({ type: 'udp4', ...options });
    const inbox = new Inbox(socket);
    const port = await bound(socket);
    const peer = sockets.makePeer();
    for (let i = 0; i < 100; i++) {
      peer.send(`${i}`, port, '127.0.0.1');
      await inbox.take(i + 1);
    }
    assert.deepEqual(
      inbox.texts,
      Array.from({ length: 100 }, (_, i) => `${i}`),
    );
    assert.equal(socket.stats().thread.loopRounds, 0, 'the event loop has received nothing');
  }
});

test('a server has them, too', async () => {
  await heldAtRest();
  const server = createServer({ address: '127.0.0.1', port: 0, reply: 'echo', cpus: [last], priority: 7 });
  await server.start();
  assert.deepEqual(await schedule(), { cpus: `${last}`, policy: SCHED_FIFO, priority: 7 });
  await using sockets = new Sockets();
  const client = sockets.makePeer();
  const inbox = new Inbox(client);
  client.send('there?', server.address()?.port ?? 0, '127.0.0.1');
  await inbox.take(1);
  await server.stop();
});

test('processors that are not there are an error of bind() and start(), and nothing stays open', async () => {
  const before = await heldAtRest();
  const told = {
    code: 'EINVAL',
    errno: -22,
    syscall: 'sched_setaffinity',
    message: 'sched_setaffinity EINVAL: options.cpus [8190,8191] has no processor that this process may use',
  };
  await using sockets = new Sockets();
  const cpus = [8190, 8191];
  const socket = sockets.make({ type: 'udp4', cpus });
  cpus[0] = last; // too late
  for (let attempt = 0; attempt < 2; attempt++) {
    const failed = once(socket, 'error');
    socket.bind(0, '127.0.0.1');
    const { code, errno, syscall, message } = (await failed)[0];
    assert.deepEqual({ code, errno, syscall, message }, told);
    assert.throws(() => socket.bindSync({ address: '127.0.0.1' }), told);
  }
  const server = createServer({ address: '127.0.0.1', port: 0, cpus: [8190, 8191] });
  await assert.rejects(server.start(), told);
  assert.equal(server.running, false);
  await untilHeldIs(before);
});

async function askForPriority() {
  const { createServer, createSocket, features } = await import('ksocket');
  const tell = ({ code, syscall, message }: NodeJS.ErrnoException) =>
    console.log(JSON.stringify([code, syscall, message]));
  const { priorityMax, missing } = features();
  console.log(JSON.stringify([priorityMax, missing.priorityMax ?? null]));
  const socket = createSocket({ type: 'udp4', priority: 11 });
  try {
    socket.bindSync({ address: '127.0.0.1' });
  } catch (error) {
    tell(error as NodeJS.ErrnoException);
  }
  await createServer({ address: '127.0.0.1', port: 0, priority: 11 }).start().catch(tell);
  socket.close();
  if (priorityMax === 0) return;
  const allowed = createSocket({ type: 'udp4', priority: priorityMax });
  allowed.bindSync({ address: '127.0.0.1' });
  allowed.close();
}

/** Where the hard limit is 0 it takes CAP_SYS_RESOURCE to raise it. */
const limits = spawnSync('prlimit', ['--rtprio=10', 'true']).status === 0 ? [0, 10] : [0];

for (const limit of limits) {
  test(`without CAP_SYS_NICE, and with RLIMIT_RTPRIO ${limit}, a priority of 11 is refused`, async () => {
    const under = ['prlimit', `--rtprio=${limit}`, 'setpriv', '--bounding-set=-sys_nice', '--'];
    const { code, stdout, stderr } = await runProgram(askForPriority, [], { under });
    assert.deepEqual([code, stderr], [0, '']);
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    const needs = 'needs CAP_SYS_NICE or a higher RLIMIT_RTPRIO (ulimit -r)';
    const refused = ['EPERM', 'sched_setscheduler', `sched_setscheduler EPERM: options.priority 11 ${needs}`];
    assert.deepEqual(lines, [[limit, limit === 0 ? `EPERM: ${needs}` : null], refused, refused]);
  });
}

test('cpus and priority are checked', () => {
  const wrong: [Partial<Record<keyof SocketOptions, unknown>>, string, string][] = [
    [{ cpus: 1 }, 'ERR_INVALID_ARG_TYPE', 'options.cpus'],
    [{ cpus: null }, 'ERR_INVALID_ARG_TYPE', 'options.cpus'],
    [{ cpus: '0' }, 'ERR_INVALID_ARG_TYPE', 'options.cpus'],
    [{ cpus: new Set([0]) }, 'ERR_INVALID_ARG_TYPE', 'options.cpus'],
    [{ cpus: [] }, 'ERR_INVALID_ARG_VALUE', 'options.cpus'],
    [{ cpus: ['0'] }, 'ERR_INVALID_ARG_TYPE', 'options.cpus[0]'],
    [{ cpus: new Array(1) }, 'ERR_INVALID_ARG_TYPE', 'options.cpus[0]'],
    [{ cpus: [0, -1] }, 'ERR_OUT_OF_RANGE', 'options.cpus[1]'],
    [{ cpus: [8192] }, 'ERR_OUT_OF_RANGE', 'options.cpus[0]'],
    [{ cpus: [0.5] }, 'ERR_OUT_OF_RANGE', 'options.cpus[0]'],
    [{ priority: 0 }, 'ERR_OUT_OF_RANGE', 'options.priority'],
    [{ priority: 100 }, 'ERR_OUT_OF_RANGE', 'options.priority'],
    [{ priority: 1.5 }, 'ERR_OUT_OF_RANGE', 'options.priority'],
    [{ priority: '1' }, 'ERR_INVALID_ARG_TYPE', 'options.priority'],
    [{ priority: null }, 'ERR_INVALID_ARG_TYPE', 'options.priority'],
  ];
  for (const [options, code, name] of wrong) {
    const says = (error: NodeJS.ErrnoException) => error.code === code && error.message.includes(`${name}`);
    assert.throws(() => createSocket({ type: 'udp4', ...options } as SocketOptions), says, JSON.stringify(options));
    assert.throws(() => createServer(options as object), says, JSON.stringify(options));
  }
});
