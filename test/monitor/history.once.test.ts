// Samples of a server's counters, of memory that the test writes in the server's place.
import assert from 'node:assert/strict';
import {
  C_HEAD,
  C_TAIL,
  C_THREAD_ID,
  CONTROL_BYTES,
  COUNTERS_PER_ROW,
  counterIndex,
  LATENCY_CELLS,
} from '../../build-lib/backend/layout.js';
import { HeartbeatReader } from '../../build-lib/monitor/heartbeat.js';
import { History } from '../../build-lib/monitor/history.js';
import { ObservedServer, readStat, type ServerSource } from '../../build-lib/monitor/observed-server.js';
import type { CounterName } from '../../build-lib/thread/counters.js';
import type { Observation } from '../../build-lib/thread/observation.js';
import { test } from '../support/test.js';

const shared = (count: number) => new BigUint64Array(new SharedArrayBuffer(8 * count));

let runs = 0;

/** A run of a server, as it is observed. */
class Run {
  readonly counters = shared(COUNTERS_PER_ROW);
  readonly latency = shared(LATENCY_CELLS);
  readonly control = new Int32Array(new SharedArrayBuffer(CONTROL_BYTES));
  readonly observation: Observation = {
    run: ++runs,
    engine: 'mmsg',
    counters: this.counters,
    thread: shared(COUNTERS_PER_ROW),
    control: this.control,
    ringSlots: 8,
    latency: this.latency,
  };

  source(running = true): ServerSource {
    return { name: 'one', running, observation: this.observation };
  }

  count(name: CounterName, more: number): void {
    this.counters[counterIndex[name]] += BigInt(more);
  }

  ring(tail: number, head: number): void {
    this.control[C_TAIL >> 2] = tail;
    this.control[C_HEAD >> 2] = head;
  }
}

/** A history whose clock the test turns. */
function historyOf(server: ObservedServer) {
  const heartbeat = new HeartbeatReader(new BigInt64Array(new SharedArrayBuffer(64)) as never);
  const real = performance.now;
  let now = 1000;
  const withClock = <T>(action: () => T): T => {
    performance.now = () => now;
    try {
      return action();
    } finally {
      performance.now = real;
    }
  };
  const history = withClock(() => new History([server], heartbeat));
  const take = (ms: number) => {
    now += ms;
    withClock(() => history.take());
    return history.latest(0);
  };
  return { history, take };
}

const received = ({ received }: { received: number | null }) => received;

test('a sample has what was counted in a second', () => {
  const run = new Run();
  const { take } = historyOf(new ObservedServer(run.source()));
  run.count('rxDatagrams', 1000);
  assert.equal(received(take(500)), null, 'there is nothing before to compare with');
  run.count('rxDatagrams', 100);
  run.count('rxBatches', 20);
  run.count('rxBytes', 4000);
  run.count('txDatagrams', 50);
  run.count('txBytes', 300);
  run.count('rxKernelDrops', 6);
  run.count('rxRingDrops', 8);
  run.count('txDropped', 2);
  run.latency[2] += 1n;
  run.latency[5] += 99n;
  run.ring(-3, 2);
  assert.deepEqual(take(2000), {
    received: 50,
    receivedBytes: 2000,
    sent: 25,
    sentBytes: 150,
    inKernel: 0,
    kernelDrops: 3,
    ringDrops: 4,
    sendDrops: 1,
    delivered: null,
    undelivered: null,
    batch: 5,
    ringRecords: 5,
    latencyP50Us: 6,
    latencyP99Us: 6,
    cpu: 0,
  });
  assert.deepEqual(
    [take(1000)].map(({ received, batch, latencyP50Us }) => [received, batch, latencyP50Us]),
    [[0, null, null]],
  );
});

test('what was counted in another run, or before a stop, is not compared', () => {
  const [first, second] = [new Run(), new Run()];
  const server = new ObservedServer({ name: 'one', running: false, observation: null });
  const { history, take } = historyOf(server);
  assert.equal(received(take(1000)), null, 'it never ran');
  server.source = first.source();
  assert.equal(received(take(1000)), null);
  first.count('rxDatagrams', 5);
  assert.equal(received(take(1000)), 5);
  server.source = first.source(false);
  assert.equal(received(take(1000)), null, 'it is stopped');
  second.count('rxDatagrams', 100);
  server.source = second.source();
  assert.equal(received(take(1000)), null, 'its first sample');
  assert.equal(received(take(1000)), 0);
  server.source = first.source();
  assert.equal(received(take(1000)), null, 'another run');
  assert.equal(history.sequence, 7);
});

