// Who may publish: files of credentials, as operators of NATS give them out, that expire and are renewed; and TLS.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { credsAuthenticator, nkeys } from '@nats-io/transport-node';
import { createSocket } from 'ksocket';
import { createCollector, jetstream, type SinkError } from 'ksocket/collect';
import { consume } from 'ksocket/consume';
import { Nats } from '../support/nats.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

type Key = ReturnType<typeof nkeys.createUser>;

const encoded = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
const secondsFromNow = (seconds: number) => Math.floor(Date.now() / 1000) + seconds;

/** https://docs.nats.io/running-a-nats-service/configuration/securing_nats/auth_intro/jwt */
function token(issuer: Key, subject: Key, claims: object, exp?: number): string {
  const times = { iat: secondsFromNow(0), ...(exp === undefined ? {} : { exp }) };
  const who = { jti: 'test', iss: issuer.getPublicKey(), sub: subject.getPublicKey(), name: 'test' };
  const body = `${encoded({ typ: 'JWT', alg: 'ed25519-nkey' })}.${encoded({ ...times, ...who, nats: { ...claims, version: 2 } })}`;
  return `${body}.${Buffer.from(issuer.sign(Buffer.from(body))).toString('base64url')}`;
}

/** An operator with an account that has JetStream, and one for the system. */
class Operator {
  readonly #operator = nkeys.createOperator();
  readonly #account = nkeys.createAccount();
  readonly #system = nkeys.createAccount();
  readonly #user = nkeys.createUser();

