// Rules that heed what the kernel says, as another host sees their answers: each case of kernel-rules.ts in a network of
// its own.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createServer, createSocket, type Rule, type Server } from 'ksocket';
import { Child, runProgram } from '../support/child.js';
import { kernelOptions } from '../support/kernel-options.js';
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

/** Of this process's UDP socket that is bound to the port. */
function descriptorOf(port: number): number {
  const wanted = port.toString(16).toUpperCase().padStart(4, '0');
  const lines = readFileSync('/proc/net/udp', 'utf8').trim().split('\n').slice(1);
  const inodes = lines.map((line) => line.trim().split(/\s+/)).filter(([, local]) => local.endsWith(`:${wanted}`));
  for (const name of readdirSync('/proc/self/fd')) {
    try {
      const link = readlinkSync(`/proc/self/fd/${name}`);
      if (inodes.some((fields) => link === `socket:[${fields[9]}]`)) return Number(name);
    } catch {} // that of the listing itself
  }
  return assert.fail(`no socket has port ${port}`);
}

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
  const program = async () => {
    const { createServer } = await import('ksocket');
    const say = ({ message, code, syscall }: NodeJS.ErrnoException) => console.log(`${code} ${syscall}: ${message}`);
    const rules = [{ name: 'near', match: { ttl: 255 }, action: 'echo' as const }];
    const refused = createServer({ port: 0, address: '127.0.0.1', rules });
    await refused.start().catch(say);
    const server = createServer({
      port: 0,
      address: '127.0.0.1',
      rules: [{ match: { exact: 'a' }, action: 'echo' }],
    });
    await server.start();
    try {
      await server.update(rules);
    } catch (error) {
      say(error as NodeJS.ErrnoException);
    }
    await server.stop();
  };
  const env = { LD_PRELOAD: kernelPreload, KERNEL_LACKS: '0:12:92' };
  const { code, stdout, stderr } = await runProgram(program, [], { env });
  assert.deepEqual([stderr, code], ['', 0]);
  const lines = stdout.trim().split('\n');
  assert.equal(lines.length, 2);
  for (const line of lines) assert.match(line, /^ENOPROTOOPT setsockopt: .*"near".*IP_RECVTTL/);
});
