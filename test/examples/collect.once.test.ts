// Examples that collect and consume, as programs, with a server of NATS and what sends in earnest.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createSocket } from 'ksocket';
import { Child, root } from '../support/child.js';
import { runClient } from '../support/clients.js';
import { Nats } from '../support/nats.js';
import { test } from '../support/test.js';

async function start(example: string, stream: string, subject: string) {
  const nats = await Nats.start();
  await nats.stream({ name: stream, subjects: [subject] });
  const program = join(root, `build-test/programs/${example}.js`);
  const collector = new Child(process.execPath, [program, 'collect', nats.servers[0], '0']);
  const consumer = new Child(process.execPath, [program, 'consume', nats.servers[0]]);
  const [, port] = await collector.line(/^collecting at port (\d+)$/);
  return {
    port: Number(port),
    consumer,
    async [Symbol.asyncDispose]() {
      collector.kill('SIGTERM');
      const { code, stderr } = await collector.end();
      await consumer[Symbol.asyncDispose]();
      await nats[Symbol.asyncDispose]();
      assert.deepEqual([code, stderr], [0, ''], 'it stops when it is told to');
    },
  };
}

test('syslog: what logger sends is printed by the consumer, with facility and severity', async () => {
  await using running = await start('collect-syslog', 'SYSLOG', 'syslog.>');
  const { port, consumer } = running;
  const args = ['--server', '127.0.0.1', '--port', `${port}`, '--udp', '--tag', 'demo', '--priority', 'local3.warning'];
  for (const form of [['--rfc3164'], ['--rfc5424']]) {
    const { code, stderr } = await runClient('bsdutils', 'logger', ...args, ...form, `hello ${form}`);
    assert.equal(code, 0, stderr);
  }
  await consumer.line(/^::ffff:127\.0\.0\.1 19\.4 .*demo.*hello --rfc3164$/);
  await consumer.line(/^::ffff:127\.0\.0\.1 19\.4 .*demo.*hello --rfc5424$/);
});

test('statsd: counters are added up by batch', async () => {
  await using running = await start('collect-statsd', 'STATSD', 'statsd.>');
  const { port, consumer } = running;
  const text = 'requests:3|c\\nrequests:4|c\\nsampled:2|c|@0.5\\nnonsense\\ntimer:3|ms';
  const command = `printf '${text}' | socat -u - UDP:127.0.0.1:${port}`;
  const { code, stderr } = await runClient('socat', 'sh', '-c', command);
  assert.equal(code, 0, stderr);
  await consumer.line(/^\w+-1 requests 7$/);
  await consumer.line(/^\w+-1 sampled 4$/);
  assert.equal(consumer.lines.length, 2);
});

/** Payloads of UDP over IPv4 over Ethernet. https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-04.html */
function* payloadsOf(file: string): Generator<Buffer> {
  const pcap = readFileSync(file);
  assert.equal(pcap.readUInt32LE(0), 0xa1b2c3d4);
  for (let at = 24; at < pcap.length; ) {
    const length = pcap.readUInt32LE(at + 8);
    yield pcap.subarray(at + 16 + 14 + 20 + 8, at + 16 + length);
    at += 16 + length;
  }
}

test('NetFlow 9: what softflowd has sent becomes flows', async () => {
  await using running = await start('collect-netflow', 'NETFLOW', 'netflow.>');
  const { port, consumer } = running;
  await using socket = createSocket('udp4');
  const payloads = [...payloadsOf(join(root, 'examples/netflow-v9.pcap'))];
  assert.equal(payloads.length, 1);
  for (const payload of payloads) socket.send(payload, port, '127.0.0.1');
  await consumer.line(/^192\.0\.2\.1:8080 192\.0\.2\.2:43929 protocol 6: 4 packets, 5216 bytes$/);
  await consumer.line(/^192\.0\.2\.2:43929 192\.0\.2\.1:8080 protocol 6: 6 packets, 5320 bytes$/);
  assert.equal(consumer.lines.filter((line) => line.includes('protocol 17')).length, 1, consumer.stdout);
});
