// The datagram that comes alone, of which there is nothing to say but where it came from. Where little comes, that is all
// that runs of us, and it runs before it is compiled: then calls and loads are what counts, and the less there is of it
// the less V8 compiles for a program that has hardly anything to do.
import { D_KIND, D_LENGTH, D_OFFSET, D_PORT, D_SEGMENT_SIZE, KIND_DATAGRAM } from '../backend/layout.js';
import { familyNames } from '../base/family.js';
import { type Endpoint, wantsBatches } from './endpoint.js';
import type { OwnedPayloads } from './payloads.js';
import { littleEndian, type ReceivedRecords } from './records.js';

// Port, family and kind share a word, and so do the segments' size and the flags.
const KIND_SHIFT = (D_KIND - D_PORT) * 8;
const FAMILY_SHIFT = 16;

/** Is the record at `at` one datagram, whole, for somebody who takes it as a message without metadata? */
export function isPlain(words: Uint32Array, at: number, endpoint: Endpoint): boolean {
  return (
    littleEndian &&
    words[at + (D_PORT >> 2)] >>> KIND_SHIFT === KIND_DATAGRAM &&
    words[at + (D_SEGMENT_SIZE >> 2)] === 0 &&
    endpoint.metadata === undefined &&
    !wantsBatches(endpoint)
  );
}

export function deliverPlain(records: ReceivedRecords, at: number, payloads: OwnedPayloads, endpoint: Endpoint): void {
  const { words } = records;
  const from = words[at + (D_OFFSET >> 2)];
  const size = words[at + (D_LENGTH >> 2)];
  const source = words[at + (D_PORT >> 2)];
  endpoint.onDatagram(endpoint.pooled ? payloads.takeOne(from, size) : payloads.alone(from, size), {
    address: records.address(at),
    family: familyNames[(source >>> FAMILY_SHIFT) & 0xff],
    port: source & 0xffff,
    size,
  });
}
