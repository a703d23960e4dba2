// What the compiler does not check of native/: who may include whom, and how long a file and a function may be.
// Prints each violation and fails when there is one.
//
//   node scripts/native-rules.mjs [directory]     native/ without one
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';

/** The rooms of core/, each of which may include itself and what stands before it. Neighbours in one row do not
 * include each other. */
const CORE = [
  ['base'],
  ['memory'],
  ['control', 'bpf'],
  ['socket'],
  ['contract'], // lays out for JavaScript what memory and socket have
  ['datapath', 'tunnel'],
  ['answer'],
  ['xdp'], // answers in the kernel by what answer has decoded
  ['endpoint'],
  ['sharing'],
  ['thread'],
];

const ENGINES = ['engine/', 'core/base/'];
/** Which files may include which (beginnings of paths); the first row that fits a file counts. */
const MAY_INCLUDE = [
  ...CORE.flatMap((row, i) =>
    row.map((room) => ({
      from: `core/${room}/`,
      to: [...CORE.slice(0, i).flat(), room].map((each) => `core/${each}/`).concat('engine/engine.h', 'include/'),
    })),
  ),
  { from: 'engine/engine.h', to: ['core/base/udp_limits.h'] },
  { from: 'engine/features.cc', to: [...ENGINES, 'core/socket/'] },
  { from: 'engine/', to: ENGINES },
  { from: 'bridge/', to: ['bridge/', 'core/', 'engine/'] },
  { from: 'addon.cc', to: ['bridge/'] },
  { from: 'tools/', to: ['core/'] },
  { from: 'include/', to: [] },
  { from: 'test/', to: ['test/', 'core/', 'engine/', 'include/'] },
  { from: 'fuzz/', to: ['fuzz/', 'test/support/', 'core/', 'engine/', 'include/'] },
];

const NODES_HEADERS = /^((js_native|node)_?api.*|napi.*|node.*|v8.*|uv)\.h$|^(node|uv|cppgc|libplatform)\//;
const MAY_INCLUDE_NODES_HEADERS = /^(bridge\/|addon\.cc$)/;

/** napi.h's ways to read what JavaScript has given: what they cannot read, in a worker that is being ended, is a value that aborts
 * the process. */
const READS_BY_NAPI = /\.Get\(|\.(?:Uint32|Int32|Int64|Double|Utf8)Value\(|As<Napi::(?:Number|String|Boolean|Array)>/;

const FILE_LINES_MAX = 350;
const FUNCTION_LINES_MAX = 60;

/** Violations that stay, by how they begin, and why. One that is mended has to leave this list. */
const EXCEPTIONS = {};

/** Where an include in quotes is looked for, as binding.gyp and the two CMakeLists.txt say. */
const INCLUDE_DIRECTORIES = ['', 'test/', 'include/'];

/** Without comments and the contents of literals; line numbers stay. */
function codeOf(source) {
  const blank = (text) => text.replaceAll(/[^\n]/g, ' ');
  return source.replaceAll(
    /\/\/.*|\/\*[\s\S]*?\*\/|R"(\w*)\([\s\S]*?\)\1"|"(?:\\.|[^"\\\n])*"|(?<!\w)'(?:\\.|[^'\\\n])+'/g,
    blank,
  );
}

const PLAIN_INCLUDE = /^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">][ \t]*(\/\/.*)?$/;
// With its other spellings: digraphs, comments in between, a macro's name.
const ANY_INCLUDE = /^\s*(#|%:)\s*(include|include_next|import)\b/;

function includesOf(source) {
  return source
    .split('\n')
    .map((line) => PLAIN_INCLUDE.exec(line))
    .filter((match) => match !== null)
    .map(([, quote, name]) => ({ name, own: quote === '"' }));
}

/** Is there one that includesOf() does not see? */
function hasHiddenInclude(source) {
  const withoutComments = source.replaceAll(
    /("(?:\\.|[^"\\\n])*")|\/\/.*|\/\*[\s\S]*?\*\//g,
    (_, literal) => literal ?? ' ',
  );
  const written = withoutComments.split('\n').filter((line) => ANY_INCLUDE.test(line));
  return written.length !== includesOf(source).length;
}

