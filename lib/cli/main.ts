#!/usr/bin/env node
// `ksocket` on the command line.
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { defineBuild } from './build.js';
import { fail } from './fail.js';

const { version, description } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));

// Who reads us may have seen enough (`ksocket info | head -1`): no fault of ours.
process.stdout.on('error', () => {});

const program = new Command('ksocket').description(description).version(version);
try {
  if (process.argv[2] !== 'build') {
    // Its bundle is another one: it needs the addon, which there is none of before a build.
    const commands: typeof import('./commands.js') = await import(new URL('./commands.js', import.meta.url).href);
    commands.defineCommands(program, version);
  }
  defineBuild(program);
  for (const command of program.commands) {
    const usage = `(usage: ${program.name()} ${command.name()} ${command.usage()})`;
    command.configureOutput({ outputError: (text, write) => write(`${text.trimEnd()} ${usage}\n`) });
  }
  await program.parseAsync();
} catch (error) {
  fail((error as Error).message);
}
