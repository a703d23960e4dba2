// A binary that names no C library: it finds what it needs in the one that the process has, glibc's or musl's.
//
// Its symbols lose the versions that glibc's linker gave them, so glibc binds each to its oldest version, or to the only one
// that is not hidden (elf/dl-lookup.c, do_lookup_x). Where that is another function, either_libc.cc has it.
import { readFileSync, writeFileSync } from 'node:fs';

const PT_DYNAMIC = 2;
const ENTRY_BYTES = 16;
/** elf(5): DT_NEEDED, DT_VERSYM, DT_VERNEED, DT_VERNEEDNUM. */
const BINDING = new Set([1n, 0x6ffffff0n, 0x6ffffffen, 0x6fffffffn]);

/** 64 bits, little-endian. */
export function unbind(file) {
  const elf = readFileSync(file);
  const first = Number(elf.readBigUInt64LE(0x20));
  const size = elf.readUInt16LE(0x36);
  const headers = Array.from({ length: elf.readUInt16LE(0x38) }, (_, i) => first + i * size);
  const dynamic = headers.find((at) => elf.readUInt32LE(at) === PT_DYNAMIC);
  if (dynamic === undefined) throw new Error(`${file} has no dynamic section`);
  const start = Number(elf.readBigUInt64LE(dynamic + 8));
  const end = start + Number(elf.readBigUInt64LE(dynamic + 0x20));
  let kept = start;
  for (let at = start; at < end; at += ENTRY_BYTES) {
    if (BINDING.has(elf.readBigUInt64LE(at))) continue;
    elf.copy(elf, kept, at, at + ENTRY_BYTES);
    kept += ENTRY_BYTES;
  }
  elf.fill(0, kept, end); // DT_NULL
  writeFileSync(file, elf);
}
