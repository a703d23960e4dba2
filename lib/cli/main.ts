#!/usr/bin/env node
// `ksocket` on the command line.
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { defineCompare } from './compare/command.js';
import { defineInfo } from './info.js';
import { defineSend } from './send.js';
import { defineServe } from './serve.js';

const { version, description } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));

const program = new Command('ksocket').description(description).version(version).showHelpAfterError();
defineServe(program);
defineSend(program);
defineCompare(program);
defineInfo(program, version);
await program.parseAsync();
