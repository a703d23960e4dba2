#!/usr/bin/env node
// `ksocket` on the command line.
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { defineCompare } from './compare/command.js';
import { fail } from './fail.js';
import { defineInfo } from './info.js';
import { defineSend } from './send.js';
import { defineServe } from './serve.js';

const { version, description } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));

// Who reads us may have seen enough (`ksocket info | head -1`): no fault of ours.
process.stdout.on('error', () => {});

const program = new Command('ksocket').description(description).version(version);
defineServe(program);
defineSend(program);
defineCompare(program);
defineInfo(program, version);
for (const command of program.commands) {
  const usage = `(usage: ${program.name()} ${command.name()} ${command.usage()})`;
  command.configureOutput({ outputError: (text, write) => write(`${text.trimEnd()} ${usage}\n`) });
}
try {
  await program.parseAsync();
} catch (error) {
  fail((error as Error).message);
}
