import assert from 'node:assert/strict';
import { runClient } from '../support/clients.js';
import { startBlocked } from '../support/examples.js';
import { bound, Inbox, Sockets, sent } from '../support/peer.js';
import { test } from '../support/test.js';

for (const address of ['127.0.0.1', '::1']) {
  test(`coturn's client learns its address from the STUN server on ${address}, whose loop is blocked`, async () => {
    const { child, port } = await startBlocked('stun', 'stunServer', { address });
    await using _ = child;
    const { code, stdout } = await runClient('coturn', 'turnutils_stunclient', '-p', `${port}`, address);
    assert.equal(code, 0);
    // The client binds to any address, so it only knows the port of its own.
    const [, mapped, mappedPort] = /UDP reflexive addr: (.+):(\d+)$/m.exec(stdout) ?? [];
    assert.equal(mapped, address, stdout);
    assert.ok(Number(mappedPort) > 0 && Number(mappedPort) !== port, stdout);
  });
}

test('attributes that the STUN server may ignore are ignored, others are refused with 420', async () => {
  const { child, port } = await startBlocked('stun', 'stunServer', {});
  await using _ = child;
  await using sockets = new Sockets();
  const socket = sockets.makePeer();
  await bound(socket);
  const inbox = new Inbox(socket);
  const id = '2112a442000102030405060708090a0b';
  const ask = async (attribute: string) => {
    const request = Buffer.from(`00010008${id}${attribute}`, 'hex');
    const answers = inbox.all.length + 1;
    await sent(socket, request, port);
    return (await inbox.take(answers)).at(-1)?.data.toString('hex');
  };
  assert.match((await ask('8022000474657374')) ?? '', new RegExp(`^01010018${id}00200008`)); // SOFTWARE
  assert.equal(await ask('0003000400000002'), `01110010${id}0009000400000414000a000200030000`); // CHANGE-REQUEST
});
