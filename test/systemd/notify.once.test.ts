// sdNotify(): what a service tells its manager, over a local socket of another program's.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type SystemdState, sdNotify } from 'ksocket/systemd';
import { Manager } from '../support/activated.js';
import { runProgram } from '../support/child.js';
import { heldAtRest, untilHeldIs } from '../support/process.js';
import { test } from '../support/test.js';

/** `process.env` with this NOTIFY_SOCKET, until it is disposed of. */
class Notified implements Disposable {
  readonly #before = process.env.NOTIFY_SOCKET;
  constructor(address: string | undefined) {
    if (address === undefined) delete process.env.NOTIFY_SOCKET;
    else process.env.NOTIFY_SOCKET = address;
  }
  [Symbol.dispose](): void {
    if (this.#before === undefined) delete process.env.NOTIFY_SOCKET;
    else process.env.NOTIFY_SOCKET = this.#before;
  }
}

const monotonicUs = () => process.hrtime.bigint() / 1000n;

for (const abstract of [false, true]) {
  test(`each thing that is said, to ${abstract ? 'an abstract name' : 'a path'}`, async () => {
    await using manager = await new Manager(abstract).start();
    using _ = new Notified(manager.address);
    const before = await heldAtRest();
    const said: [SystemdState, string[]][] = [
      [{ ready: true, status: 'listening on port 7: é ☃' }, ['READY=1', 'STATUS=listening on port 7: \\xe9 \\u2603']],
      [{ status: '' }, ['STATUS=']],
      [{ watchdog: true }, ['WATCHDOG=1']],
      [{ watchdog: 'trigger' }, ['WATCHDOG=trigger']],
      [{ mainPid: process.pid, ready: false }, [`MAINPID=${process.pid}`]],
      [{ extendTimeoutMs: 5000 }, ['EXTEND_TIMEOUT_USEC=5000000']],
      [{ stopping: true, errno: 2, status: 'no rules' }, ['STOPPING=1', 'STATUS=no rules', 'ERRNO=2']],
    ];
    for (const [state] of said) assert.equal(await sdNotify(state), true);
    await manager.hears('ERRNO=2');
    assert.deepEqual(
      manager.told,
      said.map(([, lines]) => ({ pid: process.pid, lines })),
    );
    await untilHeldIs(before);
  });
}

test('RELOADING=1 says when, by the manager’s clock', async () => {
  await using manager = await new Manager().start();
  using _ = new Notified(manager.address);
  const before = monotonicUs();
  await sdNotify({ reloading: true });
  const after = monotonicUs();
  await manager.hears('RELOADING=1');
  const [{ lines }] = manager.told;
  assert.equal(lines.length, 2);
  const [, usec] = /^MONOTONIC_USEC=(\d+)$/.exec(lines[1]) ?? [];
  assert.ok(BigInt(usec) >= before && BigInt(usec) <= after, `${before} ${usec} ${after}`);
});

test('messages that are not waited for arrive in order, more than the receiver has room for', async () => {
  await using manager = await new Manager().start();
  using _ = new Notified(manager.address);
  const all = Array.from({ length: 300 }, (_, i) => sdNotify({ status: `${i}` }));
  assert.ok((await Promise.all(all)).every((sent) => sent));
  await manager.hears('STATUS=299');
  assert.deepEqual(
    manager.lines,
    Array.from({ length: 300 }, (_, i) => `STATUS=${i}`),
  );
});

test('where nobody wants to know nothing is sent, and what is wrong is wrong all the same', async () => {
  for (const address of [undefined, '']) {
    using _ = new Notified(address);
    assert.equal(await sdNotify({ ready: true }), false);
    await assert.rejects(sdNotify({ ready: 1 } as unknown as SystemdState), { code: 'ERR_INVALID_ARG_TYPE' });
  }
});

test('a manager that is not there is an error with its address', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'ksocket-test-'));
  const before = await heldAtRest();
  try {
    const file = join(directory, 'file');
    writeFileSync(file, '');
    const wrong: [string, string, string][] = [
      [join(directory, 'none'), 'ENOENT', join(directory, 'none')],
      [file, 'ECONNREFUSED', file],
      ['@ksocket-test-nobody', 'ECONNREFUSED', '\0ksocket-test-nobody'],
    ];
    for (const [address, code, shown] of wrong) {
      using _ = new Notified(address);
      await assert.rejects(sdNotify({ ready: true }), { code, address: shown });
    }
    for (const address of ['relative', '@', '/', 'vsock:2:1234']) {
      using _ = new Notified(address);
      await assert.rejects(sdNotify({ ready: true }), {
        code: 'ERR_KSOCKET_SYSTEMD',
        message: `The environment variable NOTIFY_SOCKET must be a path from / on, or '@' and an abstract name. Received '${address}'`,
      });
    }
    using _ = new Notified(`/${'x'.repeat(200)}`);
    await assert.rejects(sdNotify({ ready: true }), { code: 'ENAMETOOLONG' });
  } finally {
    rmSync(directory, { recursive: true });
  }
  await untilHeldIs(before);
});

