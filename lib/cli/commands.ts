// The commands that need the addon. `ksocket build`, which makes it, does not load them.
import type { Command } from 'commander';
import { defineCollect } from './collect.js';
import { defineCompare } from './compare/command.js';
import { defineConsume } from './consume.js';
import { defineInfo } from './info.js';
import { defineRules } from './rules.js';
import { defineSend } from './send.js';
import { defineServe } from './serve.js';
import { defineTunnel } from './tunnel.js';

export function defineCommands(program: Command, version: string): void {
  defineServe(program);
  defineCollect(program);
  defineConsume(program);
  defineSend(program);
  defineTunnel(program);
  defineCompare(program);
  defineRules(program);
  defineInfo(program, version);
}
