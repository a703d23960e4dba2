// Many datagrams in one message, and the way back. docs/collect.md says what is where; pack.ts writes it. What is read here may
// come from anybody: any bytes are datagrams, or an error.
import { SocketAddress } from 'node:net';
import { getBuiltinModule } from '../base/runtime.js';
import type { CollectedDatagram, CollectedFlow, PackedBatch } from './types.js';

/** `KSDB`, in little-endian as all numbers are. */
export const MAGIC = 0x4244534b;
export const VERSION = 1;
/** In the byte of flags: what is behind the header is a frame of zstd, RFC 8878. */
export const ZSTD = 1;

// Where what is in the header; all lengths are of what is behind it before it is compressed.
export const H_VERSION = 4;
export const H_FLAGS = 5;
export const H_HEADER_BYTES = 6; // u16
export const H_COUNT = 8;
export const H_PAYLOAD_BYTES = 12;
export const H_RECORDS_BYTES = 16;
export const H_SOURCES_BYTES = 20;
export const H_BASE_NS = 24; // u64
export const H_COLLECTOR = 32; // u64
export const H_SEQUENCE = 40; // u64
export const HEADER_BYTES = 48;

// The same of a source.
export const S_PORT = 0; // u16
export const S_LOCAL_PORT = 2; // u16
export const S_FAMILY = 4; // u8: 4, 6
export const S_LOCAL_FAMILY = 5; // the same, or 0: not known
export const S_ADDRESS = 8; // 16 bytes, those of IPv4 first
export const S_SCOPE = 24; // u32, of the interface at the collector
export const S_LOCAL = 28; // 16 bytes
export const SOURCE_BYTES = 44;

/** What is behind the header at most: what a decoder is willing to make of a few bytes. */
export const BODY_BYTES_MAX = 64 * 1024 * 1024;
/** Of the memory that decompressing takes beside that, as a power of two. */
const WINDOW_LOG_MAX = 26;
/** And how many datagrams; they may be empty. */
export const DATAGRAMS_MAX = 1 << 22;

/** Of UDP: what its length can say. */
const DATAGRAM_MAX = 65_535;

/** What is no batch, or not a whole one. */
export class FrameError extends Error {
  /** ERR_KSOCKET_BAD_FRAME, or ERR_KSOCKET_NO_ZSTD: it is one, which this runtime cannot decompress. */
  readonly code: string;

  /** @internal */
  constructor(message: string, code = 'ERR_KSOCKET_BAD_FRAME') {
    super(message);
    this.name = 'FrameError';
    this.code = code;
  }
}

interface Zstd {
  constants: { ZSTD_d_windowLogMax?: number };
  zstdCompress?(data: Uint8Array, done: (error: Error | null, result: Uint8Array) => void): void;
  zstdDecompress?(
    data: Uint8Array,
    options: { maxOutputLength: number; params: Record<number, number> },
    done: (error: Error | null, result: Uint8Array) => void,
  ): void;
}
let zlib: Zstd | undefined;
function zstd(): Zstd {
  zlib ??= getBuiltinModule('node:zlib') as Zstd;
  return zlib;
}

/** Can this runtime compress? Node from 22.15 and 23.8 on. */
export function hasZstd(): boolean {
  return zstd().zstdCompress !== undefined;
}

/** The same message with what is behind its header compressed, or the message itself where that is not longer. */
export async function compressFrame(bytes: Uint8Array): Promise<Uint8Array> {
  const { zstdCompress } = zstd();
  if (zstdCompress === undefined) return bytes;
  const body = await new Promise<Uint8Array>((resolve, reject) => {
    zstdCompress(bytes.subarray(HEADER_BYTES), (error, result) => (error === null ? resolve(result) : reject(error)));
  });
  if (HEADER_BYTES + body.length >= bytes.length) return bytes;
  const message = new Uint8Array(HEADER_BYTES + body.length);
  message.set(bytes.subarray(0, HEADER_BYTES));
  message[H_FLAGS] |= ZSTD;
  message.set(body, HEADER_BYTES);
  return message;
}

