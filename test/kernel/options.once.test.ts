// What may be said of `kernel`, and what is said where it is off.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer, type ServerOptions } from 'ksocket';
import { runCli, runProgram } from '../support/child.js';
import { test } from '../support/test.js';

const refuses = (kernel: unknown, code: string, message: RegExp, more: object = { rules: [] }) => {
  assert.throws(() => createServer({ ...more, kernel } as ServerOptions), { code, message });
};

test('what is no option of kernel is refused, as Node refuses it', () => {
  refuses(
    1,
    'ERR_INVALID_ARG_TYPE',
    /^The "options.kernel" property must be of type boolean or an instance of Object. Received type number/,
  );
  refuses('eth0', 'ERR_INVALID_ARG_TYPE', /^The "options.kernel" property must be/);
  refuses(null, 'ERR_INVALID_ARG_TYPE', /^The "options.kernel" property must be/);
  refuses({ interface: 'lo' }, 'ERR_INVALID_ARG_VALUE', /interfaces/);
  refuses(
    { mode: 'fast' },
    'ERR_INVALID_ARG_VALUE',
    /'options.kernel.mode' must be one of: 'auto', 'native', 'generic'/,
  );
  refuses({ required: 1 }, 'ERR_INVALID_ARG_TYPE', /"options.kernel.required" property must be of type boolean/);
  refuses(
    { interfaces: 'lo' },
    'ERR_INVALID_ARG_TYPE',
    /"options.kernel.interfaces" property must be an instance of Array/,
  );
  refuses({ interfaces: [] }, 'ERR_OUT_OF_RANGE', /"options.kernel.interfaces.length"/);
  refuses(
    { interfaces: ['lo', 1] },
    'ERR_INVALID_ARG_TYPE',
    /"options.kernel.interfaces\[1\]" property must be of type string/,
  );
  for (const name of ['', 'sixteen-letters-', 'a b', 'a/b', 'eth0:1']) {
    refuses(
      { interfaces: [name] },
      'ERR_INVALID_ARG_VALUE',
      /'options.kernel.interfaces\[0\]' must be the name of a network interface/,
    );
  }
});

test('an interface has 1 to 15 bytes of name, and there are 1 to 1024 of them', () => {
  const named = (count: number) => Array.from({ length: count }, (_, n) => `eth${n}`);
  for (const interfaces of [['l'], ['fifteen-letters'], named(1024)]) {
    const server = createServer({ rules: [], kernel: { interfaces } });
    assert.equal(server.kernel.state, 'off');
  }
  refuses({ interfaces: named(1025) }, 'ERR_OUT_OF_RANGE', />= 1 && <= 1024. Received 1025/);
});

test('kernel goes with rules that see whole datagrams', () => {
  refuses(true, 'ERR_INVALID_ARG_VALUE', /cannot be given without rules/, { reply: 'echo' });
  refuses(true, 'ERR_INVALID_ARG_VALUE', /cannot be given together with kernel/, { rules: [], maxBytes: 100 });
  assert.deepEqual(createServer({ reply: 'echo', kernel: false }).kernel, { state: 'off', interfaces: [], passed: {} });
  assert.deepEqual(createServer({ rules: [], kernel: true }).kernel, { state: 'off', interfaces: [], passed: {} });
});

test('without the addon kernel is refused, and features() says so', async () => {
  const { stdout } = await runProgram(
    async () => {
      const { createServer, features } = await import('ksocket');
      try {
        createServer({ rules: [], kernel: true });
      } catch (error) {
        console.log((error as NodeJS.ErrnoException).code, features().kernelAnswers, features().missing.kernelAnswers);
      }
      console.log(createServer({ rules: [], kernel: false }).kernel.state);
    },
    [],
    { env: { KSOCKET_BACKEND: 'dgram' } },
  );
  assert.equal(stdout, "ERR_KSOCKET_NEEDS_ADDON false needs ksocket's addon (docs/backends.md)\noff\n");
});

test('ksocket rules explain says what the kernel answers, what it does not, and why', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'ksocket-test-'));
  const written = (text: string) => {
    const path = join(folder, 'rules.json');
    writeFileSync(path, text);
    return path;
  };
  try {
    const rules = [
      { name: 'ping', match: { exact: 'ping' }, action: { reply: 'pong' } },
      { name: 'page', match: { prefix: 'GET' }, action: 'deliver' },
    ];
    const { code, stdout } = await runCli(['rules', 'explain', written(JSON.stringify(rules))]);
    assert.equal(code, 0);
    const lines = stdout.split('\n');
    assert.deepEqual(lines.slice(0, 3), [
      'kernel  "ping"',
      'thread  "page": deliver: the datagram is for JavaScript',
      'kernel  otherwise',
    ]);
    assert.match(lines[4], /^1 program, \d{3,} instructions$/);
    const config = written(JSON.stringify({ rules, otherwise: 'deliver', port: 7, deny: ['192.0.2.0/24'] }));
    const more = await runCli(['rules', 'explain', config, '--disassemble']);
    assert.match(more.stdout, /^thread {2}otherwise: deliver: /m);
    assert.match(more.stdout, /^map ks_deny: lpm_trie, .*\n(?:.*\n)*0: r6 = r1\n/m);
    // The port is the file's, if the command says none.
    const ported = written(JSON.stringify({ port: 53, rules: [{ match: { destinationPort: 53 }, action: 'drop' }] }));
    assert.match((await runCli(['rules', 'explain', ported])).stdout, /^kernel {2}"#0"$/m);
    const other = await runCli(['rules', 'explain', ported, '--port', '54']);
    assert.match(other.stdout, /never matches: the socket has another port/);
    const wrong = await runCli(['rules', 'explain', written('[{ "action": "ecco" }]')]);
    assert.deepEqual([wrong.code, wrong.stdout], [1, '']);
    assert.match(wrong.stderr, /rules\.json: rules\[0\]: .*action/);
    assert.match((await runCli(['rules', 'explain', written('{}')])).stderr, /rules\.json: has no rules/);
    const both = await runCli(['serve', '--rules', written('[]'), '--echo']);
    assert.match(both.stderr, /cannot be used with/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