test('five minutes are kept', () => {
  const run = new Run();
  const { history, take } = historyOf(new ObservedServer(run.source()));
  for (let i = 0; i < 305; i++) {
    run.count('rxDatagrams', i);
    take(1000);
  }
  const { times, lagMs, sequence, servers } = JSON.parse(JSON.stringify(history));
  assert.deepEqual([times.length, lagMs.length, sequence, servers[0].name], [300, 300, 305, 'one']);
  assert.deepEqual(
    servers[0].samples.received,
    Array.from({ length: 300 }, (_, i) => i + 5),
  );
});

test('the ring has as many records as lie between its ends, at most what it can hold, none when it is stopped', () => {
  const run = new Run();
  const server = new ObservedServer({ name: 'one', running: false, observation: null });
  assert.equal(server.ring(), null);
  server.source = run.source();
  const ends: [tail: number, head: number, records: number][] = [
    [0, 0, 0],
    [2, 7, 5],
    [0, 9, 8],
    [0x7fffffff, -0x80000000 + 2, 3],
  ];
  for (const [tail, head, records] of ends) {
    run.ring(tail, head);
    assert.deepEqual(server.ring(), { records, capacity: 8 }, `${tail} to ${head}`);
  }
  server.source = run.source(false);
  assert.deepEqual(server.ring(), { records: 0, capacity: 8 });
});

test('the processor time of a thread is what it has had in user mode and in the kernel', () => {
  // proc(5), /proc/pid/stat: a name may look like what follows it; utime and stime are fields 14 and 15, in hundredths of a second.
  const fields = Array.from({ length: 49 }, (_, i) => `${1000 * (i + 4)}`);
  assert.deepEqual(readStat(`7 (a) Z (b) 1) S ${fields.join(' ')}\n`), { state: 'S', cpuSeconds: 290 });
});

test('a thread lives while the kernel lists it', () => {
  const run = new Run();
  const server = new ObservedServer(run.source());
  assert.deepEqual(server.thread(), { alive: false, cpuSeconds: 0 }, 'it has not said which it is');
  run.control[C_THREAD_ID >> 2] = process.pid;
  for (const end = performance.now() + 60; performance.now() < end; ); // some hundredths of a second
  const { alive, cpuSeconds } = server.thread();
  assert.equal(alive, true);
  const { userCPUTime, systemCPUTime } = process.resourceUsage();
  assert.ok(cpuSeconds > 0 && cpuSeconds < (userCPUTime + systemCPUTime) / 1e6 + 0.05, `${cpuSeconds} s`);
  run.control[C_THREAD_ID >> 2] = 0x7fffffff; // no process or thread has this number: proc(5), pid_max
  assert.deepEqual(server.thread(), { alive: false, cpuSeconds }, 'what it has had it has had');
});

test('a shard that goes is counted on, with its processor time, and is no reason to worry; another run begins at nothing', () => {
  const [first, second] = [new Run(), new Run()];
  const server = new ObservedServer(first.source());
  const gone = new Run();
  gone.count('rxDatagrams', 7);
  first.count('rxDatagrams', 5);
  gone.latency[3] = 2n;
  first.control[C_THREAD_ID >> 2] = process.pid;
  gone.control[C_THREAD_ID >> 2] = process.pid;
  const { observation } = first;
  const seen = (more: Partial<Observation>) => {
    server.source = { name: 'one', running: true, observation: { ...observation, ...more } };
    const { alive, cpuSeconds } = server.thread();
    assert.equal(alive, true);
    return [server.stats()?.rxDatagrams, server.latencies()?.count, server.ring()?.capacity, cpuSeconds > 0];
  };
  for (const end = performance.now() + 60; performance.now() < end; );
  assert.deepEqual(seen({ others: [gone.observation] }), [12, 2, 16, true]);
  gone.control[C_THREAD_ID >> 2] = 0x7fffffff; // its thread has ended
  assert.deepEqual(seen({ others: [{ ...gone.observation, ends: true }] }), [12, 2, 16, true]);
  gone.control[C_THREAD_ID >> 2] = 0;
  assert.deepEqual(seen({ others: [{ ...gone.observation, ends: true }] }), [12, 2, 16, true]);
  assert.deepEqual(seen({ past: gone.observation }), [12, 2, 8, true]);
  assert.deepEqual(seen({ run: second.observation.run }), [5, 0, 8, true]);
  server.source = new Run().source();
  assert.equal(server.thread().cpuSeconds, 0);
});
