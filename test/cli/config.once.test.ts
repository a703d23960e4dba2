// The file of `ksocket serve --config`: what it says is what is served, and what is wrong with it is said.
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readConfig } from '../../build-lib/cli/config/file.js';
import { parseJsonc } from '../../build-lib/cli/config/jsonc.js';
import { SERVER_KEYS } from '../../build-lib/server/options.js';
import { type Child, root, runCli, startCli } from '../support/child.js';
import { accepts } from '../support/json-schema.js';
import { bound, Inbox, Sockets, sent } from '../support/peer.js';
import { test } from '../support/test.js';

const schema = JSON.parse(readFileSync(join(root, 'dist/serve.schema.json'), 'utf8'));

class Folder implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), 'ksocket-test-'));
  write(text: string | Uint8Array, name = 'serve.json'): string {
    const path = join(this.path, name);
    writeFileSync(path, text);
    return path;
  }
  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true });
  }
}

async function serve(path: string, ...args: string[]): Promise<{ child: Child; port: number }> {
  const child = startCli(['serve', '--config', path, ...args]);
  const [, port] = await child.line(/^ksocket: listening on port (\d+)$/);
  return { child, port: Number(port) };
}

const GOOD = `{
  // every form of bytes, every kind of action and slot
  "$schema": "./serve.schema.json",
  "address": "127.0.0.1",
  "port": 0,
  "rules": [
    { "name": "hex", "match": { "exact": { "hex": "00 ff\\n7e" } }, "action": { "reply": { "base64": "AQID" } } },
    { "name": "bits", "match": { "bits": { "at": 1, "mask": { "hex": "f0" }, "value": { "base64": "cA" } } }, "action": "echo" },
    { "name": "text", "match": { "prefix": { "text": "é" } }, "action": { "reply": ["<", { "slot": "request", "start": 2 }, { "text": ">" }], "amplify": true } },
    { "name": "none", "match": { "length": { "max": 0 } }, "action": { "reply": [] } },
  ],
  "otherwise": "deliver",
  "quiet": true,
}`;

test('a good file: bytes in each form, rules, what is delivered', async () => {
  using folder = new Folder();
  await using sockets = new Sockets();
  const client = sockets.makePeer();
  const inbox = new Inbox(client);
  await bound(client);
  const { child, port } = await serve(folder.write(GOOD));
  await using _ = child;
  const asked = [Buffer.from([0, 255, 0x7e]), Buffer.from('ax'), Buffer.from('été'), Buffer.alloc(0)];
  for (const [i, request] of asked.entries()) {
    await sent(client, request, port);
    await inbox.take(i + 1);
  }
  assert.deepEqual(
    inbox.all.map(({ data }) => data.toString('latin1')),
    ['\x01\x02\x03', 'ax', '<t\xc3\xa9>', ''],
  );
  child.kill('SIGTERM');
  const { code, stderr } = await child.end();
  assert.deepEqual([code, stderr], [0, '']);
});

test('the command line goes before the file, and quiet is off unless one of them says so', async () => {
  using folder = new Folder();
  await using sockets = new Sockets();
  const client = sockets.makePeer();
  await bound(client);
  const path = folder.write('{ "address": "203.0.113.1", "port": 1, "reply": "echo", "monitor": { "port": 0 } }');
  const { child, port } = await serve(path, '--port', '0', '--address', '127.0.0.1');
  await using _ = child;
  await child.line(/^ksocket: monitor on http:\/\/127\.0\.0\.1:\d+\/$/);
  await sent(client, 'seen', port);
  await child.line(/^ data: seen$/);
});

test('a file and what it would say on the command line, too, is an error', async () => {
  using folder = new Folder();
  const path = folder.write('{ "port": 0 }');
  for (const [args, message] of [
    [['--reply', 'x'], /--config.*--reply|--reply.*--config/],
    [['--echo'], /--config.*--echo|--echo.*--config/],
    [['--reply-to', 'source'], /--config.*--reply-to|--reply-to.*--config/],
    [['--max-bytes', '5'], /--config.*--max-bytes|--max-bytes.*--config/],
  ] as [string[], RegExp][]) {
    const { code, stdout, stderr } = await runCli(['serve', '--config', path, ...args]);
    assert.deepEqual([code, stdout], [1, '']);
    assert.match(stderr, message);
  }
  const { code, stderr } = await runCli(['serve', '--watch', '--port', '0']);
  assert.deepEqual([code, stderr], [1, 'ksocket: --watch needs --config\n']);
});

/** Also as a text. */
const TEXT_PORTS = `{
  "port": "0",
  "rules": [{ "action": { "forward": [{ "address": "127.0.0.1", "port": "65535" }, { "address": "::1", "port": "0053" }] } }],
  "loops": { "servicePorts": ["53", 7] },
  "monitor": { "port": "00" },
}`;