interface Header {
  headerBytes: number;
  compressed: boolean;
  count: number;
  payloadBytes: number;
  recordsBytes: number;
  sourcesBytes: number;
  bodyBytes: number;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function readHeader(bytes: Uint8Array): Header {
  const view = viewOf(bytes);
  if (bytes.length < HEADER_BYTES)
    throw new FrameError(`A batch has ${HEADER_BYTES} bytes or more, not ${bytes.length}`);
  if (view.getUint32(0, true) !== MAGIC)
    throw new FrameError('This is no batch of datagrams: it does not begin with KSDB');
  const version = bytes[H_VERSION];
  if (version !== VERSION) throw new FrameError(`The batch is of version ${version}, and what is known is ${VERSION}`);
  const headerBytes = view.getUint16(H_HEADER_BYTES, true);
  const flags = bytes[H_FLAGS];
  if ((flags & ~ZSTD) !== 0) throw new FrameError(`The batch has flags that are not known: ${flags}`);
  if (headerBytes < HEADER_BYTES || headerBytes > bytes.length)
    throw new FrameError(`The header of the batch has ${headerBytes} bytes`);
  const [count, payloadBytes, recordsBytes, sourcesBytes] = [
    H_COUNT,
    H_PAYLOAD_BYTES,
    H_RECORDS_BYTES,
    H_SOURCES_BYTES,
  ].map((at) => view.getUint32(at, true));
  const bodyBytes = payloadBytes + recordsBytes + sourcesBytes;
  const compressed = (flags & ZSTD) !== 0;
  if (bodyBytes > BODY_BYTES_MAX)
    throw new FrameError(`The batch has ${bodyBytes} bytes, ${BODY_BYTES_MAX} are allowed`);
  if (count > DATAGRAMS_MAX) throw new FrameError(`The batch has ${count} datagrams, ${DATAGRAMS_MAX} are allowed`);
  if (!compressed && bodyBytes !== bytes.length - headerBytes)
    throw new FrameError(`The batch says ${bodyBytes} bytes, and has ${bytes.length - headerBytes}`);
  return { headerBytes, compressed, count, payloadBytes, recordsBytes, sourcesBytes, bodyBytes };
}

/** The message as it was before it was compressed.
 * @throws FrameError */
export async function expandFrame(bytes: Uint8Array): Promise<Uint8Array> {
  const { compressed, headerBytes, bodyBytes } = readHeader(bytes);
  if (!compressed) return bytes;
  const { zstdDecompress, constants } = zstd();
  if (zstdDecompress === undefined)
    throw new FrameError('The batch is compressed, which takes Node 22.15 or 23.8 to read', 'ERR_KSOCKET_NO_ZSTD');
  const body = await new Promise<Uint8Array>((resolve, reject) => {
    const params = { [constants.ZSTD_d_windowLogMax as number]: WINDOW_LOG_MAX };
    const options = { maxOutputLength: Math.max(1, bodyBytes), params };
    zstdDecompress(bytes.subarray(headerBytes), options, (error, result) => {
      if (error === null) resolve(result);
      else reject(new FrameError(`The batch is not what zstd compresses: ${error.message}`));
    });
  });
  if (body.length !== bodyBytes) throw new FrameError(`The batch says ${bodyBytes} bytes, and has ${body.length}`);
  const whole = new Uint8Array(headerBytes + bodyBytes);
  whole.set(bytes.subarray(0, headerBytes));
  whole[H_FLAGS] &= ~ZSTD;
  whole.set(body, headerBytes);
  return whole;
}

/** Of a message that is not compressed. It is read once, whole, before this returns: what is iterated is right.
 * @throws FrameError */
export function readFrame(bytes: Uint8Array, key = ''): PackedBatch {
  const header = readHeader(bytes);
  if (header.compressed) throw new FrameError('The batch is compressed');
  check(bytes, header);
  const view = viewOf(bytes);
  const hex = (at: number) => view.getBigUint64(at, true).toString(16);
  return {
    id: `${hex(H_COLLECTOR)}-${hex(H_SEQUENCE)}`,
    key,
    count: header.count,
    payloadBytes: header.payloadBytes,
    bytes,
    datagrams: () => iterate(bytes, header),
  };
}

/** Reads numbers of seven bits a byte, the lowest first; up to 2^53. */
class Numbers {
  readonly #bytes: Uint8Array;
  readonly end: number;
  at: number;

  constructor(bytes: Uint8Array, from: number, length: number) {
    this.#bytes = bytes;
    this.at = from;
    this.end = from + length;
  }

