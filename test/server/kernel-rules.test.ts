// Rules that heed what the kernel says, as another host sees their answers: each case of kernel-rules.ts in a network of
// its own.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, createSocket, type Rule, type Server } from 'ksocket';
import { Child, runProgram } from '../support/child.js';
import { descriptorOf, kernelOptions } from '../support/kernel-options.js';
import { inNamespace } from '../support/namespace.js';
import { kernelPreload } from '../support/programs.js';
import { test } from '../support/test.js';
import { cases } from './kernel-rules.js';

for (const name of Object.keys(cases)) {
  test(`rules and the kernel: ${name}`, async () => {
    const [command, ...args] = [...inNamespace('true'), process.execPath, 'build-test/server/kernel-rules.js', name];
    await using child = new Child(command, args);
    const { code, stdout, stderr } = await child.end();
    assert.equal(code, 0, `${stdout}${stderr}`);
    assert.equal(stdout, `${name}: done\n`);
  });
}

const portOf = (server: Server) => server.address()?.port ?? assert.fail('not started');

test('the kernel is asked for what rules need as long as they do, and for nothing else', async () => {
  // IP_RECVTTL, IP_RECVTOS and IP_PKTINFO; a server with an address of its own needs to be told of no other.
  const asked = (server: Server) => {
    return kernelOptions(descriptorOf(portOf(server)), ['s.IPPROTO_IP, 12', 's.IPPROTO_IP, 13', 's.IPPROTO_IP, 8']);
  };
  for (const [address, wildcard] of [
    ['127.0.0.1', 0],
    ['0.0.0.0', 1],
  ] as const) {
    const plain: Rule[] = [{ match: { exact: 'ping' }, action: { reply: 'pong' } }];
    const heeding = (match: Rule['match']): Rule[] => [{ match, action: { reply: 'pong' } }, ...plain];
    const server = createServer({ port: 0, address, rules: plain });
    await server.start();
    try {
      assert.deepEqual(asked(server), [0, 0, wildcard]);
      await server.update(heeding({ ttl: 64 }));
      assert.deepEqual(asked(server), [1, 0, wildcard]);
      await server.update(heeding({ ecn: 0, ttl: { min: 1, max: 255 } }));
      assert.deepEqual(asked(server), [1, 1, wildcard]);
      await server.update(heeding({ dscp: 0, local: '127.0.0.0/8' }));
      assert.deepEqual(asked(server), [0, 1, wildcard]);
      const socket = createSocket('udp4');
      const heard = once(socket, 'message');
      socket.send('anything', portOf(server), '127.0.0.1');
      assert.equal(`${(await heard)[0]}`, 'pong');
      socket.close();
      await server.update(plain);
      assert.deepEqual(asked(server), [0, 0, wildcard]);
    } finally {
      await server.stop();
    }
  }
});

test('what the kernel refuses to say is an error that names the rule and the option', async () => {
  const program = async (address: string, match: Rule['match']) => {
    const { createServer } = await import('ksocket');
    const say = ({ message, code, syscall }: NodeJS.ErrnoException) => console.log(`${code} ${syscall}: ${message}`);
    const rules = [{ name: 'near', match, action: 'echo' as const }];
    const refused = createServer({ port: 0, address, rules });
    await refused.start().catch(say);
    const server = createServer({ port: 0, address, rules: [{ match: { exact: 'a' }, action: 'echo' }] });
    await server.start();
    await server.update(rules).catch(say);
    await server.stop();
  };
  for (const [lacks, address, match, option] of [
    ['0:12', '127.0.0.1', { ttl: 255 }, 'IP_RECVTTL'],
    ['41:51', '::1', { ttl: 255 }, 'IPV6_RECVHOPLIMIT'],
    ['0:13', '127.0.0.1', { dscp: 46 }, 'IP_RECVTOS'],
    ['41:66', '::1', { ecn: 3 }, 'IPV6_RECVTCLASS'],
    ['0:8', '0.0.0.0', { local: '127.0.0.1' }, 'IP_PKTINFO'],
    ['41:49', '::', { local: '127.0.0.1' }, 'IPV6_RECVPKTINFO'],
    ['41:49', '::ffff:0.0.0.0', { local: '127.0.0.1' }, 'IPV6_RECVPKTINFO'],
  ] as const) {
    const env = { LD_PRELOAD: kernelPreload, KERNEL_LACKS: `${lacks}:92` };
    const { code, stdout, stderr } = await runProgram(program, [address, match], { env });
    assert.deepEqual([stderr, code], ['', 0]);
    const lines = stdout.trim().split('\n');
    assert.equal(lines.length, 2, option);
    const expected = new RegExp(`^ENOPROTOOPT setsockopt: .*"near": match\\.${Object.keys(match)[0]} .*${option}\\b`);
    for (const line of lines) assert.match(line, expected);
  }
});

test('rules of which the kernel refuses a part leave nothing on that those before them do not need', async () => {
  const program = async (helper: string) => {
    const { createServer } = await import('ksocket');
    const { descriptorOf, kernelOptions }: typeof import('../support/kernel-options.js') = await import(helper);
    const server = createServer({ port: 0, address: '127.0.0.1', rules: [{ match: { exact: 'a' }, action: 'echo' }] });
    await server.start();
    const tryBoth = async () => {
      const refused = await server.update([{ match: { ttl: 255, ecn: 1 }, action: 'echo' }]).catch(({ code }) => code);
      const [asked] = kernelOptions(descriptorOf(server.address()?.port as number), ['s.IPPROTO_IP, 12']);
      console.log(`${refused}, IP_RECVTTL ${asked}`);
    };
    await tryBoth();
    await server.update([{ match: { ttl: 9 }, action: 'echo' }]);
    await tryBoth();
    await server.stop();
  };
  const helper = new URL('../support/kernel-options.js', import.meta.url).href;
  const env = { LD_PRELOAD: kernelPreload, KERNEL_LACKS: '0:13:92' };
  const { code, stdout, stderr } = await runProgram(program, [helper], { env });
  assert.deepEqual([stderr, code], ['', 0]);
  assert.equal(stdout, 'ENOPROTOOPT, IP_RECVTTL 0\nENOPROTOOPT, IP_RECVTTL 1\n');
});
