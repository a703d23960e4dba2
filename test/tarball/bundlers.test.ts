// What bundlers make of it runs, and where a bundle has lost its addon, it says what to do (docs/bundlers.md).
import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, cpSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { nodeBinary } from '../dgram/nodes.js';
import { root } from '../support/child.js';
import { fromNpm } from '../support/npm.js';
import { test } from '../support/test.js';
import { Consumer, received } from './consumer.js';
import { bun, esbuild } from './tools.js';

const node = process.execPath;
const target = `linux-${process.arch}`;
const run = (consumer: Consumer, file: string, env: NodeJS.ProcessEnv = {}) => consumer.runWell(node, [file], { env });

/** It has all that it needs, with the addon and on a platform that there is none for. */
async function isWhole(consumer: Consumer, file: string): Promise<void> {
  assert.equal(await run(consumer, file), received);
  assert.equal(await run(consumer, file, { KSOCKET_BACKEND: 'dgram' }), received.replace('mmsg', 'dgram'));
}

/** Where a bundle is deployed: away from node_modules, with what lies beside it. */
function deploy(consumer: Consumer, from: string): string {
  const place = consumer.path('deployed/app');
  cpSync(consumer.path(from), place, { recursive: true });
  writeFileSync(join(place, 'package.json'), '{}');
  return place;
}

async function installed(): Promise<Consumer> {
  const consumer = new Consumer();
  await consumer.install();
  return consumer;
}

/** The bundle ends with 1 and these words, and runs once the addon is where they say. */
async function losesItsAddon(consumer: Consumer, bundle: string, words: RegExp): Promise<void> {
  const { code, stderr } = await consumer.run(node, [bundle]);
  assert.equal(code, 1, stderr);
  assert.match(stderr, /code: 'ERR_KSOCKET_NOT_BUNDLED'/);
  assert.match(stderr, /ksocket was bundled without its addon/);
  assert.match(stderr, words);
  const addon = consumer.path(`node_modules/ksocket/prebuilds/${target}/ksocket.node`);
  assert.equal(await run(consumer, bundle, { KSOCKET_ADDON: addon }), received);
  const beside = join(bundle, '..', 'prebuilds', target);
  mkdirSync(beside, { recursive: true });
  copyFileSync(addon, join(beside, 'ksocket.node'));
  assert.equal(await run(consumer, bundle), received);
}

for (const format of ['esm', 'cjs']) {
  const out = format === 'esm' ? 'out/app.mjs' : 'out/app.cjs';
  const common = [
    'receive.mjs',
    '--bundle',
    '--platform=node',
    `--format=${format}`,
    `--outfile=${out}`,
    '--log-level=error',
  ];
  test(`esbuild, ${format}, --loader:.node=file`, async () => {
    using consumer = await installed();
    await consumer.runWell(esbuild(), [...common, '--loader:.node=file']);
    await isWhole(consumer, join(deploy(consumer, 'out'), out.slice(4)));
  });
  test(`esbuild, ${format}, --external:ksocket`, async () => {
    using consumer = await installed();
    await consumer.runWell(esbuild(), [...common, '--external:ksocket']);
    assert.equal(await run(consumer, out), received);
  });
  test(`esbuild, ${format}, with an addon that is left out`, async () => {
    using consumer = await installed();
    await consumer.runWell(esbuild(), [...common, '--loader:.node=empty']);
    await losesItsAddon(
      consumer,
      join(deploy(consumer, 'out'), out.slice(4)),
      /--external:ksocket, or --loader:\.node=file/,
    );
  });
}

for (const format of ['esm', 'cjs']) {
  test(`esbuild, ${format}: filters come along`, async () => {
    using consumer = await installed();
    const program = "import { compileFilter } from 'ksocket'; console.log(compileFilter('port 53', 'udp4').length);";
    consumer.write('filter.mjs', program);
    const out = format === 'esm' ? 'app.mjs' : 'app.cjs';
    const args = ['filter.mjs', '--bundle', '--platform=node', `--format=${format}`, `--outfile=out/${out}`];
    await consumer.runWell(esbuild(), [...args, '--loader:.node=file', '--log-level=error']);
    assert.equal(await run(consumer, join(deploy(consumer, 'out'), out)), '6\n');
  });
}

test('esbuild, cjs, --loader:.node=copy', async () => {
  using consumer = await installed();
  const args = ['receive.mjs', '--bundle', '--platform=node', '--outfile=out/app.cjs', '--log-level=error'];
  await consumer.runWell(esbuild(), [...args, '--loader:.node=copy']);
  assert.equal(await run(consumer, join(deploy(consumer, 'out'), 'app.cjs')), received);
});

