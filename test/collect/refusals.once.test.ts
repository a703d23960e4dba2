// What JetStream refuses a message with, and whether that batch is tried again. No server runs out of resources when it is told to: a
// program answers in JetStream's place, on a server that has none.
import assert from 'node:assert/strict';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { jetstream, type PackedBatch, SinkError } from 'ksocket/collect';
import { Child } from '../support/child.js';
import { install } from '../support/clients.js';
import { freePorts } from '../support/nats.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

/** What the server's errors.json says: the number, the HTTP status, and our code, and if it may be written later. */
const refusals: [number, status: number, code: string, retry: boolean][] = [
  [10014, 404, 'ERR_KSOCKET_CONSUMER', false], // consumer not found
  [10039, 503, 'ERR_KSOCKET_NO_JETSTREAM', true], // not enabled for the account
  [10047, 503, 'ERR_KSOCKET_STREAM_FULL', true], // insufficient storage resources
  [10054, 400, 'ERR_KSOCKET_BATCH_BYTES', false], // message size exceeds maximum allowed
  [10059, 404, 'ERR_KSOCKET_STREAM_NOT_FOUND', true],
  [10060, 400, 'ERR_KSOCKET_STREAM_SUBJECT', false], // expected stream does not match
  [10076, 503, 'ERR_KSOCKET_NO_JETSTREAM', true], // not enabled
  [10077, 503, 'ERR_KSOCKET_STREAM_FULL', true], // maximum messages exceeded
  [10023, 503, 'ERR_KSOCKET_JETSTREAM', true], // insufficient resources: one that we have no word for
];
const EXPECTED_STREAM = 'Nats-Expected-Stream';

function answer(connection: NatsConnection, next: () => [number, status: number] | undefined): void {
  const apiError = ([err_code, code]: readonly [number, number]) => ({
    error: { code, err_code, description: `refused with ${err_code}` },
  });
  connection.subscribe('$JS.API.STREAM.INFO.LOGS', {
    callback: (_, message) => {
      const info = {
        type: 'io.nats.jetstream.api.v1.stream_info_response',
        config: { subjects: ['logs.>'] },
        state: {},
      };
      message.respond(JSON.stringify(info));
    },
  });
  connection.subscribe('logs.>', {
    callback: (_, message) => {
      const isOurs = message.headers?.get(EXPECTED_STREAM) === 'LOGS';
      const refusal = isOurs ? next() : ([10060, 400] as const);
      message.respond(JSON.stringify(refusal === undefined ? { stream: 'LOGS', seq: 1 } : apiError(refusal)));
    },
  });
}

test('each reason that JetStream refuses a message for has its code, and says whether it is tried again', async () => {
  await install('nats-server', 'nats-server');
  const [port] = await freePorts(1);
  const servers = `nats://127.0.0.1:${port}`;
  await using _ = new Child('nats-server', ['-a', '127.0.0.1', '-p', String(port)]);
  let program: NatsConnection | undefined;
  await waitFor(async () => {
    program = await connect({ servers }).catch(() => undefined);
    return program !== undefined;
  }, 'the server');
  const sink = jetstream({ servers, stream: 'LOGS', subject: 'logs.a', compress: false });
  try {
    let refusal: [number, status: number] | undefined;
    answer(program as NatsConnection, () => refusal);
    await program?.flush();
    const { signal } = new AbortController();
    await sink.open({ signal, batchBytes: 1000, inFlight: 1 });
    const write = (n: number) =>
      sink.write({ id: `0-${n}`, key: 'logs.a', bytes: Uint8Array.of(n) } as PackedBatch, signal);
    for (const [n, [number, status, code, retry]] of refusals.entries()) {
      refusal = [number, status];
      const error = await write(n).catch((error: unknown) => error);
      assert.ok(error instanceof SinkError, `${number}`);
      assert.deepEqual([number, error.code, error.retry], [number, code, retry]);
      assert.equal(error.message, `Cannot publish to logs.a, stream LOGS, at ${servers}: refused with ${number}`);
      refusal = undefined; // and the connection is as good as before
      assert.deepEqual(await write(n), { duplicate: false });
    }
  } finally {
    await sink.close();
    await program?.close();
  }
});
