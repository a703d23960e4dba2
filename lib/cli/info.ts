// `ksocket info`: what runs here, for bug reports.
import { release } from 'node:os';
import type { Command } from 'commander';
import { features } from '../backend/features.js';

const NAME_WIDTH = 13;

export function defineInfo(program: Command, version: string): void {
  program
    .command('info')
    .description('show version, backend, engine and kernel features')
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  ksocket info\n  ksocket info --json\n  KSOCKET_ENGINE=posix ksocket info\n  KSOCKET_BACKEND=dgram ksocket info',
    )
    .action((options: { json?: boolean }) => {
      const { backend, engine, missing, ...kernel } = features();
      const facts = {
        ksocket: version,
        node: process.version,
        platform: `${process.platform}-${process.arch}`,
        kernel: release(),
        backend,
        engine,
      };
      if (options.json) {
        process.stdout.write(`${JSON.stringify({ ...facts, features: { ...kernel, missing } }, null, 2)}\n`);
        return;
      }
      for (const [name, value] of Object.entries(facts)) process.stdout.write(`${name.padEnd(NAME_WIDTH)} ${value}\n`);
      for (const [name, has] of Object.entries(kernel)) {
        const value = typeof has === 'number' ? has : has ? 'yes' : 'no';
        const why = (missing as Record<string, string>)[name];
        process.stdout.write(`${name.padEnd(NAME_WIDTH)} ${value}${why === undefined ? '' : ` (${why})`}\n`);
      }
    });
}