/** What is wrong, what is said behind the file's name, and whether the schema, too, refuses it. */
const BAD: [text: string, said: string | RegExp, schemaRefuses?: boolean][] = [
  ['', ':1:1: expected a value'],
  ['{\n  "port": 7\n  "reply": "x"\n}', ":3:3: expected ',' or '}'"],
  ['{ "port": 7, "port": 8 }', ':1:14: "port" is there twice'],
  ['[]', /^: The "options" argument must be of type object/],
  ['null', /^: The "options" argument must be of type object/],
  ['{ "prot": 7 }', /'options\.prot' is not known \(did you mean 'port'\?\)/],
  ['{ "quite": true }', /'options\.quite' is not known \(did you mean 'quiet'\?\)/],
  ['{ "denny": [] }', /'options\.denny' is not known \(did you mean 'deny'\?\)/],
  ['{ "__proto__": {} }', /'options\.__proto__' is not known/],
  ['{ "port": 65536 }', /options\.port should be >= 0 and < 65536/],
  ['{ "port": null }', /options\.port should be/],
  ['{ "port": "" }', /options\.port should be >= 0/],
  ['{ "port": "65536" }', /options\.port should be >= 0/],
  ['{ "port": "0x50" }', /options\.port should be >= 0/],
  ['{ "port": "8e1" }', /options\.port should be >= 0/],
  ['{ "port": " 80" }', /options\.port should be >= 0/],
  ['{ "port": "-0" }', /options\.port should be >= 0/],
  ['{ "monitor": { "port": "+80" } }', /options\.monitor\.port should be >= 0/],
  ['{ "replyTo": { "address": "::1", "port": "0" } }', /options\.replyTo\.port should be > 0/],
  ['{ "replyTo": { "address": "::1", "port": "1.0" } }', /options\.replyTo\.port should be > 0/],
  ['{ "loops": { "servicePorts": [7, "0b1"] } }', /options\.loops\.servicePorts\[1\] should be > 0/],
  [
    '{ "rules": [{ "action": { "forward": [{ "address": "::1", "port": "5_3" }] } }] }',
    /options\.rules\[0\]\.action\.forward\[0\]\.port should be > 0/,
  ],
  ['{ "address": "" }', /'options\.address' must not be empty/],
  ['{ "quiet": "yes" }', /"options\.quiet" property must be of type boolean/],
  ['{ "monitor": 9100 }', /"options\.monitor" property must be of type object/],
  ['{ "monitor": { "prot": 1 } }', /'options\.monitor\.prot' is not known \(did you mean 'port'\?\)/],
  ['{ "monitor": { "port": -1 } }', /options\.monitor\.port should be/],
  ['{ "reply": 5 }', /"options\.reply" property must be/],
  ['{ "reply": { "hex": "0" } }', /'options\.reply\.hex' must be pairs of hexadecimal digits\. Received '0'/],
  ['{ "reply": { "hex": "0g" } }', /'options\.reply\.hex' must be pairs/],
  ['{ "reply": { "base64": "a*b=" } }', /'options\.reply\.base64' must be base64/],
  ['{ "reply": { "base64": "AA===" } }', /'options\.reply\.base64' must be base64/],
  ['{ "$schema": 5 }', /"options\.\$schema" property must be of type string/],
  ['{ "handler": "" }', /'options\.handler' must be a path/],
  ['{ "cpus": [8192] }', /"options\.cpus\[0\]" is out of range/],
  ['{ "steering": "cpu" }', /'options\.steering' cannot be given without shards/],
  ['{ "shards": 2, "fd": 3 }', /'options\.shards' cannot be given together with fd/],
  ['{ "shards": 2, "steering": { "offset": 65001, "length": 1 } }', /"options\.steering\.offset" is out of range/],
  ['{ "reply": { "base64": 5 } }', /"options\.reply\.base64" property must be of type string/],
  ['{ "reply": { "hex": "00", "text": "x" } }', /'options\.reply\.text' cannot be given together with hex/],
  ['{ "reply": { "text": "x", "encoding": "utf8" } }', /'options\.reply\.encoding' cannot be given together with text/],
  ['{ "replyTo": "sender" }', /"options\.replyTo" property must be/],
  ['{ "rules": [], "reply": "x" }', /'options\.reply' cannot be given together with rules/],
  ['{ "otherwise": "drop" }', /'options\.otherwise' cannot be given without rules/],
  ['{ "rules": {} }', /"options\.rules" property must be an instance of Array/],
  [
    '{ "rules": [{ "action": "drop" }, { "name": "dns", "match": { "prefx": "x" }, "action": "drop" }] }',
    /^: rules\[1\] "dns": The property 'match\.prefx' is not known \(did you mean 'prefix'\?\)/,
  ],
  ['{ "rules": [{ "match": {} }] }', /^: rules\[0\]: The "action" property must be/],
  ['{ "rules": [{ "action": "answer" }] }', /^: rules\[0\]: The property 'action' must be one of/],
  [
    '{ "rules": [{ "action": { "reply": { "slot": "tyme" } } }] }',
    /^: rules\[0\]: The "action\.reply" property must be of type string/,
  ],
  [
    '{ "rules": [{ "action": { "reply": { "slot": "time", "format": "iso" } } }] }',
    /^: rules\[0\]: action\.reply: The argument 'format' must be one of: 'ntp', 'unix'/,
  ],
  [
    '{ "rules": [{ "match": { "bits": { "at": 0, "mask": "ff", "value": "00" } }, "action": "drop" }] }',
    /^: rules\[0\]: The "match\.bits\.mask" property must be an instance of Uint8Array/,
  ],
  [
    '{ "rules": [{ "match": { "exact": { "hex": "zz" } }, "action": "drop" }] }',
    /'rules\[0\]\.match\.exact\.hex' must be/,
  ],
  [
    '{ "rules": [{ "match": { "exact": "a" }, "action": { "reply": "longer" } }] }',
    /is at least 6 bytes, the request at most 1: it would never be sent without amplify/,
    false, // no schema adds up
  ],
  [
    '{ "rules": [{ "match": { "source": "10.0.0.0/40" }, "action": "drop" }] }',
    /'match\.source' must be an IP address/,
    false,
  ],
  ['{ "deny": ["10.0.0.0/40"] }', /'options\.deny\[0\]' must be an IP address/, false],
  ['{ "deny": ["example.org"] }', /'options\.deny\[0\]' must be an IP address/],
  ['{ "limits": { "total": { "rate": 0 } } }', /"options\.limits\.total\.rate" is out of range/],
  [
    '{ "limits": { "perSource": { "rate": 1, "sources": 1000 } } }',
    /"options\.limits\.perSource\.sources" is out of range/,
  ],
  ['{ "loops": { "servicePort": true } }', /did you mean 'servicePorts'/],
  ['{ "handler": "./a.so", "reply": "x" }', /'options\.reply' cannot be given together with handler/],
  ['{ "fd": 3, "port": 7 }', /'options\.port' cannot be given together with fd/],
  ['{ "cpus": [] }', /'options\.cpus' must name a processor/],
  ['{ "priority": 100 }', /"options\.priority" is out of range/],
  ['{ "maxBytes": 0 }', /"options\.maxBytes" is out of range/],
];

