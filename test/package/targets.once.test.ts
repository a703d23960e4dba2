// Which binary a process takes.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { interpreterOf, targetHere, traced } from '../../build-lib/backend/targets.js';
import { root } from '../support/child.js';
import { test } from '../support/test.js';

/** An ELF file of 64 bits whose program headers are at `first`, with the loader's name at `start` (elf(5)). */
function elf(loader: string, { first = 0x40, start = 0x200, count = 3 } = {}): Buffer {
  const file = Buffer.alloc(8192);
  file.write('\x7fELF', 'latin1');
  file.writeBigUInt64LE(BigInt(first), 0x20);
  file.writeUInt16LE(56, 0x36);
  file.writeUInt16LE(count, 0x38);
  for (let i = 0; i < count; i++) {
    const at = first + i * 56;
    if (at + 56 > file.length) break;
    file.writeUInt32LE(i === 1 ? 3 : 1, at);
    file.writeBigUInt64LE(BigInt(start), at + 8);
    file.writeBigUInt64LE(BigInt(loader.length + 1), at + 0x20);
  }
  file.write(loader, start);
  return file;
}

test('the program loader of an ELF file is read, and nothing beyond its beginning', () => {
  assert.match(interpreterOf('/proc/self/exe'), /^\/lib.*\/ld-/);
  const directory = mkdtempSync(join(tmpdir(), 'ksocket-test-'));
  try {
    const path = join(directory, 'program');
    const loaderOf = (bytes: Buffer | string) => {
      writeFileSync(path, bytes);
      return interpreterOf(path);
    };
    assert.equal(loaderOf(elf('/lib/ld-musl-x86_64.so.1')), '/lib/ld-musl-x86_64.so.1');
    assert.equal(loaderOf(elf('/lib64/ld-linux-x86-64.so.2', { start: 0x300 })), '/lib64/ld-linux-x86-64.so.2');
    assert.equal(loaderOf(elf('/lib/ld-musl-x86_64.so.1', { count: 1 })), '', 'a static program has none');
    assert.equal(loaderOf(elf('/lib/ld-musl-x86_64.so.1', { first: 4090 })), '');
    assert.equal(loaderOf('#!/bin/sh\n'), '');
    assert.equal(loaderOf(''), '');
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('this process takes the binary of its platform and architecture', () => {
  assert.equal(targetHere(), `linux-${process.arch}`);
});

test('the binaries of a release are those that are looked for', async () => {
  const { TARGETS } = await import(join(root, 'scripts/package/targets.mjs'));
  assert.deepEqual(Object.keys(traced).sort(), (TARGETS as { name: string }[]).map(({ name }) => name).sort());
  for (const [name, ways] of Object.entries(traced)) {
    assert.ok(ways?.url().href.endsWith(`/prebuilds/${name}/ksocket.node`), name);
    assert.match(String(ways?.require), new RegExp(`prebuilds/${name}/ksocket\\.node`));
  }
});