  next(): number {
    let value = 0;
    for (let factor = 1; factor <= 2 ** 49; factor *= 128) {
      if (this.at >= this.end) break;
      const byte = this.#bytes[this.at++];
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
    throw new FrameError(`The batch has no number at ${this.at}`);
  }

  /** With a sign, in the lowest bit. */
  nextSigned(): number {
    const value = this.next();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }
}

function recordsOf(bytes: Uint8Array, { headerBytes, payloadBytes, recordsBytes }: Header): Numbers {
  return new Numbers(bytes, headerBytes + payloadBytes, recordsBytes);
}

function check(bytes: Uint8Array, header: Header): void {
  const { count, payloadBytes, sourcesBytes, headerBytes, recordsBytes } = header;
  const sources = sourcesBytes / SOURCE_BYTES;
  if (!Number.isInteger(sources)) throw new FrameError(`The batch has ${sourcesBytes} bytes of sources`);
  const first = headerBytes + payloadBytes + recordsBytes;
  for (let at = first; at < first + sourcesBytes; at += SOURCE_BYTES) {
    const [family, local] = [bytes[at + S_FAMILY], bytes[at + S_LOCAL_FAMILY]];
    if ((family !== 4 && family !== 6) || (local !== 0 && local !== 4 && local !== 6))
      throw new FrameError(`The batch has a source of family ${family}, ${local}`);
  }
  let datagrams = 0;
  let total = 0;
  const numbers = recordsOf(bytes, header);
  while (numbers.at < numbers.end) {
    if (numbers.next() >= sources) throw new FrameError('The batch has a datagram from a source that it has not');
    numbers.nextSigned();
    const many = numbers.next();
    const size = numbers.next();
    const last = many === 1 ? size : numbers.next();
    if (many < 1 || size > DATAGRAM_MAX || last > DATAGRAM_MAX)
      throw new FrameError(`The batch has ${many} datagrams of ${size} bytes, the last one of ${last}`);
    datagrams += many;
    total += (many - 1) * size + last;
    if (total > payloadBytes || datagrams > count) break;
  }
  if (datagrams !== count || total !== payloadBytes)
    throw new FrameError(`The batch says ${count} datagrams of ${payloadBytes} bytes together, and has others`);
}

function* iterate(bytes: Uint8Array, header: Header): IterableIterator<CollectedDatagram> {
  const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const view = viewOf(bytes);
  const { headerBytes, payloadBytes, recordsBytes, sourcesBytes } = header;
  const firstSource = headerBytes + payloadBytes + recordsBytes;
  const flows = new Array<CollectedFlow | undefined>(sourcesBytes / SOURCE_BYTES);
  const numbers = recordsOf(bytes, header);
  let ns = view.getBigUint64(H_BASE_NS, true);
  let at = headerBytes;
  while (numbers.at < numbers.end) {
    const source = numbers.next();
    flows[source] ??= readFlow(bytes, view, firstSource + source * SOURCE_BYTES);
    const { address, port, local, localPort } = flows[source];
    ns = BigInt.asUintN(64, ns + BigInt(numbers.nextSigned()));
    const many = numbers.next();
    const size = numbers.next();
    const last = many === 1 ? size : numbers.next();
    for (let i = 1; i <= many; i++) {
      const end = at + (i === many ? last : size);
      yield { data: data.subarray(at, end), address, port, local, localPort, receivedNs: ns };
      at = end;
    }
  }
}

function readFlow(bytes: Uint8Array, view: DataView, at: number): CollectedFlow {
  const localFamily = bytes[at + S_LOCAL_FAMILY];
  return {
    address: addressText(bytes, at + S_ADDRESS, bytes[at + S_FAMILY], view.getUint32(at + S_SCOPE, true)),
    port: view.getUint16(at + S_PORT, true),
    local: localFamily === 0 ? undefined : addressText(bytes, at + S_LOCAL, localFamily, 0),
    localPort: view.getUint16(at + S_LOCAL_PORT, true),
  };
}

/** As inet_ntop(3), RFC 5952, with a zone where there is a scope. */
export function addressText(bytes: Uint8Array, at: number, family: number, scope: number): string {
  if (family === 4) return `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}`;
  const groups = Array.from({ length: 8 }, (_, i) => ((bytes[at + 2 * i] << 8) | bytes[at + 2 * i + 1]).toString(16));
  const { address } = new SocketAddress({ address: groups.join(':'), family: 'ipv6' });
  return scope === 0 ? address : `${address}%${scope}`;
}