/** What has parentheses before its braces, in a namespace or class: functions, and what TEST and the like make of them. */
function* functionsOf(source) {
  const code = codeOf(source).replaceAll(/^[ \t]*#(?:.*\\\n)*.*/gm, (text) => text.replaceAll(/[^\n]/g, ' '));
  const open = []; // a block each
  let line = 1;
  let header = ''; // since the last statement or block ended
  let first = 1; // line of the header
  for (const character of code) {
    if (character === '{') {
      const outside = open.every(({ isScope }) => isScope);
      const text = header.replace(/^(template\s*<[^{}]*?>\s*(?=\w))+/, '').trim();
      const isScope = /^(inline\s+)?(namespace|class|struct|union|extern)\b/.test(text) && !/\)\s*(const)?$/.test(text);
      open.push({ isScope, isFunction: outside && !isScope && text.includes('('), text, first });
    } else if (character === '}') {
      const { isFunction, text, first } = open.pop() ?? {};
      if (isFunction) {
        const name = text.startsWith('TEST') ? text : /[\w~:]+(?=\s*\()/.exec(text)?.[0];
        yield { name, lines: line - first + 1 };
      }
    } else if (character !== ';' && (header !== '' || /\S/.test(character))) {
      if (header === '') first = line;
      header += character;
    }
    if (/[{};]/.test(character) || /^(public|private|protected):$/.test(header)) header = '';
    if (character === '\n') line++;
  }
}

/** What is wrong with these sources (path below native/ → text), a line each. */
function violations(sources) {
  const found = [];
  const includes = new Map(); // file → files of native/
  for (const [file, source] of sources) {
    const own = [];
    const allowed = MAY_INCLUDE.find(({ from }) => file.startsWith(from))?.to;
    if (!/\.(cc|h|c|inc)$/.test(file)) found.push(`${file} is no .h, .cc, .c or .inc`);
    if (allowed === undefined) found.push(`${file} is in no room`);
    if (hasHiddenInclude(source)) found.push(`${file} has an include that is not written as #include "…" or <…>`);
    for (const { name, own: quoted } of includesOf(source)) {
      const beside = quoted ? [posix.join(posix.dirname(file), name)] : [];
      const places = [...beside, ...INCLUDE_DIRECTORIES.map((place) => posix.join(place, name))];
      // Of <../core/x.h>, too: include directories lie in native/.
      const target = places.map((place) => place.replace(/^(\.\.\/)+/, '')).find((place) => sources.has(place));
      if (NODES_HEADERS.test(name) && !MAY_INCLUDE_NODES_HEADERS.test(file))
        found.push(`${file} includes <${name}>: Node's headers are for bridge/ and addon.cc`);
      else if (target === undefined && !quoted) continue;
      else if (target === undefined) found.push(`${file} includes "${name}", which is not there`);
      else if (!allowed?.some((to) => target.startsWith(to))) found.push(`${file} includes ${target}`);
      else own.push(target);
    }
    includes.set(file, own);
    const lines = source.split('\n').length - 1;
    if (lines > FILE_LINES_MAX) found.push(`${file} has ${lines} lines`);
    if (file.startsWith('bridge/') && READS_BY_NAPI.test(codeOf(source)))
      found.push(`${file} reads by napi.h: bridge/arguments.h has what does not end the process`);
    for (const { name, lines } of functionsOf(source)) {
      if (lines > FUNCTION_LINES_MAX) found.push(`${file}: ${name} has ${lines} lines`);
    }
  }
  found.push(...circles(includes));
  const isExcepted = (violation) => Object.keys(EXCEPTIONS).some((known) => violation.startsWith(known));
  const mended = Object.keys(EXCEPTIONS).filter((known) => !found.some((violation) => violation.startsWith(known)));
  return [
    ...found.filter((violation) => !isExcepted(violation)),
    ...mended.map((known) => `${known} …: is mended, so scripts/native-rules.mjs needs no exception`),
  ];
}

/** Files that include each other, each circle once. */
function circles(includes) {
  const found = [];
  const done = new Set();
  const visit = (file, path) => {
    if (path.includes(file)) found.push(`circle: ${[...path.slice(path.indexOf(file)), file].join(' → ')}`);
    if (path.includes(file) || done.has(file)) return;
    for (const next of includes.get(file) ?? []) visit(next, [...path, file]);
    done.add(file);
  };
  for (const file of includes.keys()) visit(file, []);
  return found;
}

function readSources(directory) {
  const files = readdirSync(directory, { recursive: true, encoding: 'utf8' });
  return new Map(
    files
      .filter((file) => /\.(cc|h|c|inc|hpp|hh|hxx|cpp|cxx|ipp|tpp|inl)$/.test(file))
      .sort()
      .map((file) => [file.replaceAll('\\', '/'), readFileSync(join(directory, file), 'utf8')]),
  );
}

if (process.argv[1] === import.meta.filename) {
  const sources = readSources(process.argv[2] ?? join(dirname(import.meta.dirname), 'native'));
  const found = violations(sources);
  for (const violation of found) console.error(`native/${violation}`);
  console.log(`${sources.size} sources of native/, ${found.length} violations of its rules`);
  if (found.length > 0) process.exitCode = 1;
}