  get config(): string {
    const none = { subs: -1, data: -1, payload: -1, imports: -1, exports: -1, wildcards: true, conn: -1, leaf: -1 };
    const all = { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 };
    const account = (key: Key, limits: object) =>
      token(this.#operator, key, { type: 'account', limits, default_permissions: { pub: {}, sub: {} } });
    return [
      `operator: "${token(this.#operator, this.#operator, { type: 'operator' })}"`,
      'resolver: MEMORY',
      `system_account: ${this.#system.getPublicKey()}`,
      `resolver_preload: { ${this.#account.getPublicKey()}: "${account(this.#account, { ...none, ...all })}",`,
      `  ${this.#system.getPublicKey()}: "${account(this.#system, none)}" }`,
    ].join('\n');
  }

  /** A file's text. `deny`: where one may not publish. */
  credentials(exp?: number, deny: string[] = []): string {
    const claims = { type: 'user', pub: { deny }, sub: {}, subs: -1, data: -1, payload: -1 };
    const jwt = token(this.#account, this.#user, claims, exp);
    const seed = Buffer.from(this.#user.getSeed()).toString();
    return (
      `-----BEGIN NATS USER JWT-----\n${jwt}\n------END NATS USER JWT------\n\n` +
      `-----BEGIN USER NKEY SEED-----\n${seed}\n------END USER NKEY SEED------\n`
    );
  }
}

test('credentials that expire are said, and a new file is taken; what they do not allow is refused', async () => {
  const operator = new Operator();
  const authenticator = credsAuthenticator(Buffer.from(operator.credentials()));
  await using nats = await Nats.start({ config: operator.config, login: { authenticator } });
  await nats.stream({ name: 'LOGS', subjects: ['logs.>'] });
  const credentials = join(nats.directory, 'edge.creds');
  writeFileSync(credentials, operator.credentials(secondsFromNow(3), ['logs.no']));
  const subject = ({ address }: { address: string }) => (address === '127.0.0.1' ? 'logs.a' : 'logs.no');
  const sink = jetstream({ servers: nats.servers, stream: 'LOGS', subject, timeoutMs: 1000, credentials });
  await using collector = createCollector({ address: '127.0.0.1', batch: { ms: 5 }, sink });
  const failing: Error[] = [];
  const refused: Error[] = [];
  collector.on('failing', (error) => failing.push(error));
  collector.on('refused', (error) => refused.push(error));
  await collector.start();
  await using socket = createSocket('udp4').bind(0, '127.0.0.1');
  await using other = createSocket('udp4').bind(0, '127.0.0.2');
  await Promise.all([once(socket, 'listening'), once(other, 'listening')]);
  other.send('x', collector.address().port, '127.0.0.1');
  await waitFor(() => refused.length === 1, 'the refusal');
  assert.equal((refused[0] as SinkError).code, 'ERR_KSOCKET_NATS_PERMISSION');
  let sent = 0;
  while (failing.length === 0) {
    socket.send(String(sent++), collector.address().port, '127.0.0.1');
    await sleep(100);
  }
  const [error] = failing;
  assert.equal((error as SinkError).code, 'ERR_KSOCKET_NATS_EXPIRED');
  assert.match(error.message, /edge\.creds have expired, at 20\d\d-/);
  other.send('x', collector.address().port, '127.0.0.1');
  await waitFor(() => collector.stats().receivedDatagrams === sent + 2, 'it has come');
  writeFileSync(credentials, operator.credentials(secondsFromNow(600)));
  await waitFor(() => collector.stats().acknowledgedDatagrams === sent + 1, 'what was kept meanwhile is written');
  assert.equal(refused.length, 1, 'the new credentials allow it');
});

test('a file of credentials that is half written when the connection is made anew is not taken', async () => {
  const operator = new Operator();
  const authenticator = credsAuthenticator(Buffer.from(operator.credentials()));
  await using nats = await Nats.start({ config: operator.config, login: { authenticator } });
  await nats.stream({ name: 'LOGS', subjects: ['logs.>'] });
  const credentials = join(nats.directory, 'edge.creds');
  const whole = operator.credentials(secondsFromNow(600));
  writeFileSync(credentials, whole);
  const sink = jetstream({ servers: nats.servers, stream: 'LOGS', subject: 'logs.a', timeoutMs: 500, credentials });
  await using collector = createCollector({ address: '127.0.0.1', batch: { ms: 5 }, sink });
  await collector.start();
  await using socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const [node] = nats.nodes;
  for (const [i, text] of ['', 'rubbish', whole.slice(0, whole.indexOf('SEED') + 20), undefined].entries()) {
    if (text === undefined) rmSync(credentials);
    else writeFileSync(credentials, text);
    await node.kill();
    node.start();
    socket.send('x', collector.address().port, '127.0.0.1');
    await waitFor(() => collector.stats().acknowledgedDatagrams === i + 1, `${text}`);
  }
  assert.equal(collector.stats().refusedDatagrams, 0);
});

test('files that are missing, not readable or something else are named, with the option', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'ksocket-test-'));
  try {
    const place = (name: string) => join(directory, name);
    const options = ['-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=a'];
    for (const name of ['one', 'other'])
      execFileSync('openssl', ['req', ...options, '-keyout', place(`${name}.key`), '-out', place(`${name}.pem`)], {
        stdio: 'ignore',
      });
    const [certFile, keyFile] = [place('one.pem'), place('one.key')];
    writeFileSync(place('rubbish'), 'rubbish');
    writeFileSync(place('damaged'), '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n');
    writeFileSync(place('closed'), 'x', { mode: 0 });
    const jwt = encoded({ exp: secondsFromNow(600) });
    const seedless = `-----BEGIN NATS USER JWT-----\na.${jwt}.c\n------END NATS USER JWT------\n`;
    writeFileSync(place('seedless'), seedless);
    const badSeed = '-----BEGIN USER NKEY SEED-----\nSUABC\n------END USER NKEY SEED------\n';
    writeFileSync(place('badseed'), seedless + badSeed);
    const isRoot = process.getuid?.() === 0;
    type Case = [given: object, code: string, option: string, path: string];
    const cases: Case[] = [
      [{ tls: { caFile: place('none') } }, 'ENOENT', 'options.tls.caFile', place('none')],
      [{ tls: { certFile: place('none'), keyFile } }, 'ENOENT', 'options.tls.certFile', place('none')],
      [{ tls: { certFile, keyFile: place('none') } }, 'ENOENT', 'options.tls.keyFile', place('none')],
      [{ credentials: place('none') }, 'ENOENT', 'options.credentials', place('none')],
      [{ tls: { caFile: directory } }, 'EISDIR', 'options.tls.caFile', directory],
      [{ credentials: directory }, 'EISDIR', 'options.credentials', directory],
      ...(isRoot
        ? []
        : ([[{ credentials: place('closed') }, 'EACCES', 'options.credentials', place('closed')]] as Case[])),
      [{ tls: { caFile: place('rubbish') } }, 'ERR_KSOCKET_NATS_TLS', 'options.tls.caFile', place('rubbish')],
      [{ tls: { caFile: place('damaged') } }, 'ERR_KSOCKET_NATS_TLS', 'options.tls.caFile', place('damaged')],
      [
        { tls: { certFile: place('rubbish'), keyFile } },
        'ERR_KSOCKET_NATS_TLS',
        'options.tls.certFile',
        place('rubbish'),
      ],
      [
        { tls: { certFile, keyFile: place('rubbish') } },
        'ERR_KSOCKET_NATS_TLS',
        'options.tls.keyFile',
        place('rubbish'),
      ],
      [
        { tls: { certFile, keyFile: place('other.key') } },
        'ERR_KSOCKET_NATS_TLS',
        'options.tls.keyFile',
        place('other.key'),
      ],
      [{ credentials: place('rubbish') }, 'ERR_KSOCKET_NATS_CREDENTIALS', 'options.credentials', place('rubbish')],
      [{ credentials: place('seedless') }, 'ERR_KSOCKET_NATS_CREDENTIALS', 'options.credentials', place('seedless')],
      [{ credentials: place('badseed') }, 'ERR_KSOCKET_NATS_CREDENTIALS', 'options.credentials', place('badseed')],
    ];
    for (const [given, code, option, path] of cases) {
      const nats = { servers: '127.0.0.1:1', stream: 'LOGS', ...given };
      const said = (error: NodeJS.ErrnoException) => {
        assert.deepEqual([error.code, error.path], [code, path]);
        assert.ok(error.message.startsWith(`${option}: `) && error.message.includes(path), error.message);
        assert.equal(error.syscall, code.startsWith('ERR_') ? undefined : code === 'EISDIR' ? 'read' : 'open');
        return true;
      };
      const collector = createCollector({ address: '127.0.0.1', sink: jetstream({ ...nats, subject: 'logs.a' }) });
      await assert.rejects(collector.start(), said, `${option} ${path}`);
      await assert.rejects(consume({ ...nats, durable: 'd' }).open(), said, `${option} ${path}`);
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('TLS: with the authority that has signed the server’s certificate, and not without', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'ksocket-test-'));
  try {
    const [key, certificate] = ['key.pem', 'cert.pem'].map((name) => join(directory, name));
    const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1'];
    const args = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', certificate, ...names];
    execFileSync('openssl', args, { stdio: 'ignore' });
    const config = `tls { cert_file: "${certificate}", key_file: "${key}" }`;
    await using nats = await Nats.start({ config, login: { tls: { caFile: certificate } } });
    await nats.stream({ name: 'LOGS', subjects: ['logs.>'] });
    const start = async (tls: object | undefined) => {
      const sink = jetstream({ servers: nats.servers, stream: 'LOGS', subject: 'logs.a', timeoutMs: 2000, tls });
      const collector = createCollector({ address: '127.0.0.1', sink });
      await collector.start();
      await collector.stop();
    };
    await start({ caFile: certificate });
    for (const tls of [{}, undefined]) await assert.rejects(start(tls), { message: /Cannot connect to .*certificate/ });
    await assert.rejects(start({ caFile: '/nowhere.pem' }), { message: /nowhere/ });
  } finally {
    rmSync(directory, { recursive: true });
  }
});
