// What `loops` is by default, and which values it takes.
import assert from 'node:assert/strict';
import { checkLoops } from '../../build-lib/server/loops.js';
import { test } from '../support/test.js';

const services = [7, 13, 17, 19, 37, 53, 69, 123];
const repeats = { rate: 100, burst: 16_384 };

test('the guard is on: services get no echo, and what repeats 16 384 answers and 100 a second', () => {
  const defaults = { servicePorts: services, servicesGetReplies: true, repeats };
  for (const given of [undefined, {}, { servicePorts: undefined, repeats: undefined }, { repeats: {} }]) {
    assert.deepEqual(checkLoops(given), defaults);
  }
  assert.equal(checkLoops(false), undefined);
});

test('what is given is taken', () => {
  assert.deepEqual(checkLoops({ servicePorts: true })?.servicePorts, services);
  assert.equal(checkLoops({ servicePorts: true })?.servicesGetReplies, false);
  assert.deepEqual(checkLoops({ servicePorts: [5, 6] })?.servicePorts, [5, 6]);
  assert.deepEqual(checkLoops({ servicePorts: false })?.servicePorts, []);
  assert.deepEqual(checkLoops({ repeats: { rate: 5 } })?.repeats, { ...repeats, rate: 5 });
  assert.deepEqual(checkLoops({ repeats: { burst: 5 } })?.repeats, { ...repeats, burst: 5 });
  assert.equal(checkLoops({ repeats: false })?.repeats, undefined);
});
