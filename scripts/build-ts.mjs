// Makes two trees of lib/, from scratch, so that no file of a removed module stays behind: build-lib/, module by module, for
// tests of what is no entry; and of that dist/, a file for each entry and one for what they share, with source maps, their types,
// and what the monitor's page consists of.
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { rolldown } from 'rolldown';
import { rollup } from 'rollup';
import { dts } from 'rollup-plugin-dts';

const root = dirname(import.meta.dirname);
const { dependencies, peerDependencies, exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

/** Of one process: they share their modules, and so threads, sockets and what was captured of the runtime. What a module finds by
 * `import.meta`, its bundle has to find as well: so it stands as deep in dist/ as the module in lib/. */
const ENTRIES = {
  index: 'build-lib/index.js',
  register: 'build-lib/register.js',
  'unix-dgram': 'build-lib/unix-dgram.js',
  'monitor/index': 'build-lib/monitor/index.js',
  'systemd/index': 'build-lib/systemd/index.js',
  'tunnel/index': 'build-lib/tunnel/index.js',
  'collect/index': 'build-lib/collect/index.js',
  'consume/index': 'build-lib/consume/index.js',
  'cli/commands': 'build-lib/cli/commands.js',
  'cli/peer': 'build-lib/cli/compare/peer.js',
};
const SHARED = /\/build-lib\/(?:base|filter|backend|thread|dgram|socket|server|unix|hand-over)\//;

/** What collectors and consumers have in common; nobody else loads it. */
const COLLECT = /\/build-lib\/collect\/(?!index\.js)/;

/** What stands in for the addon: loaded while the others are, so that it shares no module with them; and by require(), for
 * which it is CommonJS: Node 20 warns of modules there, Jest has them from Node 24.9 on. Its places are where
 * lib/backend/load.ts looks for it, from its own bundle, and in build-lib/ from beside it. */
const FALLBACK = 'build-lib/backend/fallback/index.js';
const FALLBACK_PLACES = ['dist/shared/fallback/index.cjs', 'build-lib/backend/fallback/index.cjs'];

/** The language of filters, which a program loads that has one (lib/filter/load.ts), in the same way. */
const LANGUAGE = 'build-lib/filter/language/index.js';
const LANGUAGE_PLACES = ['dist/shared/language/index.cjs', 'build-lib/filter/language/index.cjs'];

/** They do not load the addon, and so nothing that does. A thread has modules of its own anyway. */
const ALONE = ['monitor/worker', 'cli/main'];

for (const made of ['dist', 'build-lib']) rmSync(join(root, made), { recursive: true, force: true });
const tsc = spawnSync('tsc', ['-p', 'tsconfig.json'], {
  cwd: root,
  stdio: 'inherit',
  env: { ...process.env, PATH: `${join(root, 'node_modules/.bin')}:${process.env.PATH}` },
});
if (tsc.status !== 0) process.exit(tsc.status ?? 1);
await bundle(ENTRIES, [
  { name: 'ksocket', test: SHARED },
  { name: 'collect', test: COLLECT },
]);
for (const place of FALLBACK_PLACES) await bundle({ index: FALLBACK }, [], { dir: dirname(place), format: 'cjs' });
for (const place of LANGUAGE_PLACES) await bundle({ index: LANGUAGE }, [], { dir: dirname(place), format: 'cjs' });
for (const name of ALONE) await bundle({ [name]: `build-lib/${name}.js` }, []);
await bundleTypes();
cpSync(join(root, 'lib/monitor/page'), join(root, 'dist/monitor/page'), { recursive: true });
const schema = JSON.parse(readFileSync(join(root, 'lib/cli/config/serve.schema.json'), 'utf8'));
writeFileSync(join(root, 'dist/serve.schema.json'), JSON.stringify(schema));
chmodSync(join(root, 'dist/cli/main.js'), 0o755);

/** What users' compilers read: of each entry what it exports, and what that is made of. */
async function bundleTypes() {
  const names = Object.values(exports).flatMap(({ types }) =>
    types ? [types.slice('./dist/'.length, -'.d.ts'.length)] : [],
  );
  const types = await rollup({
    input: Object.fromEntries(names.map((name) => [name, join(root, 'build-lib', `${name}.d.ts`)])),
    external: [/^node:/, ...Object.keys(peerDependencies)],
    plugins: [
      dts(),
      { name: 'ksocket', renderChunk: (code, { facadeModuleId }) => withTypesAsTypes(code, facadeModuleId) },
    ],
    onwarn: ({ code, message }) => {
      // Of what has no name of its own in an entry: nobody has to name it. And of an entry without any (ksocket/register).
      if (!message.includes('private shared type exports') && code !== 'EMPTY_BUNDLE') throw new Error(message);
    },
  });
  await types.write({
    dir: join(root, 'dist'),
    entryFileNames: '[name].d.ts',
    chunkFileNames: 'shared/types.d.ts',
  });
  await types.close();
}

/** What the entry exports as a type is one, though it is a class; and what it exports as a value is one, though dts takes it for
 * a type, as a type of that name is in a namespace. */
function withTypesAsTypes(code, entry) {
  if (entry === null) return code;
  const lists = [...readFileSync(entry, 'utf8').matchAll(/^export (type )?\{([^}]*)\}/gm)];
  const exported = new Map(); // is it a type?
  for (const [, all, names] of lists) {
    for (const name of namesIn(names))
      exported.set(name.replace(/^type /, ''), Boolean(all) || name.startsWith('type '));
  }
  const found = { values: [], types: [] };
  const rest = code.replaceAll(/^export (type )?\{([^}]*)\};\n?/gm, (_, type, names) => {
    for (const name of namesIn(names)) found[(exported.get(name) ?? Boolean(type)) ? 'types' : 'values'].push(name);
    return '';
  });
  return `${rest}export { ${found.values.join(', ')} };\nexport type { ${found.types.join(', ')} };\n`;
}

