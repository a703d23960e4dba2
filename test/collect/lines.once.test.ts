// lines(): one line of JSON for each datagram, whatever is in it, at the pace of who reads.
import assert from 'node:assert/strict';
import { PassThrough, Writable } from 'node:stream';
import fc from 'fast-check';
import { type CollectedDatagram, type LinesOptions, lines, type SinkError } from 'ksocket/collect';
import { batchOf, never, OPENING } from '../support/captures.js';
import { startProgram } from '../support/child.js';
import { test } from '../support/test.js';
import { nextTurn, waitFor } from '../support/wait.js';

const datagram = (data: string | Uint8Array, more: Partial<CollectedDatagram> = {}): CollectedDatagram => ({
  data: Buffer.from(data),
  address: '192.0.2.1',
  port: 40_000,
  local: '192.0.2.9',
  localPort: 514,
  receivedNs: 1_764_269_233_023_456_789n,
  ...more,
});

/** What lines() makes of them. */
async function textOf(...datagrams: CollectedDatagram[]): Promise<string> {
  const stream = new PassThrough({ encoding: 'utf8' });
  let text = '';
  stream.on('data', (part) => {
    text += part;
  });
  const sink = lines({ stream });
  await sink.open(OPENING);
  await sink.write(batchOf(datagrams), never);
  await sink.close();
  assert.deepEqual(sink.stats?.(), { lines: datagrams.length });
  assert.ok(stream.writable, 'the stream is not ended');
  return text;
}

test('a line says when, who, where to and what', async () => {
  assert.equal(
    await textOf(datagram('hello'), datagram(Uint8Array.of(0xff, 0), { address: 'fe80::1%3', local: undefined })),
    '{"time":"2025-11-27T18:47:13.023456789Z","address":"192.0.2.1","port":40000,"local":"192.0.2.9","localPort":514,"text":"hello"}\n' +
      '{"time":"2025-11-27T18:47:13.023456789Z","address":"fe80::1%3","port":40000,"localPort":514,"base64":"/wA="}\n',
  );
});

test('whatever is in a payload, a line is one line of plain JSON that has all of it', async () => {
  const nasty = fc.constantFrom(
    '\n',
    '\r',
    '\u2028',
    '\u0085',
    '\u009b2J',
    '\x1b]0;x\x07',
    '"',
    '\\',
    '\u202e',
    '\ufeff',
    '\0',
    'ü',
    '☃',
  );
  const data = fc.oneof(
    fc.array(nasty, { maxLength: 20 }).map((parts) => Buffer.from(parts.join(''))),
    fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes)),
    fc.string({ unit: 'grapheme-ascii', maxLength: 40 }).map((text) => Buffer.from(text)),
  );
  const [payloads] = fc.sample(fc.array(data, { minLength: 500, maxLength: 500 }), { numRuns: 1, seed: 3 });
  const text = await textOf(...payloads.map((data) => datagram(data)));
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that there are none
  assert.doesNotMatch(text, /[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/);
  const all = text.split('\n').slice(0, -1);
  assert.equal(all.length, 500);
  all.forEach((line, i) => {
    const { text, base64 } = JSON.parse(line);
    assert.ok((text === undefined) !== (base64 === undefined));
    assert.deepEqual(Buffer.from(text ?? base64, text === undefined ? 'base64' : 'utf8'), payloads[i]);
  });
});

test('what sources there are is told of each line', async () => {
  const flows = [
    { address: '192.0.2.1', port: 1 },
    { address: '192.0.2.1', port: 2 },
    { address: '192.0.2.2', port: 2, local: undefined },
    { address: '192.0.2.2', port: 2, local: '192.0.2.9', localPort: 515 },
    { address: '192.0.2.1', port: 1 },
  ];
  const text = await textOf(...flows.map((flow) => datagram('x', flow)));
  assert.deepEqual(
    text
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line))
      .map(({ address, port, local, localPort }) => ({ address, port, local, localPort })),
    flows.map((flow) => ({ local: '192.0.2.9', localPort: 514, ...flow })),
  );
});

test('times are exact on both sides of a second', async () => {
  const times = [0n, 999_999_999n, 1_000_000_000n, 1_764_269_233_000_000_001n, 1_764_269_232_999_999_999n];
  const text = await textOf(...times.map((receivedNs) => datagram('', { receivedNs })));
  assert.deepEqual(
    text
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line).time),
    [
      '1970-01-01T00:00:00.000000000Z',
      '1970-01-01T00:00:00.999999999Z',
      '1970-01-01T00:00:01.000000000Z',
      '2025-11-27T18:47:13.000000001Z',
      '2025-11-27T18:47:12.999999999Z',
    ],
  );
});

