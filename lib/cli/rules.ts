// `ksocket rules explain`: what of rules the kernel would answer, and what is left to the thread (docs/kernel.md).
import { type Command, InvalidArgumentError } from 'commander';
import { binding } from '../backend/load.js';
import { checkServerOptions } from '../server/options.js';
import { readRules } from './config/file.js';
import { parsePort } from './endpoint.js';

interface ExplainOptions {
  port?: number;
  disassemble?: boolean;
}

const WIDTH = 8;
const DEFAULT_PORT = 2325; // of servers

function parseRulePort(text: string): number {
  const port = parsePort(text);
  if (port === 0) throw new InvalidArgumentError('a port from 1 to 65535.');
  return port;
}

export function defineRules(program: Command): void {
  program
    .command('rules')
    .description('look at rules')
    .command('explain')
    .description('say which rules are answered in the kernel with --kernel, which are not, and why')
    .argument('<file>', 'an array of rules as JSON, or a file of serve --config')
    .option('-p, --port <port>', 'port that the server listens on (default: the file’s, or 2325)', parseRulePort)
    .option('-d, --disassemble', 'print the programs that the kernel would be given')
    .addHelpText(
      'after',
      '\nExamples:\n  ksocket rules explain rules.json\n  ksocket rules explain serve.json --port 53 --disassemble',
    )
    .action(explain);
}

function explain(file: string, { port: wanted, disassemble = false }: ExplainOptions): void {
  const said = readRules(file, 'port');
  const { answering, protection, loops } = checkServerOptions({ ...said, kernel: true });
  const port = wanted ?? (said.port || DEFAULT_PORT);
  if (answering.by !== 'rules') return; // readRules() has seen to that
  const { bytes, names } = answering.rules;
  const lists = { ...protection, deny: protection.deny ?? new Uint8Array(0) };
  const compiled = binding.compileRules(bytes, lists, loops, port, disassemble);
  if (compiled === undefined) throw new Error(`${file}: cannot be compiled`);
  const [[refused, otherwise, ...fates], programs, instructions, text] = compiled;
  const line = (name: string, [isCompiled, reason]: [boolean, string]) => {
    const word = isCompiled && refused === '' ? 'kernel' : 'thread';
    const why = refused === '' ? reason : refused;
    process.stdout.write(`${word.padEnd(WIDTH)}${name}${why === '' ? '' : `: ${why}`}\n`);
  };
  fates.forEach((fate, i) => {
    line(JSON.stringify(names[i]), fate);
  });
  line('otherwise', otherwise);
  process.stdout.write(
    `\n${programs} program${programs === 1 ? '' : 's'}, ${instructions} instructions\n${disassemble ? `\n${text}` : ''}`,
  );
}
