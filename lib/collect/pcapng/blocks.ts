// Blocks of pcapng (draft-ietf-opsawg-pcapng), in the byte order of this machine, which the section header says.

const SECTION_HEADER = 0x0a0d0d0a;
const INTERFACE_DESCRIPTION = 1;
const INTERFACE_STATISTICS = 5;
export const ENHANCED_PACKET = 6;
const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
const VERSION = [1, 0] as const;
/** Packets begin with an IPv4 or IPv6 header. */
const LINKTYPE_RAW = 101;

const END_OF_OPTIONS = 0;
const SHB_USERAPPL = 4;
const IF_TSRESOL = 9;
/** Times count units of 10^-9 s. */
const NANOSECONDS = 9;
const ISB_IFRECV = 4;
/** An option's length has 16 bits, and what is said here is a name. */
const TEXT_BYTES_MAX = 255;

const padded = (bytes: number) => (bytes + 3) & ~3;

function option(code: number, value: Uint8Array): Buffer {
  const out = Buffer.alloc(4 + padded(value.length));
  new Uint16Array(out.buffer, out.byteOffset, 2).set([code, value.length]);
  out.set(value, 4);
  return out;
}

const text = (code: number, value: string) => option(code, Buffer.from(value).subarray(0, TEXT_BYTES_MAX));
const counter = (code: number, value: number) => option(code, bytesOf(new BigUint64Array([BigInt(value)])));
const bytesOf = ({ buffer, byteOffset, byteLength }: NodeJS.TypedArray) =>
  new Uint8Array(buffer, byteOffset, byteLength);

function block(type: number, body: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat([...body, option(END_OF_OPTIONS, new Uint8Array())]);
  const length = 12 + content.length;
  const head = bytesOf(new Uint32Array([type, length]));
  return Buffer.concat([head, content, bytesOf(new Uint32Array([length]))]);
}

/** What a file begins with: who writes it, and the one interface that all packets come from. */
export function fileHeader(application: string): Buffer {
  const unknownLength = new BigInt64Array([-1n]);
  const section = block(SECTION_HEADER, [
    bytesOf(new Uint32Array([BYTE_ORDER_MAGIC])),
    bytesOf(new Uint16Array(VERSION)),
    bytesOf(unknownLength),
    text(SHB_USERAPPL, application),
  ]);
  const description = block(INTERFACE_DESCRIPTION, [
    bytesOf(new Uint16Array([LINKTYPE_RAW, 0])),
    bytesOf(new Uint32Array([0])), // packets of any length
    option(IF_TSRESOL, Uint8Array.of(NANOSECONDS)),
  ]);
  return Buffer.concat([section, description]);
}

/** What a file that is whole ends with: how many packets it has. */
export function statistics(nowNs: bigint, packets: number): Buffer {
  return block(INTERFACE_STATISTICS, [
    bytesOf(new Uint32Array([0, Number(nowNs >> 32n), Number(nowNs & 0xffff_ffffn)])),
    counter(ISB_IFRECV, packets),
  ]);
}
