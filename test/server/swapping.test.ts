// update() and protect() that come while others take effect: the latest takes the place of those before it.
import assert from 'node:assert/strict';
import { createServer, type Rule } from 'ksocket';
import { test } from '../support/test.js';

const named = (name: string): Rule[] => [{ name, action: 'echo' }];
const HERE = { address: '127.0.0.1', port: 0 };

test('calls that come together are one: each resolves, in order, when the latest is in force', async () => {
  const server = createServer({ ...HERE, rules: named('first'), deny: [] });
  await server.start();
  const resolved: [string, string[]][] = [];
  const said = (what: string) => () => void resolved.push([what, Object.keys(server.ruleHits())]);
  await Promise.all([
    server.update(named('a')).then(said('a')),
    server.protect({ deny: ['203.0.113.1'] }).then(said('deny')),
    server.update(named('b')).then(said('b')),
    server.protect({}).then(said('nobody')),
    server.update(named('c')).then(said('c')),
  ]);
  assert.deepEqual(
    resolved,
    ['a', 'deny', 'b', 'nobody', 'c'].map((what) => [what, ['c']]),
  );
  await server.stop();
});

test('what else changes the server keeps its place among them', async () => {
  const server = createServer({ ...HERE, rules: named('first') });
  await server.start();
  const resolved: unknown[] = [];
  const said = (what: string) => () => void resolved.push([what, server.running, Object.keys(server.ruleHits())]);
  await Promise.all([
    server.update(named('a')).then(said('a')),
    server.stop().then(said('stop')),
    server.update(named('b')).then(said('b')),
    server.update(named('c')).then(said('c')),
    server.start().then(said('start')),
    server.update(named('d')).then(said('d')),
  ]);
  assert.deepEqual(resolved, [
    ['a', true, ['a']],
    ['stop', false, []],
    ['b', false, []],
    ['c', false, []],
    ['start', true, ['c']],
    ['d', true, ['d']],
  ]);
  await server.stop();
});

test('who is wrong hears of it, also where another takes the place; the others do not', async () => {
  const server = createServer({ ...HERE, rules: named('first'), deny: [] });
  await server.start();
  const own = { name: 'own', action: { forward: { address: '127.0.0.1', port: server.address()?.port ?? 0 } } };
  const nowhere = { name: 'nowhere', action: { forward: { address: 'no.such.host.invalid', port: 1 } } };
  const said = await Promise.allSettled([
    server.update([own]),
    server.update(named('a')),
    server.update([{ action: 'nonsense' as never }]),
    server.protect({ deny: ['nobody'] }),
    server.update([nowhere]),
  ]);
  const codes = said.map((each) => (each.status === 'rejected' ? each.reason.code : 'ok'));
  assert.deepEqual(codes.slice(0, 4), [
    'ERR_INVALID_ARG_VALUE',
    'ok',
    'ERR_INVALID_ARG_VALUE',
    'ERR_INVALID_ARG_VALUE',
  ]);
  assert.ok(['ENOTFOUND', 'EAI_AGAIN'].includes(codes[4]), codes[4]);
  assert.deepEqual(Object.keys(server.ruleHits()), ['a']);
  await assert.rejects(Promise.all([server.update([own]), server.update([own])]), { code: 'ERR_INVALID_ARG_VALUE' });
  assert.deepEqual(Object.keys(server.ruleHits()), ['a']);
  await server.stop();
});
