// server.protect(): lists and limits change while the server runs.
import assert from 'node:assert/strict';
import { BlockList } from 'node:net';
import { createServer, type ProtectionOptions, type Server, type ServerOptions } from 'ksocket';
import { bound, Inbox, Sockets, sent } from '../support/peer.js';
import { test } from '../support/test.js';

class Protected implements AsyncDisposable {
  readonly sockets = new Sockets();
  readonly server: Server;
  port = 0;

  constructor(options: ServerOptions) {
    this.server = createServer({ address: '127.0.0.1', port: 0, reply: 'echo', ...options });
  }

  async start(): Promise<this> {
    await this.server.start();
    this.port = this.server.address()?.port ?? 0;
    return this;
  }

  /** Is a datagram from this address answered? One from 127.0.0.9, which always is, is asked behind it. */
  async serves(address: string): Promise<boolean> {
    const asker = await this.#asker(address);
    await sent(asker.socket, 'hello', this.port);
    const witness = await this.#asker('127.0.0.9');
    await sent(witness.socket, 'hello', this.port);
    await witness.inbox.take(1);
    return asker.inbox.all.length > 0;
  }

  /** How many of these are answered, all at once. */
  async served(count: number, address = '127.0.0.1'): Promise<number> {
    const asker = await this.#asker(address);
    const { rxDatagrams } = this.server.stats();
    for (let n = 0; n < count; n++) await sent(asker.socket, 'hello', this.port);
    while (this.server.stats().rxDatagrams - rxDatagrams < count)
      await new Promise((resolve) => setTimeout(resolve, 2));
    await new Promise((resolve) => setTimeout(resolve, 50)); // what is answered is answered in the same batch
    return asker.inbox.all.length;
  }

  async #asker(address: string) {
    const socket = this.sockets.makePeer();
    const inbox = new Inbox(socket);
    await bound(socket, address);
    return { socket, inbox };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.stop();
    await this.sockets[Symbol.asyncDispose]();
  }
}

test('lists are swapped, in the kernel, too, and what is not given is none', async () => {
  await using guarded = await new Protected({ deny: ['127.0.0.2'] }).start();
  const { server } = guarded;
  const expect = async (served: Record<string, boolean>) => {
    for (const [address, is] of Object.entries(served)) assert.equal(await guarded.serves(address), is, address);
  };
  await expect({ '127.0.0.1': true, '127.0.0.2': false });
  const list = new BlockList();
  list.addRange('127.0.0.3', '127.0.0.4');
  assert.equal(await server.protect({ deny: list }), undefined);
  list.addAddress('127.0.0.1');
  await expect({ '127.0.0.1': true, '127.0.0.2': true, '127.0.0.3': false, '127.0.0.4': false });
  await server.protect({ allow: ['127.0.0.8/29'] });
  await expect({ '127.0.0.1': false, '127.0.0.3': false, '127.0.0.10': true });
  await server.protect({ allow: ['127.0.0.0/8'], deny: ['127.0.0.10'] });
  await expect({ '127.0.0.1': true, '127.0.0.10': false });
  await server.protect({});
  await expect({ '127.0.0.1': true, '127.0.0.10': true });
  await server.protect({ deny: ['127.0.0.1'] });
  await expect({ '127.0.0.1': false });
});

test('limits are swapped; one that is as it was keeps what it has counted', async () => {
  const limits = { total: { rate: 1, burst: 3 } };
  await using guarded = await new Protected({ limits }).start();
  const { server } = guarded;
  assert.equal(await guarded.served(10), 3);
  await server.protect({ limits, deny: ['10.0.0.0/8'] });
  const served = await guarded.served(10);
  assert.ok(served <= 2, `${served}: what a second or two have brought`);
  await server.protect({ limits: { total: { rate: 1, burst: 4 } } });
  assert.equal(await guarded.served(10), 4);
  await server.protect({ limits: { perSource: { rate: 1, burst: 2 } } });
  assert.equal(await guarded.served(10, '127.0.0.1'), 2);
  assert.equal(await guarded.served(10, '127.0.0.2'), 2);
  await server.protect({});
  assert.equal(await guarded.served(10), 10);
});

test('rules are what they were, and so are their counts', async () => {
  const rules = [{ name: 'hello', match: { exact: 'hello' }, action: 'echo' as const }];
  await using guarded = await new Protected({ reply: undefined, rules, deny: [] }).start();
  assert.ok(await guarded.serves('127.0.0.1'));
  await guarded.server.protect({ deny: ['127.0.0.1'] });
  assert.ok(!(await guarded.serves('127.0.0.1')));
  assert.deepEqual(guarded.server.ruleHits(), { hello: 3 });
  await guarded.server.update([{ name: 'hello', action: 'drop' }]);
  await guarded.server.protect({ allow: ['127.0.0.0/8'] });
  assert.equal(await guarded.served(3), 0);
  assert.deepEqual(guarded.server.ruleHits(), { hello: 6 });
});

test('a server that does not run has them from its next start on', async () => {
  await using guarded = new Protected({ deny: [] });
  await guarded.server.protect({ deny: ['127.0.0.1'] });
  await guarded.start();
  assert.ok(!(await guarded.serves('127.0.0.1')));
  await guarded.server.stop();
  await guarded.server.protect({});
  await guarded.start();
  assert.ok(await guarded.serves('127.0.0.1'));
  await guarded.server.protect({ deny: ['127.0.0.1'] }); // it was made with lists, also when it has none
  assert.ok(!(await guarded.serves('127.0.0.1')));
});

test('what is wrong changes nothing', async () => {
  await using guarded = await new Protected({ deny: ['127.0.0.1'] }).start();
  const wrong: [unknown, string, RegExp][] = [
    [undefined, 'ERR_INVALID_ARG_TYPE', /"options"/],
    [{ denny: [] }, 'ERR_INVALID_ARG_VALUE', /did you mean 'deny'/],
    [{ deny: ['127.0.0'] }, 'ERR_INVALID_ARG_VALUE', /options\.deny\[0\]/],
    [{ limits: { total: { rate: 0 } } }, 'ERR_OUT_OF_RANGE', /options\.limits\.total\.rate/],
  ];
  for (const [options, code, message] of wrong) {
    await assert.rejects(guarded.server.protect(options as ProtectionOptions), { code, message });
  }
  assert.ok(!(await guarded.serves('127.0.0.1')));
  const open = createServer({ reply: null });
  await assert.rejects(open.protect({ deny: [] }), {
    code: 'ERR_INVALID_STATE',
    message: 'Invalid state: The server was made without lists and limits',
  });
});
