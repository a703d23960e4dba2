// The binaries that a published package has, and which of them this process can load.

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
};

/** `linux-x64`: the directory of `prebuilds/` for this process, whichever C library it has. */
export function targetHere(): string {
  return `${process.platform}-${process.arch}`;
}