test('what cannot be said is refused, with the property', async () => {
  const wrong: [unknown, string, RegExp][] = [
    [undefined, 'ERR_INVALID_ARG_TYPE', /"state"/],
    ['READY=1', 'ERR_INVALID_ARG_TYPE', /"state"/],
    [{}, 'ERR_INVALID_ARG_VALUE', /'state' says nothing/],
    [{ ready: false }, 'ERR_INVALID_ARG_VALUE', /'state' says nothing/],
    [{ redy: true }, 'ERR_INVALID_ARG_VALUE', /'state\.redy' is not known \(did you mean 'ready'\?\)/],
    [{ status: 'a\nREADY=1' }, 'ERR_INVALID_ARG_VALUE', /'state\.status' must be one line/],
    [{ status: 7 }, 'ERR_INVALID_ARG_TYPE', /"state\.status"/],
    [
      { ready: true, reloading: true },
      'ERR_INVALID_ARG_VALUE',
      /'state\.reloading' cannot be given together with ready/,
    ],
    [{ watchdog: 'now' }, 'ERR_INVALID_ARG_TYPE', /"state\.watchdog"/],
    [{ mainPid: 0 }, 'ERR_OUT_OF_RANGE', /"state\.mainPid"/],
    [{ errno: -2 }, 'ERR_OUT_OF_RANGE', /"state\.errno"/],
    [{ extendTimeoutMs: 0.5 }, 'ERR_OUT_OF_RANGE', /"state\.extendTimeoutMs"/],
  ];
  for (const [state, code, message] of wrong) await assert.rejects(sdNotify(state as SystemdState), { code, message });
});

test('a manager that does not read is given up after ten seconds', async () => {
  await using manager = await new Manager().start();
  using _ = new Notified(manager.address);
  const before = await heldAtRest();
  await manager.stops();
  const begin = performance.now();
  const results = await Promise.allSettled([1, 2, 3].map((n) => sdNotify({ status: `${n}` })));
  const took = performance.now() - begin;
  assert.ok(took > 9_900 && took < 20_000, `${took}`);
  for (const result of results) {
    const { code, syscall, address } = (result as PromiseRejectedResult).reason;
    assert.deepEqual([code, syscall, address], ['ETIMEDOUT', 'send', manager.address]);
  }
  await untilHeldIs(before);
  manager.goesOn();
  assert.equal(await sdNotify({ status: 'again' }), true);
  await manager.hears('STATUS=again');
  assert.equal(manager.lines.includes('STATUS=1'), false, 'what was given up is not sent later');
});

test('what was said before the end of a program is told, though nobody has waited', async () => {
  await using manager = await new Manager().start();
  const program = async () => {
    const { sdNotify } = await import('ksocket/systemd');
    sdNotify({ stopping: true });
  };
  const { code, stderr } = await runProgram(program, [], { env: { NOTIFY_SOCKET: manager.address } });
  assert.deepEqual([code, stderr], [0, '']);
  await manager.hears('STOPPING=1');
});

test('without the addon nobody can be told, and who is not asked needs none', async () => {
  const program = async () => {
    const { sdNotify, sdWatchdog } = await import('ksocket/systemd');
    console.log(await sdNotify({ ready: true }), sdWatchdog());
    process.env.NOTIFY_SOCKET = '/nowhere';
    process.env.WATCHDOG_USEC = '1000000';
    await sdNotify({ ready: true }).catch((error) => console.log(error.code));
    try {
      sdWatchdog();
    } catch (error) {
      console.log((error as NodeJS.ErrnoException).code);
    }
  };
  const env = { KSOCKET_BACKEND: 'dgram', KSOCKET_ENGINE: undefined, NOTIFY_SOCKET: undefined };
  const { stdout } = await runProgram(program, [], { env });
  assert.equal(stdout, 'false undefined\nERR_KSOCKET_NEEDS_ADDON\nERR_KSOCKET_NEEDS_ADDON\n');
});
