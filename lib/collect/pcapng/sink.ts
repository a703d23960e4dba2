// pcapng(): what a collector receives, in files that Wireshark opens.
import { endianness } from 'node:os';
import { resolve } from 'node:path';
import * as errors from '../../base/errors.js';
import { type Family, udp4, udp6 } from '../../base/family.js';
import { refuseUnknown } from '../../base/known-keys.js';
import { validateInteger, validateObject, validateOneOf, validateString } from '../../base/validate.js';
import { parseLiteral } from '../../thread/address.js';
import { type Sink, SinkError } from '../sink.js';
import type { PackedBatch } from '../types.js';
import { Files, type FilesOptions, type Rotation } from './files.js';
import { blockBytesMax, type Datagram, Packets } from './packets.js';

/** When pcapng() begins its next file, and how many it keeps. */
export interface PcapngRotation {
  /** No file grows beyond so many bytes, 65 536 to 2^40; a batch that is larger has one of its own. Default 128 MiB. */
  bytes?: number;
  /** So many seconds after its first datagram a file is finished, when the next datagram comes; 1 to 2 147 483. Default: it does
   * not matter how long it takes. */
  seconds?: number;
  /** So many files there are at most, the one that is written included; the oldest are removed. 1 to 1 000 000. Default: all are
   * kept. */
  files?: number;
}

/** What pcapng() takes. */
export interface PcapngOptions {
  /** The directory. It is made where only it is missing. */
  dir: string;
  /** What the names of its files begin with: letters, digits, `.`, `_` and `-`, 1 to 64. Of several collectors in one directory each
   * needs its own: `start()` rejects with ERR_KSOCKET_PREFIX_IN_USE where another one that runs has it. Default `ksocket`. */
  prefix?: string;
  /** When the next file begins. */
  rotate?: PcapngRotation;
  /** fdatasync(2): `'write'`, before a batch counts as written; `'file'`, before a file gets its name; `false` (the default), when the
   * kernel wants to. */
  fsync?: false | 'file' | 'write';
}

const FILE_BYTES_DEFAULT = 128 * 1024 * 1024;
const FILE_BYTES_MIN = 65_536;
const FILE_BYTES_MAX = 2 ** 40;
const SECONDS_MAX = 2_147_483;
const FILES_MAX = 1_000_000;
/** A write has so many bytes, and a datagram fits. */
const CHUNK_BYTES = 1024 * 1024;
const APPLICATION = 'ksocket';
const NOWHERE: Record<4 | 16, Uint8Array> = { 4: new Uint8Array(4), 16: new Uint8Array(16) };
const MAPPED = /^::ffff:(?=\d+\.)/;
/** The words of a 64-bit number. */
const [LOW, HIGH] = endianness() === 'LE' ? [0, 1] : [1, 0];

function checkRotation(rotate: unknown = {}): Rotation {
  validateObject(rotate, 'options.rotate');
  refuseUnknown(rotate, 'options.rotate', ['bytes', 'seconds', 'files']);
  const { bytes = FILE_BYTES_DEFAULT, seconds, files } = rotate as PcapngRotation;
  validateInteger(bytes, 'options.rotate.bytes', FILE_BYTES_MIN, FILE_BYTES_MAX);
  if (seconds !== undefined) validateInteger(seconds, 'options.rotate.seconds', 1, SECONDS_MAX);
  if (files !== undefined) validateInteger(files, 'options.rotate.files', 1, FILES_MAX);
  return { bytes, seconds, files };
}

function check(options: PcapngOptions): FilesOptions {
  validateObject(options, 'options');
  refuseUnknown(options, 'options', ['dir', 'prefix', 'rotate', 'fsync']);
  const { dir, prefix = 'ksocket', rotate, fsync = false } = options;
  validateString(dir, 'options.dir');
  if (dir === '' || dir.includes('\0')) throw errors.invalidArgValue('options.dir', dir, 'must be a path');
  validateString(prefix, 'options.prefix');
  if (!/^[\w-][\w.-]{0,63}$/.test(prefix))
    throw errors.invalidArgValue('options.prefix', prefix, "may have letters, digits, '.', '_' and '-', 1 to 64");
  validateOneOf(fsync, 'options.fsync', [false, 'file', 'write']);
  return { dir: resolve(dir), prefix, application: APPLICATION, rotate: checkRotation(rotate), fsync };
}

/** Datagrams as their packets say them; one object for all. */
class Reading implements Datagram {
  source: Uint8Array = NOWHERE[4];
  sourcePort = 0;
  destination: Uint8Array = NOWHERE[4];
  destinationPort = 0;
  timeHigh = 0;
  timeLow = 0;
  payload: Uint8Array = NOWHERE[4];
  readonly #time = new BigUint64Array(1);
  readonly #timeWords = new Uint32Array(this.#time.buffer);
  #address = '';
  #local: string | undefined;

