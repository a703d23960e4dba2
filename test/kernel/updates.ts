// A program: one case of what the kernel answers while rules, lists and limits are swapped, in the network namespace that it is started in
// (updates.once.test.ts).
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { setTimeout } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { type Rule, slot } from 'ksocket';
import { Asker, answeredAll, ask, hasProgram, portOf } from '../support/kernel.js';
import { hosts, inKernel, OURS_V4, OURS_V6, saying, serving } from '../support/kernel-server.js';
import { OURS } from '../support/second-host.js';
import { waitFor } from '../support/wait.js';

/** From an odd address to an even one: 126 networks each, of which the kernel takes a quarter of a million. */
const tooMany = Array.from(
  { length: 3000 },
  (_, i) => `2001:${i.toString(16)}::1-2001:${i.toString(16)}:ffff:ffff:ffff:ffff:ffff:fffe`,
);

export const cases: Record<string, () => Promise<void>> = {
  'every answer is of one whole set of rules, however often they are swapped': async () => {
    await using host = await hosts();
    const server = serving({ rules: [saying('r0')], kernel: { interfaces: [OURS] } });
    await server.start();
    const asker = await Asker.start(host.before, OURS_V4, portOf(server), 40_000, 4000);
    for (let i = 1; i <= 1000; i++) {
      // Each third set leaves all to the thread.
      const rule = saying(`r${i}`);
      await server.update(
        i % 3 === 0 ? [{ name: `d${i}`, match: { exact: 'nobody says this' }, action: 'deliver' }, rule] : [rule],
      );
    }
    const asked = await asker.end();
    assert.ok(answeredAll(asked), JSON.stringify({ ...asked, words: 0 }));
    assert.ok(Object.keys(asked.words).length > 100, `${Object.keys(asked.words).length} sets have answered`);
    assert.deepEqual(server.ruleHits().say, 40_000);
    assert.equal(server.stats().answering.replies, 40_000);
    await server.update([saying('last')]);
    assert.deepEqual((await ask(host.before, OURS_V4, portOf(server), 50)).words, { last: 50 });
    await server.stop();
  },

  'numbers of replies go on whatever rules are called, and no two are the same': async () => {
    await using host = await hosts();
    const numbered = (...names: string[]): Rule[] =>
      names.map((name, i) => ({
        name,
        match: { prefix: i < names.length - 1 ? 'no' : '' },
        action: { reply: [slot.counter(8)], amplify: true },
      }));
    const server = serving({ rules: numbered('n'), kernel: { interfaces: [OURS] } });
    await server.start();
    const asker = await Asker.start(host.before, OURS_V4, portOf(server), 8000, 4000);
    for (let i = 0; i < 60; i++)
      await server.update(numbered(...Array.from({ length: i % 7 }, (_, n) => `x${n}`), 'n'));
    const { numbers } = await asker.end();
    assert.deepEqual(numbers, [0, 7999]);
    await server.update(numbered('other'));
    await server.update(numbered('n'));
    assert.deepEqual((await ask(host.before, OURS_V4, portOf(server), 10)).numbers, [0, 9]);
    await server.stop();
  },

  'the event loop goes on while the kernel verifies, and each update is in force when it resolves': async () => {
    await using host = await hosts();
    const server = serving({ kernel: { interfaces: [OURS] } });
    await server.start();
    const many = (word: string): Rule[] => [
      ...Array.from({ length: 1000 }, (_, i) => ({
        match: { prefix: `rule ${i}` },
        action: { reply: `answer ${i}`, amplify: true },
      })),
      saying(word),
    ];
    const delay = monitorEventLoopDelay({ resolution: 1 });
    delay.enable();
    const begin = performance.now();
    await server.update(many('r1'));
    const took = performance.now() - begin;
    await setTimeout(10); // the last turn counts, too
    delay.disable();
    assert.ok(delay.max / 1e6 < took / 2 + 20, `${delay.max / 1e6} of ${took} ms`);
    const inForce: string[] = [];
    const updates = ['r2', 'r3', 'r4'].map((word) => server.update(many(word)).then(() => inForce.push(word)));
    const stopped = server.stop();
    await Promise.all(updates);
    assert.deepEqual(inForce, ['r2', 'r3', 'r4']);
    await stopped;
    assert.equal(hasProgram(OURS), false);
    await server.start();
    assert.deepEqual((await ask(host.before, OURS_V4, portOf(server), 10)).words, { r4: 10 });
    const last = server.update([saying('last')]);
    assert.deepEqual(server.ruleHits().say, 10);
    await last;
    assert.deepEqual((await ask(host.before, OURS_V4, portOf(server), 10)).words, { last: 10 });
    await server.stop();
  },

  'calls that come while one loads are loaded once, with the latest of them': async () => {
    await using host = await hosts();
    const server = serving({ kernel: { interfaces: [OURS] }, deny: [] });
    await server.start();
    const resolved: [string, string[]][] = [];
    const said = (what: string) => () => void resolved.push([what, Object.keys(server.ruleHits())]);
    const named = (name: string): Rule[] => [{ ...saying(name), name }];
    const first = server.update(named('a')).then(said('a'));
    await new Promise(setImmediate); // it loads
    await Promise.all([
      first,
      server.update(named('b')).then(said('b')),
      server.protect({ deny: ['192.0.2.2'] }).then(said('deny')),
      server.update(named('c')).then(said('c')),
      server.protect({ deny: ['203.0.113.1'] }).then(said('other')),
      server.update(named('d')).then(said('d')),
    ]);
    assert.deepEqual(resolved, [['a', ['a']], ...['b', 'deny', 'c', 'other', 'd'].map((what) => [what, ['d']])]);
    assert.deepEqual((await ask(host.before, OURS_V4, portOf(server), 20)).words, { d: 20 });
    assert.equal(inKernel(server), 20);
    await server.stop();
  },

  'of calls that come together who has given what the kernel refuses hears of it, and nobody else': async () => {
    await using host = await hosts();
    const server = serving({ kernel: { interfaces: [OURS], required: true }, deny: [] });
    await server.start();
    const said = await Promise.allSettled([
      server.update([saying('a')]),
      server.protect({ deny: tooMany }),
      server.update([saying('b')]),
      server.protect({ deny: ['203.0.113.1'] }),
      server.protect({ deny: tooMany }),
    ]);
    const codes = said.map((each) => (each.status === 'rejected' ? each.reason.code : 'ok'));
    assert.deepEqual(codes, ['ok', 'ENOTSUP', 'ok', 'ok', 'ENOTSUP']);
    assert.deepEqual((await ask(host.before, OURS_V4, portOf(server), 20)).words, { b: 20 });
    assert.equal(inKernel(server), 20);
    await server.stop();
  },

  'a worker that is ended while the kernel verifies or attaches leaves nothing': async () => {
    await using _ = await hosts();
    const verifies = `
      const server = require('ksocket').createServer({ port: 0, rules: [], kernel: true });
      const rules = Array.from({ length: 1000 }, (_, i) => ({ match: { prefix: 'rule ' + i }, action: { reply: 'answer ' + i, amplify: true } }));
      server.start().then(() => { server.update(rules); setTimeout(() => require('node:worker_threads').parentPort.postMessage(0), 5); });`;
    const attaches = `
      require('ksocket').createServer({ port: 0, rules: [], kernel: true }).start();
      setTimeout(() => require('node:worker_threads').parentPort.postMessage(0), Math.random() * 20);`;
    for (let i = 0; i < 15; i++) {
      const worker = new Worker(i < 5 ? verifies : attaches, { eval: true });
      await once(worker, 'message');
      await worker.terminate();
      await waitFor(() => !hasProgram(OURS) && !hasProgram('lo'));
    }
  },

  'what the kernel refuses later leaves the thread’s answers and the counts right': async () => {
    await using host = await hosts();
    const server = serving({ rules: [saying('r1')], kernel: { interfaces: [OURS] } });
    const strict = serving({ kernel: { interfaces: [OURS], required: true }, deny: ['203.0.113.0/24'] });
    await server.start();
    await strict.start();
    assert.ok(answeredAll(await ask(host.before, OURS_V4, portOf(server), 50)));
    // Who is to give descriptors again is there while there still are some.
    const again = spawn('sh', ['-c', `read _; exec prlimit --pid ${process.pid} --nofile=4096:`]);
    const free = openSync('/dev/null', 'r');
    closeSync(free);
    execFileSync('prlimit', ['--pid', `${process.pid}`, `--nofile=${free}:`]);
    await assert.rejects(strict.update([saying('never')]), { code: 'EMFILE', syscall: 'bpf' });
    await server.update([{ name: 'other', match: { exact: 'x' }, action: 'drop' }, saying('r2')]);
    again.stdin.end('\n');
    await once(again, 'exit');
    assert.match(server.kernel.reason ?? '', /^EMFILE: needs free descriptors/);
    assert.deepEqual(server.ruleHits(), { other: 0, say: 50 });
    assert.deepEqual((await ask(host.before, OURS_V4, portOf(server), 20)).words, { r2: 20 });
    assert.deepEqual(server.ruleHits(), { other: 0, say: 70 });
    await server.update([saying('r3')]);
    assert.equal(server.kernel.state, 'attached');
    assert.deepEqual((await ask(host.before, OURS_V4, portOf(server), 20)).words, { r3: 20 });
    assert.deepEqual(server.ruleHits(), { say: 90 });
    assert.deepEqual((await ask(host.before, OURS_V4, portOf(strict), 20)).words, { k: 20 });
    await assert.rejects(strict.protect({ deny: tooMany }), {
      code: 'ENOTSUP',
      message: /the lists have too many networks/,
    });
    assert.deepEqual((await ask(host.before, OURS_V4, portOf(strict), 20)).words, { k: 20 });
    assert.equal(inKernel(strict), 40);
    await strict.stop();
    await server.stop();
  },

  'lists and limits are swapped, too': async () => {
    await using host = await hosts();
    const server = serving({ deny: ['203.0.113.0/24'] });
    await server.start();
    assert.ok(answeredAll(await ask(host.before, OURS_V4, portOf(server), 50)));
    await server.protect({ deny: ['192.0.2.2'] });
    assert.equal((await ask(host.before, OURS_V4, portOf(server), 50)).answered, 0);
    assert.ok(answeredAll(await ask(host.before, OURS_V6, portOf(server), 50)));
    assert.equal(server.stats().answering.denied, 50);
    await server.protect({ limits: { perSource: { rate: 1, burst: 10 } } });
    const { answered } = await ask(host.before, OURS_V4, portOf(server), 50);
    assert.ok(answered >= 10 && answered <= 12, `${answered} of 50`);
    await server.protect({});
    assert.ok(answeredAll(await ask(host.before, OURS_V4, portOf(server), 50)));
    assert.equal(server.stats().rxDatagrams, 0);
    await server.stop();
  },
};

const body = cases[process.argv[2]];
if (body !== undefined) {
  await body();
  console.log(`${process.argv[2]}: done`);
}
