// The published package as a directory: what users need and nothing that a package manager could run. The checkout's binding.gyp
// is not in it: with that at a package's root, npm, pnpm and yarn run node-gyp, whatever its manifest says.
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants } from 'node:zlib';
import { decode, encode } from '@jridgewell/sourcemap-codec';
import { ARCHIVE, headers } from '../../native/compile.mjs';

/** What `ksocket build` compiles. */
const SOURCES = ['addon.cc', 'bridge', 'core', 'engine', 'include', 'exports.map'];
/** What is there to be read: by `ksocket build`, by who writes a handler, and by lawyers. */
const APART = ['compile.json', 'compile.mjs', 'include'];
const HEADERS = {
  'node-addon-api': ['napi.h', 'napi-inl.h', 'napi-inl.deprecated.h'],
  'node-api-headers': ['node_api.h', 'node_api_types.h', 'js_native_api.h', 'js_native_api_types.h'],
  node: ['uv.h', 'uv/errno.h', 'uv/linux.h', 'uv/threadpool.h', 'uv/unix.h', 'uv/version.h'],
};
const BROTLI = { [constants.BROTLI_PARAM_LGWIN]: 24, [constants.BROTLI_PARAM_MODE]: constants.BROTLI_MODE_TEXT };

/** Makes `directory` anew. `binaries`: target names with the files; `repository`: where the sources are, or ''. */
export function stage(root, directory, { binaries, repository }) {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  copyFileSync(join(root, 'LICENSE'), join(directory, 'LICENSE'));
  cpSync(join(root, 'dist'), join(directory, 'dist'), { recursive: true });
  withoutSources(join(directory, 'dist'));
  packSources(root, directory);
  for (const [target, file] of Object.entries(binaries)) {
    mkdirSync(join(directory, 'prebuilds', target), { recursive: true });
    copyFileSync(file, join(directory, 'prebuilds', target, 'ksocket.node'));
  }
  const manifest = publishedManifest(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')), repository);
  writeFileSync(join(directory, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  writeFileSync(
    join(directory, 'README.md'),
    repository ? withFullLinks(readme, repository, manifest.version) : readme,
  );
  return manifest;
}

/** In one file, compressed better than a tarball can: a fifth less of it. */
function packSources(root, directory) {
  const native = join(directory, 'native');
  for (const name of SOURCES) cpSync(join(root, 'native', name), join(native, name), { recursive: true });
  for (const room of ['addon.cc', 'bridge', 'core', 'engine']) stripComments(join(native, room));
  vendor(join(native, 'vendor'));
  const licences = readFileSync(join(native, 'vendor/LICENSES'));
  const names = readdirSync(native, { recursive: true }).filter((name) => statSync(join(native, name)).isFile());
  const texts = names.sort().map((name) => [name, readFileSync(join(native, name), 'utf8')]);
  rmSync(native, { recursive: true });
  for (const name of APART) cpSync(join(root, 'native', name), join(native, name), { recursive: true });
  writeFileSync(join(native, 'LICENSES'), licences);
  writeFileSync(
    join(native, ARCHIVE),
    brotliCompressSync(JSON.stringify(Object.fromEntries(texts)), { params: BROTLI }),
  );
}

/** Maps say which line of which source it is, of what users' programs run; with the sources in them they were a tenth of the
 * package. */
function withoutSources(dist) {
  for (const name of readdirSync(dist, { recursive: true }).filter((file) => /\.c?js\.map$/.test(file))) {
    const script = join(dist, name.slice(0, -'.map'.length));
    if (/^(cli|monitor|collect|consume|shared\/\w+)\/|^shared\/collect\./.test(name)) {
      rmSync(join(dist, name));
      writeFileSync(script, readFileSync(script, 'utf8').replace(/\n\/\/# sourceMappingURL=.*\s*$/, '\n'));
      continue;
    }
    const { sourcesContent, mappings, ...map } = JSON.parse(readFileSync(join(dist, name), 'utf8'));
    writeFileSync(join(dist, name), JSON.stringify({ ...map, names: [], mappings: linesOf(mappings) }));
  }
}

/** The lines alone: what is in a line comes from where its beginning does, unless that is another line. */
function linesOf(mappings) {
  const kept = decode(mappings).map((segments) => {
    let [source, line] = [-1, -1];
    return segments.flatMap((segment) => {
      if (segment.length === 1 || (segment[1] === source && segment[2] === line)) return [];
      [, source, line] = segment;
      return [segment.slice(0, 4)];
    });
  });
  return encode(kept);
}

/** Of a file, or of all in a directory. Who wants to read them has the repository; the handlers' interface keeps its own. */
function stripComments(path) {
  const files = statSync(path).isFile()
    ? ['']
    : readdirSync(path, { recursive: true }).filter((name) => /\.(h|cc)$/.test(name));
  for (const file of files.map((name) => join(path, name))) {
    writeFileSync(file, withoutComments(readFileSync(file, 'utf8')));
  }
}

/** A C or C++ source as a compiler sees it, not indented (behind a line that goes on, an empty one has a meaning): a third of ours are comments, half of the headers of others. */
export function withoutComments(source) {
  const parts = /R"(\w*)\([\s\S]*?\)\1"|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|\/\/[^\n]*|\/\*[\s\S]*?\*\//g;
  return source
    .replaceAll(parts, (part) => (part.startsWith('/') ? ' ' : part))
    .replaceAll(/^[ \t]+|[ \t]+$/gm, '')
    .replaceAll(/(?<!\\)\n{2,}/g, '\n');
}

function vendor(directory) {
  mkdirSync(join(directory, 'uv'), { recursive: true });
  const folders = headers();
  Object.values(HEADERS).forEach((names, i) => {
    for (const name of names) {
      writeFileSync(join(directory, name), withoutComments(readFileSync(join(folders[i], name), 'utf8')));
    }
  });
  const licences = folders.slice(0, 2).flatMap((folder) =>
    ['LICENSE.md', 'LICENSE', '../LICENSE']
      .map((name) => join(folder, name))
      .filter(existsSync)
      .slice(0, 1),
  );
  const texts = licences.map((file) => readFileSync(file, 'utf8').trim());
  const libuv = `uv.h and uv/, of libuv:\n${/\/\*.*?\*\//s.exec(readFileSync(join(folders[2], 'uv.h'), 'utf8'))[0]}`;
  writeFileSync(join(directory, 'LICENSES'), [...texts, libuv].join('\n\n-----\n\n'));
}

/** Without what only a checkout needs. */
export function publishedManifest(manifest, repository) {
  const { scripts, devDependencies, files, gypfile, private: _, ...published } = manifest;
  if (repository) {
    published.repository = { type: 'git', url: `git+${repository}.git` };
    published.homepage = `${repository}#readme`;
    published.bugs = `${repository}/issues`;
  }
  return published;
}

/** Relative links as whole ones, to this version. */
export function withFullLinks(markdown, repository, version) {
  const raw = repository.replace('https://github.com/', 'https://raw.githubusercontent.com/');
  return markdown.replaceAll(/(!?)\[([^\]]*)\]\((?!https?:|#)([^)]+)\)/g, (_, image, text, path) =>
    image ? `![${text}](${raw}/v${version}/${path})` : `[${text}](${repository}/blob/v${version}/${path})`,
  );
}
