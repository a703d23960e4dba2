// The binaries that a published package has, and which of them this process can load.
import { closeSync, openSync, readlinkSync, readSync } from 'node:fs';

/** In an output of a bundler its `require`, for which it has put the files somewhere: scripts/build-ts.mjs writes that name here. */
declare const bundlersRequire: (file: string) => unknown;

/** How a bundler finds the binary of a target. Each path stands here as a whole: bundlers look for that. */
interface Traced {
  /** webpack, ncc; and @vercel/nft, which does not see what an arrow function gives back. */
  url(): URL;
  /** esbuild, bun: the addon, or its path. */
  require: () => unknown;
}

export const traced: Readonly<Record<string, Traced | undefined>> = {
  'linux-x64': {
    url() {
      return new URL('../../prebuilds/linux-x64/ksocket.node', import.meta.url);
    },
    require: () => bundlersRequire('../../prebuilds/linux-x64/ksocket.node'),
  },
  'linux-arm64': {
    url() {
      return new URL('../../prebuilds/linux-arm64/ksocket.node', import.meta.url);
    },
    require: () => bundlersRequire('../../prebuilds/linux-arm64/ksocket.node'),
  },
  'linux-x64-musl': {
    url() {
      return new URL('../../prebuilds/linux-x64-musl/ksocket.node', import.meta.url);
    },
    require: () => bundlersRequire('../../prebuilds/linux-x64-musl/ksocket.node'),
  },
  'linux-arm64-musl': {
    url() {
      return new URL('../../prebuilds/linux-arm64-musl/ksocket.node', import.meta.url);
    },
    require: () => bundlersRequire('../../prebuilds/linux-arm64-musl/ksocket.node'),
  },
};

const HEAD_BYTES = 4096;
const PT_INTERP = 3;

/** The program loader that an ELF file asks for, as far as its beginning tells (elf(5)); 64-bit, little-endian. */
export function interpreterOf(file: string): string {
  const head = Buffer.alloc(HEAD_BYTES);
  const fd = openSync(file, 'r');
  try {
    readSync(fd, head, 0, HEAD_BYTES, 0);
  } finally {
    closeSync(fd);
  }
  const first = Number(head.readBigUInt64LE(0x20)); // e_phoff
  const size = head.readUInt16LE(0x36); // e_phentsize
  const count = head.readUInt16LE(0x38); // e_phnum
  for (let i = 0; i < count; i++) {
    const at = first + i * size;
    if (at + 0x28 > HEAD_BYTES) break;
    if (head.readUInt32LE(at) !== PT_INTERP) continue;
    const start = Number(head.readBigUInt64LE(at + 8)); // p_offset
    const length = Number(head.readBigUInt64LE(at + 0x20)); // p_filesz
    return head.toString('latin1', start, start + length).replace(/\0.*$/s, '');
  }
  return '';
}

/** Its C library is musl, whose programs cannot load what was linked for glibc. */
function isMusl(): boolean {
  try {
    const exe = '/proc/self/exe';
    const interpreter = interpreterOf(exe);
    // What has none may be the loader itself, with the program as its argument.
    return interpreter === '' ? readlinkSync(exe).includes('musl') : interpreter.includes('ld-musl');
  } catch {
    return false; // no /proc, or the permission model forbids to read it
  }
}

/** `linux-x64`, `linux-arm64-musl`: the directory of `prebuilds/` for this process. */
export function targetHere(): string {
  const { platform, arch } = process;
  return `${platform}-${arch}${platform === 'linux' && isMusl() ? '-musl' : ''}`;
}