test('what is wrong with a file is said with its name, the place or the property, and what was meant', () => {
  using folder = new Folder();
  for (const [text, said] of BAD) {
    const path = folder.write(text);
    assert.throws(
      () => readConfig(path),
      ({ message }: Error) => {
        assert.ok(message.startsWith(path), message);
        const rest = message.slice(path.length);
        if (typeof said === 'string') assert.equal(rest, said, text);
        else assert.match(rest, said, text);
        return true;
      },
      text,
    );
  }
  assert.throws(() => readConfig(folder.write(Buffer.from([0x22, 0xff, 0x22]))), {
    message: /serve\.json: is not UTF-8$/,
  });
  assert.throws(() => readConfig(join(folder.path, 'none.json')), { message: /ENOENT.*none\.json/ });
  assert.throws(() => readConfig(folder.path), { message: `${folder.path}: is a directory` });
  assert.throws(() => readConfig('/dev/zero'), { message: '/dev/zero: has more than 268435456 bytes' });
  assert.deepEqual(readConfig(folder.write('\ufeff{}')).server, {}, 'a byte order mark is none of it');
});

test('a bad file: one line on stderr, and exit code 1', async () => {
  using folder = new Folder();
  for (const text of ['{ "rules": [\n  { "action": "drop" },\n  { "action" "drop" }\n] }', '{ "prot": 7 }']) {
    const path = folder.write(text);
    const { code, stdout, stderr } = await runCli(['serve', '--config', path]);
    assert.deepEqual([code, stdout], [1, '']);
    assert.match(stderr, /^ksocket: .*serve\.json(:3:14: expected ':'|: The property 'options\.prot' .*)\n$/);
  }
  const { code, stderr } = await runCli(['serve', '--config', join(folder.path, 'none')]);
  assert.equal(code, 1);
  assert.match(stderr, /^ksocket: ENOENT: .*none'\n$/);
});

test('the schema has every option, accepts what is served, and refuses what is not', () => {
  const properties = Object.keys(schema.properties).sort();
  assert.deepEqual(properties, [...SERVER_KEYS, '$schema', 'quiet', 'monitor'].sort());
  const files = readdirSync(join(root, 'examples')).filter((name) => name.endsWith('.jsonc'));
  const examples = files.map((name) => readFileSync(join(root, 'examples', name), 'utf8'));
  const blocks = readFileSync(join(root, 'docs/configuration.md'), 'utf8').matchAll(/^```jsonc\n(.*?)^```$/gms);
  const good = [GOOD, TEXT_PORTS, '{}', ...examples, ...[...blocks].map(([, block]) => block)];
  assert.ok(good.length >= 5);
  using folder = new Folder();
  for (const text of good) {
    assert.ok(accepts(schema, parseJsonc(text)), text);
    readConfig(folder.write(text)); // or throws
  }
  let refused = 0;
  for (const [text, said, schemaRefuses = true] of BAD) {
    if (typeof said === 'string') continue; // no JSON
    assert.equal(accepts(schema, parseJsonc(text)), !schemaRefuses, text);
    refused++;
  }
  assert.ok(refused > 30);
});
