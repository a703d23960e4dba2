// The platforms that a release has a binary for, each for glibc and musl (either_libc.cc). lib/backend/targets.ts finds them;
// test/tarball/ looks that it knows all.

/** The oldest glibc that a binary may need: RHEL 8, Debian 11 and Ubuntu 20.04 have it, or a newer one. */
export const GLIBC_FLOOR = '2.28';

/** `machine`: as readelf names it. `flags`: thread-local variables are found by TLSDESC, as on arm64 anyway, and not by a
 * function of glibc's loader. */
export const TARGETS = [
  {
    name: 'linux-x64',
    triple: `x86_64-linux-gnu.${GLIBC_FLOOR}`,
    machine: 'Advanced Micro Devices X86-64',
    flags: ['-mtls-dialect=gnu2'],
  },
  { name: 'linux-arm64', triple: `aarch64-linux-gnu.${GLIBC_FLOOR}`, machine: 'AArch64', flags: [] },
];