function namesIn(list) {
  return list
    .split(',')
    .map((name) => name.trim())
    .filter(Boolean);
}

async function bundle(input, groups, { dir = 'dist', format = 'esm' } = {}) {
  const bundle = await rolldown({
    cwd: root,
    input,
    platform: 'node',
    external: [/^node:/, ...Object.keys({ ...dependencies, ...peerDependencies })],
    plugins: [
      {
        name: 'ksocket',
        load: (id) => ({ code: readFileSync(id, 'utf8'), map: readFileSync(`${id}.map`, 'utf8') }),
        renderChunk: (code) => ({ code: traceable(withoutFacades(code)), map: null }), // no line moves
      },
    ],
    onLog: (_, { message }) => {
      throw new Error(message);
    },
  });
  await bundle.write({
    dir: join(root, dir),
    format,
    strict: format === 'cjs',
    sourcemap: true,
    comments: false,
    entryFileNames: format === 'cjs' ? '[name].cjs' : '[name].js',
    chunkFileNames: 'shared/[name].js',
    codeSplitting: { groups },
  });
  await bundle.close();
}

/** Who bundles ksocket has a `require` that the addon is found by (lib/backend/targets.ts); rolldown would replace it. */
function traceable(code) {
  return code.replaceAll('bundlersRequire', 'require');
}

/** An import makes a module of each builtin, and so reads all that it exports, for which Node loads what nobody has asked for.
 * In CommonJS it is require(), which bundles of ECMAScript modules have none of. */
function withoutFacades(code) {
  const alone = code.replaceAll(/\brequire\("(node:[\w/]+)"\)/g, 'globalThis.process.getBuiltinModule("$1")');
  return alone.replaceAll(
    /^import (?:(\w+),? )?(?:\{([^}]*)\} )?from "(node:[\w/]+)";$/gm,
    (_, whole, names, builtin) => {
      const got = `globalThis.process.getBuiltinModule("${builtin}")`; // a module of ours may have a `process` of its own
      const parts = [];
      if (whole) parts.push(`${whole} = ${got}`);
      if (names) parts.push(`{${names.replaceAll(' as ', ': ')}} = ${got}`);
      return `const ${parts.join(', ')};`;
    },
  );
}
