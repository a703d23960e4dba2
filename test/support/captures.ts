// What collectors write, as others read it: tshark and tcpdump. And batches, as collectors make them.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CollectedDatagram, PackedBatch } from 'ksocket/collect';

/** A datagram that was in a file. */
export interface Captured {
  receivedNs: bigint;
  source: string;
  destination: string;
  port: number;
  localPort: number;
  payload: string;
}

/** What a sink is told when it opens, and the signal of a collector that never gives up. */
export const never = new AbortController().signal;
export const OPENING = { signal: never, batchBytes: 1 << 20, inFlight: 8 };

/** One that fills a file of 64 KiB. */
export const large = {
  data: Buffer.alloc(60_000),
  address: '192.0.2.1',
  port: 1,
  local: '192.0.2.9',
  localPort: 514,
  receivedNs: 1n,
};

const FIELDS = [
  'frame.time_epoch',
  'ip.src',
  'ipv6.src',
  'ip.dst',
  'ipv6.dst',
  'udp.srcport',
  'udp.dstport',
  'udp.payload',
  'ip.checksum.status',
  'udp.checksum.status',
  'udp.length',
];
const GOOD = '1';

/** What tshark reads of a file; each checksum and length has to be right. `cut`: the end of the file may be missing. */
export function readWithTshark(file: string, { cut = false } = {}): Captured[] {
  const checks = ['-o', 'ip.check_checksum:TRUE', '-o', 'udp.check_checksum:TRUE'];
  const fields = FIELDS.flatMap((field) => ['-e', field]);
  const args = ['-n', ...checks, '-r', file, '-T', 'fields', '-E', 'separator=;', '-E', 'occurrence=f', ...fields];
  const { status, stdout, stderr } = spawnSync('tshark', args, { encoding: 'utf8', maxBuffer: 1 << 30 });
  const complaints = stderr.split('\n').filter((line) => line !== '' && !line.startsWith('Running as user'));
  if (!cut) assert.deepEqual([status, complaints], [0, []]);
  else
    assert.ok(
      complaints.every((line) => line.includes('cut short') || line.includes(file)),
      stderr,
    );
  return stdout
    .split('\n')
    .slice(0, -1)
    .map((line) => {
      const [time, ip4, ip6, to4, to6, port, localPort, payload, ipSum, udpSum, length] = line.split(';');
      assert.equal(udpSum, GOOD, line);
      assert.equal(ipSum, ip4 === '' ? '' : GOOD, line);
      assert.equal(Number(length), 8 + payload.length / 2, line);
      const [seconds, fraction] = time.split('.');
      return {
        receivedNs: BigInt(seconds) * 1_000_000_000n + BigInt(fraction),
        source: ip4 || ip6,
        destination: to4 || to6,
        port: Number(port),
        localPort: Number(localPort),
        payload,
      };
    });
}

/** How many packets tcpdump reads. */
export function countWithTcpdump(file: string): number {
  const { status, stdout, stderr } = spawnSync('tcpdump', ['-n', '-q', '-r', file], {
    encoding: 'utf8',
    maxBuffer: 1 << 30,
  });
  assert.equal(status, 0, stderr);
  assert.match(stderr, /link-type RAW/);
  return stdout.split('\n').length - 1;
}

/** As a packet has it: no zone, and IPv4 where both are. */
export function expected({ receivedNs, address, local, port, localPort, data }: CollectedDatagram): Captured {
  const plain = (text: string) => text.replace('::ffff:', '');
  const isIpv6 = [address, local].some((text) => text !== undefined && plain(text).includes(':'));
  const nowhere = isIpv6 ? '::' : '0.0.0.0';
  return {
    receivedNs,
    source: plain(address).replace(/%.*/, ''),
    destination: plain(local ?? nowhere),
    port,
    localPort,
    payload: data.toString('hex'),
  };
}

let batches = 0;
export function batchOf(datagrams: readonly CollectedDatagram[]): PackedBatch {
  return {
    id: `test-${++batches}`,
    key: '',
    count: datagrams.length,
    payloadBytes: datagrams.reduce((sum, { data }) => sum + data.length, 0),
    bytes: new Uint8Array(0),
    datagrams: () => datagrams.values(),
  };
}

/** What a collector has in a directory, but for what tells others that it is there. */
export function capturesIn(dir: string): string[] {
  return readdirSync(dir)
    .filter((name) => !name.startsWith('.'))
    .sort();
}

/** A folder of its own, empty, until the end of its block. */
export class Folder {
  readonly path = mkdtempSync(join(tmpdir(), 'ksocket-collect-'));

  get files(): string[] {
    return capturesIn(this.path);
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
