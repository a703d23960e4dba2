// sdWatchdog(): a service manager hears that a service lives, as long as its event loop turns.
import assert from 'node:assert/strict';
import { type SystemdWatchdogOptions, sdWatchdog } from 'ksocket/systemd';
import { Manager } from '../support/activated.js';
import { runProgram, startProgram } from '../support/child.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

const PING = 'WATCHDOG=1';
/** Pings come at half of it. */
const USEC = '200000';

const pings = (manager: Manager) => manager.lines.filter((line) => line === PING).length;

/** Watched, and kept running; blocks its event loop when it is told to. */
async function live() {
  const { sdWatchdog } = await import('ksocket/systemd');
  console.log(sdWatchdog()?.intervalMs);
  process.on('SIGUSR2', () => {
    console.log('stuck'); // to a pipe: written when this returns
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1500);
    console.log('turns');
  });
  setInterval(() => {}, 1000);
}

test('it is told at half of the interval, and not while the event loop is stuck', async () => {
  await using manager = await new Manager().start();
  const env = { NOTIFY_SOCKET: manager.address, WATCHDOG_USEC: USEC, WATCHDOG_PID: undefined };
  await using child = startProgram(live, [], { env });
  await child.line(/^100$/);
  await manager.hears(PING, 5);
  child.kill('SIGUSR2');
  await child.line(/^stuck$/);
  await new Promise((resolve) => setTimeout(resolve, 300)); // what was under way is there
  const before = pings(manager);
  await new Promise((resolve) => setTimeout(resolve, 700));
  assert.ok(child.lines.includes('stuck') && !child.lines.includes('turns'), 'it is stuck all the time');
  assert.equal(pings(manager), before);
  await child.line(/^turns$/);
  await manager.hears(PING, before + 2);
});

test('who is not watched does not ping: no interval, another process, nobody who listens', async () => {
  const program = async () => {
    const { sdWatchdog } = await import('ksocket/systemd');
    console.log(sdWatchdog() === undefined);
  };
  const address = '/nowhere';
  for (const env of [
    { NOTIFY_SOCKET: address, WATCHDOG_USEC: undefined },
    { NOTIFY_SOCKET: address, WATCHDOG_USEC: USEC, WATCHDOG_PID: '1' },
    { NOTIFY_SOCKET: undefined, WATCHDOG_USEC: USEC, WATCHDOG_PID: undefined },
  ]) {
    const { stdout, stderr } = await runProgram(program, [], { env });
    assert.deepEqual([stdout, stderr], ['true\n', '']);
  }
});

test('it keeps no program running, and none comes after stop()', async () => {
  await using manager = await new Manager().start();
  const program = async (stops: boolean) => {
    const { sdWatchdog } = await import('ksocket/systemd');
    const watchdog = sdWatchdog();
    if (!stops) return;
    watchdog?.stop();
    await new Promise((resolve) => setTimeout(resolve, 500));
  };
  const env = { NOTIFY_SOCKET: manager.address, WATCHDOG_USEC: USEC, WATCHDOG_PID: undefined };
  for (const stops of [false, true]) {
    const { code, stderr } = await runProgram(program, [stops], { env });
    assert.deepEqual([code, stderr], [0, '']);
    await manager.hears(PING, stops ? 2 : 1);
    assert.equal(pings(manager), stops ? 2 : 1, 'only the one at once');
  }
});

test('check() decides whether the service is well', async () => {
  await using manager = await new Manager().start();
  Object.assign(process.env, { NOTIFY_SOCKET: manager.address, WATCHDOG_USEC: '20000' });
  delete process.env.WATCHDOG_PID;
  try {
    let well = true;
    let asked = 0;
    const watchdog = sdWatchdog({
      check: () => {
        asked++;
        return well;
      },
    });
    assert.equal(watchdog?.intervalMs, 10);
    await manager.hears(PING, 3);
    well = false;
    const askedBefore = asked;
    await waitFor(() => asked > askedBefore + 1);
    await new Promise((resolve) => setTimeout(resolve, 300));
    const before = pings(manager);
    const askedThen = asked;
    await waitFor(() => asked > askedThen + 5, 'it is asked on and on');
    assert.equal(pings(manager), before);
    well = true;
    await manager.hears(PING, before + 2);
    watchdog?.stop();
  } finally {
    delete process.env.NOTIFY_SOCKET;
    delete process.env.WATCHDOG_USEC;
  }
});

test('a ping that cannot be sent is said: a warning, or what onError does', async () => {
  const program = async (own: boolean) => {
    const { sdWatchdog } = await import('ksocket/systemd');
    let watchdog: ReturnType<typeof sdWatchdog>;
    const end = (error: Error) => {
      console.log(error.message);
      watchdog?.stop();
      clearInterval(running);
    };
    const running = setInterval(() => {}, 1000);
    if (!own) process.on('warning', end);
    watchdog = sdWatchdog(own ? { onError: end } : {});
  };
  for (const own of [true, false]) {
    const env = { NOTIFY_SOCKET: '/nowhere/notify', WATCHDOG_USEC: USEC, WATCHDOG_PID: undefined };
    const { stdout, stderr } = await runProgram(program, [own], { env, execArgv: ['--no-warnings'] });
    assert.match(stdout, /^\w+ ENOENT .*\/nowhere\/notify\n/);
    assert.equal(stderr, '');
  }
});

test('a malformed environment, and options that are none', () => {
  Object.assign(process.env, { NOTIFY_SOCKET: '/nowhere' });
  try {
    for (const usec of ['', '0', '-5', '1e6', 'soon', '9'.repeat(21)]) {
      process.env.WATCHDOG_USEC = usec;
      assert.throws(() => sdWatchdog(), {
        code: 'ERR_KSOCKET_SYSTEMD',
        message: /WATCHDOG_USEC must be a whole number/,
      });
    }
    process.env.WATCHDOG_USEC = USEC;
    process.env.WATCHDOG_PID = 'me';
    assert.throws(() => sdWatchdog(), { code: 'ERR_KSOCKET_SYSTEMD', message: /WATCHDOG_PID/ });
  } finally {
    for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) delete process.env[name];
  }
  const wrong: [unknown, string][] = [
    [null, 'ERR_INVALID_ARG_TYPE'],
    [{ check: true }, 'ERR_INVALID_ARG_TYPE'],
    [{ onError: 'log' }, 'ERR_INVALID_ARG_TYPE'],
    [{ onerror: () => {} }, 'ERR_INVALID_ARG_VALUE'],
  ];
  for (const [options, code] of wrong) {
    assert.throws(() => sdWatchdog(options as SystemdWatchdogOptions), { code });
  }
});
