// Builds what the stepping tests run, in build-native/stepping/: the addon from a copy of native/ (test/stepping/addon/),
// and lib/ and test/stepping/ as JavaScript, with what is around lib/thread/ replaced. A mistake is made in the copy.
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import ts from 'typescript';
import { nodeGyp } from './node-gyp.mjs';

const root = dirname(import.meta.dirname);
const place = join(root, 'build-native/stepping');
const sources = join(place, 'sources');

/** Limits that no schedule would reach are so small here that most do. */
const LIMITS = [
  ['native/core/memory/layout.h', 'kPeersMax = 16384;', 'kPeersMax = 16;'],
  ['lib/backend/layout.ts', 'PEERS_MAX = 16384;', 'PEERS_MAX = 16;'],
  ['lib/thread/batch.ts', 'BATCH_DATAGRAMS_MAX = 2048;', 'BATCH_DATAGRAMS_MAX = 12;'],
  ['lib/thread/batch.ts', 'VIEWS_MAX = 8192;', 'VIEWS_MAX = 16;'],
  ['lib/thread/lanes.ts', 'CROWD_RECORDS = 64;', 'CROWD_RECORDS = 2;'],
  ['lib/thread/lanes.ts', 'COMPACT_AT = 1024;', 'COMPACT_AT = 2;'],
  ['lib/thread/payloads.ts', 'SHARED_BYTES = CHUNK_BYTES;', 'SHARED_BYTES = 2048;'],
  // A few hundred bytes are large, and received into memory that a listener may keep.
  ['native/core/memory/layout.h', 'kChunks = 8;', 'kChunks = 3;'],
  ['lib/backend/layout.ts', 'CHUNKS = 8;', 'CHUNKS = 3;'],
  ['lib/thread/payloads.ts', 'LARGE_BYTES = 32 * 1024;', 'LARGE_BYTES = 500;'],
  ['native/core/endpoint/rx_turn.cc', 'kInPlaceBytes = 6 * 1024;', 'kInPlaceBytes = 300;'],
  ['native/core/endpoint/rx_turn.cc', 'kLargeBytes = 16 * 1024;', 'kLargeBytes = 300;'],
  ['native/core/endpoint/rx_turn.cc', 'kHugeBytes = kChunkBytes / 2;', 'kHugeBytes = 500;'],
  ['lib/thread/staging.ts', 'STAGED_DATAGRAMS_MAX = 1024;', 'STAGED_DATAGRAMS_MAX = 6;'],
  ['lib/thread/staging.ts', 'STAGED_BYTES_MAX = 512 * 1024;', 'STAGED_BYTES_MAX = 66_000;'],
  // What the schedule before it has read is not lately.
  ['native/bridge/ring_reader.cc', '  ring_ = ring;\n', '  ring_ = ring;\n  ended_ns = 0;\n'],
];

/** Modules of lib/ that stand for the world around it, and what stands for them. */
const REPLACED = {
  'lib/base/runtime.ts': 'runtime',
  'lib/backend/load.ts': 'load',
  'lib/thread/memory.ts': 'memory',
};

/** The text with each `from` replaced, which has to be there once. */
function changed(text, file, changes) {
  for (const [of, from, to] of changes) {
    if (of !== file) continue;
    if (text.split(from).length !== 2) throw new Error(`${file} has not one ${JSON.stringify(from)}`);
    text = text.replace(from, () => to);
  }
  return text;
}

function textOf(file, changes) {
  return changed(readFileSync(join(root, file), 'utf8'), file, [...LIMITS, ...changes]);
}

function filesOf(folder) {
  const all = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' });
  return all.map((file) => `${folder}/${file}`);
}

/** What is built already and has not changed keeps its time: it is not built again. */
function write(file, text) {
  if (existsSync(file) && readFileSync(file, 'utf8') === text) return;
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

/** Source files of an earlier build. */
function existing(folder) {
  if (!existsSync(join(sources, folder))) return [];
  const all = readdirSync(join(sources, folder), { recursive: true, encoding: 'utf8' });
  return all.filter((file) => /\.(cc|h)$/.test(file)).map((file) => `${folder}/${file}`);
}

/** Returns the addon's path. `changes`: file, text, what stands there instead. */
export async function buildAddon(name, changes = []) {
  const needed = [...filesOf('native'), ...filesOf('test/stepping/addon')];
  const wanted = new Set(needed.filter((file) => /\.(cc|h|gyp)$/.test(file)));
  // gyp lists the files when it configures: one that is new would be missing, one that has gone would be linked still.
  const earlier = new Set(existing('native'));
  const gone = [...earlier].filter((file) => !wanted.has(file));
  const isNew = (file) => file.startsWith('native/') && !earlier.has(file);
  for (const file of gone) rmSync(join(sources, file));
  for (const file of wanted) write(join(sources, file), textOf(file, changes));
  const gyp = join(sources, 'test/stepping/addon');
  const configured = existsSync(join(gyp, 'build/Makefile')) && gone.length === 0 && ![...wanted].some(isNew);
  if ((await nodeGyp(gyp, configured ? 'build' : 'rebuild')) !== 0)
    throw new Error('the stepping addon does not compile');
  const addon = join(place, 'addons', `${name}.node`);
  mkdirSync(dirname(addon), { recursive: true });
  copyFileSync(join(gyp, 'build/Release/stepping.node'), `${addon}.new`);
  renameSync(`${addon}.new`, addon); // a process may still run the old one
  return addon;
}

/** Returns the program's path. */
export function buildProgram(name, changes = []) {
  const base = join(place, 'programs', name);
  const folders = ['lib/base', 'lib/backend', 'lib/thread', 'test/stepping'];
  for (const file of folders.flatMap(filesOf).filter((file) => file.endsWith('.ts'))) {
    const out = join(base, file.replace(/^lib\//, 'build-lib/').replace(/\.ts$/, '.js'));
    write(out, replacementOf(file) ?? transpiled(textOf(file, changes)));
  }
  return join(base, 'test/stepping/main.js');
}

function replacementOf(file) {
  const by = REPLACED[file];
  return by && `export * from '../../test/stepping/${by}.js';\n`;
}

function transpiled(text) {
  const { ES2023: target } = ts.ScriptTarget;
  const { ESNext: module } = ts.ModuleKind;
  return ts.transpileModule(text, { compilerOptions: { target, module, verbatimModuleSyntax: true } }).outputText;
}
