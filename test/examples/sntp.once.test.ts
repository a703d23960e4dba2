import assert from 'node:assert/strict';
import { runClient } from '../support/clients.js';
import { startBlocked } from '../support/examples.js';
import { test } from '../support/test.js';

test("ntpsec's client gets the time of an SNTP server whose loop is blocked", async () => {
  // The client has no option for the port; a loopback address of our own makes 123 free.
  const address = `127.123.${(process.pid >> 8) & 255}.${process.pid & 255}`;
  const { child } = await startBlocked('sntp', 'sntpServer', { address, port: 123, stratum: 7 });
  await using _ = child;
  const { code, stdout, stderr } = await runClient('ntpsec-ntpdig', 'ntpdig', '-j', address);
  assert.equal(code, 0, stderr);
  const { host, ip, stratum, leap, offset } = JSON.parse(stdout);
  assert.deepEqual({ host, ip, stratum, leap }, { host: address, ip: address, stratum: 7, leap: 'no-leap' });
  assert.ok(Math.abs(offset) < 1, stdout);
});