for (const format of ['es', 'cjs']) {
  test(`rollup, ${format}`, async () => {
    using consumer = await installed();
    const prefix = fromNpm('rollup@4', '@rollup/plugin-node-resolve@16', '@rollup/plugin-commonjs@29');
    const from = (name: string) => JSON.stringify(join(prefix, 'node_modules', name));
    consumer.write(
      'rollup.config.mjs',
      `import { createRequire } from 'node:module';
       const require = createRequire(import.meta.url);
       const { nodeResolve } = require(${from('@rollup/plugin-node-resolve/dist/cjs/index.js')});
       const { default: commonjs } = { default: require(${from('@rollup/plugin-commonjs/dist/cjs/index.js')}) };
       const file = 'out/app.${format === 'es' ? 'mjs' : 'cjs'}';
       export default { input: 'receive.mjs', output: { file, format: '${format}' }, external: JSON.parse(process.env.OUTSIDE),
         plugins: [nodeResolve({ preferBuiltins: true }), (commonjs.default ?? commonjs)()] };`,
    );
    const rollup = join(prefix, 'node_modules/rollup/dist/bin/rollup');
    const build = (outside: string[]) =>
      consumer.runWell(node, [rollup, '-c', '--silent'], { env: { OUTSIDE: JSON.stringify(outside) } });
    const name = `app.${format === 'es' ? 'mjs' : 'cjs'}`;
    await build(['ksocket']);
    assert.equal(await run(consumer, `out/${name}`), received);
    await build([]);
    const bundle = join(deploy(consumer, 'out'), name);
    const { code, stderr } = await consumer.run(node, [bundle], { env: { KSOCKET_BACKEND: 'dgram' } });
    assert.equal(code, 1);
    assert.match(stderr, /bundled without its backend on node:dgram: keep ksocket out of it \(rollup: external/);
    assert.match(stderr, /code: 'ERR_KSOCKET_NOT_BUNDLED'/);
    await losesItsAddon(consumer, bundle, /rollup: external: \["ksocket"\]/);
  });
}

/** Installed, with a program that bundles by webpack: `cjs` or `esm`, and whether ksocket stays outside. */
async function withWebpack(): Promise<Consumer> {
  const consumer = await installed();
  const prefix = fromNpm('webpack@5');
  consumer.write(
    'build.cjs',
    `const webpack = require(${JSON.stringify(join(prefix, 'node_modules/webpack'))});
     const esm = process.argv[2] === 'esm';
     webpack({ mode: 'production', target: 'node20', entry: './receive.mjs', experiments: { outputModule: esm },
       externals: process.argv[3] ? { ksocket: 'module ksocket' } : {},
       output: { path: require('node:path').resolve('out'), filename: esm ? 'app.mjs' : 'app.cjs', module: esm } },
       (error, stats) => { if (error || stats.hasErrors() || stats.hasWarnings()) { console.error(error ?? stats.toString()); process.exit(1); } });`,
  );
  return consumer;
}

test('webpack takes the addon along by itself', async () => {
  using consumer = await withWebpack();
  for (const format of ['cjs', 'esm']) {
    await consumer.runWell(node, ['build.cjs', format]);
    await isWhole(consumer, join(deploy(consumer, 'out'), `app.${format === 'esm' ? 'mjs' : 'cjs'}`));
  }
  await consumer.runWell(node, ['build.cjs', 'esm', 'external']);
  assert.equal(await run(consumer, 'out/app.mjs'), received);
});

test('webpack, with an addon that is left out', async () => {
  using consumer = await withWebpack();
  await consumer.runWell(node, ['build.cjs', 'cjs']);
  const place = deploy(consumer, 'out');
  for (const file of readdirSync(place).filter((name) => name.endsWith('.node'))) rmSync(join(place, file));
  await losesItsAddon(consumer, join(place, 'app.cjs'), /webpack: externals: \{ ksocket: "module ksocket" \}/);
});

test('ncc', async () => {
  using consumer = await installed();
  const ncc = join(fromNpm('@vercel/ncc@0.45'), 'node_modules/@vercel/ncc/dist/ncc/cli.js');
  const env = { NODE_ENV: 'production' };
  await consumer.runWell(node, [ncc, 'build', 'receive.mjs', '-o', 'out', '--no-cache', '-q'], { env });
  const place = consumer.path('deployed/app');
  cpSync(consumer.path('out'), place, { recursive: true });
  const [name] = readdirSync(place).filter((file) => /^index\.m?js$/.test(file));
  await isWhole(consumer, join(place, name));
});

for (const format of ['esm', 'cjs']) {
  test(`rolldown, ${format}, .node files as assets`, async () => {
    using consumer = await installed();
    const file = `app.${format === 'esm' ? 'mjs' : 'cjs'}`;
    consumer.write(
      'rolldown.config.mjs',
      `export default { input: 'receive.mjs', platform: 'node', moduleTypes: { '.node': 'asset' },
         external: process.env.OUTSIDE ? ['ksocket'] : [],
         output: { dir: 'out', entryFileNames: '${file}', format: '${format}' } };`,
    );
    const rolldown = join(root, 'node_modules/rolldown/bin/cli.mjs');
    const build = (env: NodeJS.ProcessEnv) => consumer.run(node, [rolldown, '-c'], { env });
    const { code, stderr } = await build({});
    assert.equal(code, 0, stderr);
    await isWhole(consumer, join(deploy(consumer, 'out'), file));
    await build({ OUTSIDE: 'ksocket' });
    await isWhole(consumer, `out/${file}`);
  });
}

test('Vite, for a server: ksocket stays outside by itself, or where all else is bundled, by ssr.external', async () => {
  using consumer = await installed();
  const vite = join(fromNpm('vite@8'), 'node_modules/vite/bin/vite.js');
  for (const ssr of ['{}', "{ noExternal: true, external: ['ksocket'] }"]) {
    consumer.write(
      'vite.config.mjs',
      `export default { ssr: ${ssr}, build: { ssr: 'receive.mjs', outDir: 'out', emptyOutDir: true } };`,
    );
    const { code, stderr } = await consumer.run(node, [vite, 'build', '--logLevel', 'error']);
    assert.equal(code, 0, stderr);
    await isWhole(consumer, 'out/receive.js');
  }
});

test('who traces files (Next.js, Vercel: @vercel/nft) finds all that it needs', async () => {
  using consumer = await installed();
  const nft = join(fromNpm('@vercel/nft@1'), 'node_modules/@vercel/nft/out/index.js');
  consumer.write(
    'trace.cjs',
    `require(${JSON.stringify(nft)}).nodeFileTrace(['receive.mjs'], { base: process.cwd() })
       .then(({ fileList }) => console.log([...fileList].join('\\n')));`,
  );
  const files = (await consumer.runWell(node, ['trace.cjs'])).trim().split('\n');
  const place = consumer.path('traced/app');
  for (const file of files) cpSync(consumer.path(file), join(place, file));
  await isWhole(consumer, join(place, 'receive.mjs'));
});

test('bun build takes the addon along by itself', async () => {
  using consumer = await installed();
  const env = {};
  await consumer.run(bun(), ['build', 'receive.mjs', '--target=bun', '--outdir=out'], { env });
  assert.equal(await consumer.runWell(bun(), [join(deploy(consumer, 'out'), 'receive.js')], { env }), received);
  const { code, stderr } = await consumer.run(bun(), ['build', 'receive.mjs', '--compile', '--outfile=single'], {
    env,
  });
  assert.equal(code, 0, stderr);
  mkdirSync(consumer.path('elsewhere'));
  copyFileSync(consumer.path('single'), consumer.path('elsewhere/single'));
  chmodSync(consumer.path('elsewhere/single'), 0o755);
  assert.equal(await consumer.runWell(consumer.path('elsewhere/single'), [], { env }), received);
});

test('a single executable application of Node', async () => {
  using consumer = await installed();
  await consumer.runWell(esbuild(), [
    ...['receive.mjs', '--bundle', '--platform=node', '--format=cjs', '--outfile=app.cjs', '--log-level=error'],
    '--loader:.node=empty',
  ]);
  const asset = `node_modules/ksocket/prebuilds/${target}/ksocket.node`;
  const postject = join(fromNpm('postject@1.0.0-alpha.6'), 'node_modules/postject/dist/cli.js');
  const make = async (name: string, assets: Record<string, string>): Promise<string> => {
    const config = { main: 'app.cjs', output: `${name}.blob`, disableExperimentalSEAWarning: true, assets };
    consumer.write(`${name}.json`, JSON.stringify(config));
    const binary = nodeBinary(22);
    const made = await consumer.run(binary, ['--experimental-sea-config', `${name}.json`]);
    assert.equal(made.code, 0, made.stderr);
    copyFileSync(binary, consumer.path(name));
    chmodSync(consumer.path(name), 0o755);
    const fuse = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';
    const injected = await consumer.run(node, [
      postject,
      name,
      'NODE_SEA_BLOB',
      `${name}.blob`,
      '--sentinel-fuse',
      fuse,
    ]);
    assert.equal(injected.code, 0, injected.stderr);
    const place = consumer.path(`elsewhere-${name}`);
    mkdirSync(place);
    copyFileSync(consumer.path(name), join(place, name));
    return join(place, name);
  };
  const whole = await make('whole', { 'ksocket.node': asset });
  assert.equal(await consumer.runWell(whole, []), received);
  const without = await make('without', {});
  const { code, stderr } = await consumer.run(without, []);
  assert.equal(code, 1);
  assert.match(stderr, /bundled without its addon: give the single executable application an asset "ksocket\.node"/);
});