test('who does not read holds it up: no more is made than one write', async () => {
  let taken = 0;
  const waiting: (() => void)[] = [];
  const stream = new Writable({
    write(chunk, _encoding, callback) {
      taken += chunk.length;
      waiting.push(callback);
    },
  });
  const sink = lines({ stream });
  await sink.open(OPENING);
  let written = false;
  const writing = sink.write(batchOf(Array.from({ length: 5000 }, () => datagram('x'.repeat(200)))), never);
  void writing.then(() => {
    written = true;
  });
  const writes: number[] = [];
  for (; !written; ) {
    await waitFor(() => written || waiting.length > 0, 'the next write');
    assert.ok(waiting.length <= 1 && stream.writableLength < 300_000);
    writes.push(taken);
    taken = 0;
    waiting.shift()?.();
    await nextTurn();
  }
  assert.ok(writes.length > 5, `${writes}`);
  await sink.close();
});

test('a stream that fails or ends is not tried again, and what has not been written is an error', async () => {
  const fails = Object.assign(new Error('write EPIPE'), { code: 'EPIPE' });
  const failing = new Writable({ write: (_chunk, _encoding, callback) => callback(fails) });
  const stuck = new Writable({ write: () => {} });
  for (const [stream, code, message] of [
    [failing, 'EPIPE', 'lines to a stream: nobody reads them any more'],
    [stuck, 'ERR_STREAM_DESTROYED', 'lines to a stream: the stream has ended'],
  ] as const) {
    const sink = lines({ stream });
    await sink.open(OPENING);
    const writing = sink.write(batchOf([datagram('x')]), never);
    if (stream === stuck) setImmediate(() => stream.destroy());
    const isThat = (error: SinkError) => {
      assert.deepEqual([error.name, error.retry], ['SinkError', false]);
      return true;
    };
    await assert.rejects(
      writing,
      (error: SinkError) => isThat(error) && error.code === code && error.message === message,
    );
    await assert.rejects(sink.write(batchOf([datagram('x')]), never), isThat);
    await sink.close();
    await assert.rejects(lines({ stream }).open(OPENING), isThat);
  }
});

test('who gives a batch up does not wait for who reads', async () => {
  const stream = new Writable({ write: () => {} });
  const sink = lines({ stream });
  await sink.open(OPENING);
  const giving = new AbortController();
  const writing = sink.write(batchOf([datagram('x')]), giving.signal);
  giving.abort();
  await assert.rejects(writing, { name: 'AbortError' });
  await assert.rejects(sink.write(batchOf([datagram('x')]), giving.signal), { name: 'AbortError' });
  await sink.close();
  await nextTurn();
  assert.equal(stream.listenerCount('close') + stream.listenerCount('error'), 0, 'nothing of it stays');
});

test('standard output, of which nobody reads the rest', async () => {
  const program = async () => {
    const { lines } = await import('ksocket/collect');
    const sink = lines();
    const { signal } = new AbortController();
    await sink.open({ signal, batchBytes: 1, inFlight: 1 });
    const one = { data: Buffer.alloc(100), address: '::1', port: 1, local: undefined, localPort: 2, receivedNs: 5n };
    const batch = {
      id: '',
      key: '',
      count: 1,
      payloadBytes: 1,
      bytes: new Uint8Array(0),
      datagrams: () => [one].values(),
    };
    try {
      for (;;) await sink.write(batch, signal);
    } catch (error) {
      await sink.close();
      console.error(`${(error as Error).message}`);
    }
  };
  await using child = startProgram(program, []);
  await waitFor(() => child.stdout.length > 0, 'a line');
  child.process.stdout?.destroy();
  const { code, stderr } = await child.end();
  assert.deepEqual([code, stderr], [0, 'lines to standard output: nobody reads them any more\n']);
});

test('options that cannot be meant', () => {
  for (const [options, code] of [
    [null, 'ERR_INVALID_ARG_TYPE'],
    [{ stream: {} }, 'ERR_INVALID_ARG_TYPE'],
    [{ stream: null }, 'ERR_INVALID_ARG_TYPE'],
    [{ stream: 1 }, 'ERR_INVALID_ARG_TYPE'],
    [{ steam: process.stdout }, 'ERR_INVALID_ARG_VALUE'],
  ] as [LinesOptions, string][]) {
    assert.throws(() => lines(options), { code });
  }
});