  /** Those of this batch, by their blocks. */
  *blocks(batch: PackedBatch, packets: Packets, signal: AbortSignal): Iterable<Uint8Array> {
    packets.clear();
    for (const { address, port, local, localPort, receivedNs, data } of batch.datagrams()) {
      if (address !== this.#address || local !== this.#local) this.#addresses(address, local);
      this.sourcePort = port;
      this.destinationPort = localPort;
      this.payload = data;
      this.#time[0] = receivedNs;
      this.timeHigh = this.#timeWords[HIGH];
      this.timeLow = this.#timeWords[LOW];
      if (packets.add(this)) continue;
      yield packets.blocks;
      signal.throwIfAborted();
      packets.clear();
      packets.add(this);
    }
    yield packets.blocks;
  }

  /** Of one family, as a packet has one: IPv4 where both are, written as IPv6 or not. */
  #addresses(address: string, local: string | undefined): void {
    const [from, to] = [address, local].map((text) => text?.replace(MAPPED, ''));
    const isIpv4 = !`${from}${to}`.includes(':');
    this.source = bytesOf(isIpv4 ? udp4 : udp6, isIpv4 ? from : address);
    this.destination = bytesOf(isIpv4 ? udp4 : udp6, isIpv4 ? to : local);
    this.#address = address;
    this.#local = local;
  }
}

/** Nobody's where it is not known. */
function bytesOf(family: Family, text: string | undefined): Uint8Array {
  const { addressBytes } = family;
  if (text === undefined) return NOWHERE[addressBytes];
  const literal = family === udp6 && !text.includes(':') ? `::ffff:${text}` : text.replace(/%.*/, '');
  const parsed = parseLiteral(family, literal);
  return parsed === null ? NOWHERE[addressBytes] : new Uint8Array(parsed.words.buffer).subarray(0, addressBytes);
}

class PcapngSink implements Sink {
  readonly name: string;
  readonly #files: Files;
  readonly #reading = new Reading();
  #packets: Packets | undefined; // while it is open
  #failures = 0;

  constructor(options: FilesOptions) {
    this.name = `pcapng in ${options.dir}`;
    this.#files = new Files(options);
  }

  async open(): Promise<void> {
    try {
      await this.#files.open();
    } catch (error) {
      throw this.#named(error);
    }
    this.#packets = new Packets(CHUNK_BYTES);
  }

  async write(batch: PackedBatch, signal: AbortSignal): Promise<undefined> {
    const { count, payloadBytes } = batch;
    const blocks = this.#reading.blocks(batch, this.#packets as Packets, signal);
    try {
      await this.#files.write(blocks, count, blockBytesMax(count, payloadBytes));
    } catch (error) {
      if (signal.aborted) throw error;
      this.#failures++;
      throw this.#named(error);
    }
    return undefined;
  }

  async close(): Promise<void> {
    this.#packets = undefined;
    try {
      await this.#files.close();
    } catch (error) {
      throw this.#named(error);
    }
  }

  stats(): Record<string, number> {
    const { begun, bytes } = this.#files;
    return { files: begun, bytes, failures: this.#failures };
  }

  // Whatever it is, somebody may put it right: make room, or the directory writable.
  #named(error: unknown): SinkError {
    const { code = 'ERR_KSOCKET_SINK', message } = error as NodeJS.ErrnoException;
    const retry = error instanceof SinkError ? error.retry : true;
    return new SinkError(code, `${this.name}: ${message}`, retry, error);
  }
}

/**
 * A sink of files in one directory that Wireshark, tshark and tcpdump open (pcapng, as raw IP, in nanoseconds): each datagram has the
 * IP and UDP headers that it may have had, with its addresses, ports, lengths and checksums; where the address that it was sent to is
 * not known it is all zeros. Files are called `PREFIX-20261127T184713Z-000001.pcapng`, by when they were begun and a number that only
 * grows; the one that is written has `.part` behind it until it is whole.
 *
 * Each write(2) is of whole packets, and what is not written whole is taken back: a batch is in one file, or not at all. What a
 * process that was killed has left is readable up to its last whole packet, and gets its name when the next collector starts.
 * `stats()` counts `files` that were begun, `bytes` in them, and `failures`: attempts to write a batch that came to nothing (ENOSPC,
 * EDQUOT, EIO, EACCES, …); each is tried again, and goes on when there is room.
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE
 */
export function pcapng(options: PcapngOptions): Sink {
  return new PcapngSink(check(options));
}
