// What imports what in lib/, checked by `npm run lint`: each room imports only from those below it, `import type`
// included, and no files import each other. test/package/imports.once.test.ts shows that what is wrong fails.
import typescript from 'typescript';

// Without TypeScript's API (version 7 has none yet) dependency-cruiser would find no file, and nothing wrong.
if (typeof typescript.createSourceFile !== 'function') throw new Error('typescript is not @typescript/typescript6');

/** Every room of lib/ with those that it may import from. */
const below = {
  base: [],
  filter: ['base'],
  backend: ['base'],
  thread: ['backend', 'base'],
  dgram: ['backend', 'base'],
  socket: ['filter', 'thread', 'dgram', 'backend', 'base'],
  unix: ['socket', 'thread', 'backend', 'base'],
  server: ['socket', 'thread', 'backend', 'base'],
  tunnel: ['socket', 'thread', 'backend', 'base'],
  systemd: ['unix', 'socket', 'backend', 'base'],
  'hand-over': ['server', 'unix', 'socket', 'thread', 'backend', 'base'],
  collect: ['socket', 'thread', 'backend', 'base'],
  consume: ['collect', 'base'],
  'index.ts': ['server', 'unix', 'socket', 'filter', 'thread', 'backend', 'base'],
  'unix-dgram.ts': ['unix', 'socket', 'thread', 'backend', 'base'],
  'register.ts': ['socket', 'dgram'],
  monitor: ['collect', 'server', 'tunnel', 'socket', 'thread', 'backend', 'base'],
  cli: ['monitor', 'tunnel', 'systemd', 'consume', 'collect', 'server', 'socket', 'thread', 'backend', 'base'],
};
const rooms = Object.keys(below);

/** A pattern for the files of these rooms. */
function filesOf(...names) {
  return `^lib/(${names.map((name) => (name.endsWith('.ts') ? name.replace('.', '\\.') : `${name}/`)).join('|')})`;
}

function rule(name, comment, from, to) {
  return { name, comment, severity: 'error', from, to };
}

export default {
  forbidden: [
    rule(
      'no-circle',
      'two files that need each other are one; what is loaded when it is needed is not needed before',
      {},
      { circular: true, viaOnly: { dependencyTypesNot: ['dynamic-import'] } },
    ),
    rule(
      'no-unknown-room',
      'a new room has a line in .dependency-cruiser.mjs',
      { path: '^lib/', pathNot: filesOf(...rooms) },
      {},
    ),
    rule(
      'no-unknown-room-alone',
      'the same, of a file that imports nothing and is imported by nobody',
      { orphan: true, path: '^lib/', pathNot: filesOf(...rooms) },
      {},
    ),
    rule('no-unresolved', 'the file is not there', {}, { couldNotResolve: true }),
    rule(
      'no-way-out',
      'lib/ imports no other folder',
      {},
      { pathNot: '^lib/|node_modules/', dependencyTypesNot: ['core'] },
    ),
    rule(
      'no-third-party',
      "import 'ksocket' loads Node's modules and its own",
      { path: filesOf(...rooms.filter((room) => room !== 'monitor' && room !== 'cli')) },
      { path: 'node_modules/', pathNot: 'node_modules/@nats-io/' },
    ),
    rule(
      'no-nats-elsewhere',
      'the clients of NATS are loaded for who collects or consumes, when they are needed',
      { path: '^lib/', pathNot: filesOf('collect', 'consume') },
      { path: 'node_modules/@nats-io/' },
    ),
    rule(
      'no-nats-before',
      'they are optional: what is a value of theirs is imported when it is needed',
      { path: filesOf('collect', 'consume') },
      { path: 'node_modules/@nats-io/', dependencyTypesNot: ['type-only', 'dynamic-import'] },
    ),
    ...rooms.map((room) =>
      rule(
        `only-below-${room}`,
        `lib/${room} imports from: ${below[room].join(', ') || 'no other room'}`,
        { path: filesOf(room) },
        // What is loaded when it is needed is above.
        { path: '^lib/', pathNot: filesOf(room, ...below[room]), dependencyTypesNot: ['dynamic-import'] },
      ),
    ),
  ],
  options: {
    tsPreCompilationDeps: true, // types, too
    tsConfig: { fileName: 'tsconfig.json' },
    exclude: { path: '^lib/monitor/page/' }, // a browser's
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'types', 'default'] },
  },
};
