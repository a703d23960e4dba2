// Servers that answer in the kernel, and two hosts for them.
import { createServer, type Rule, type Server, type ServerOptions, slot } from 'ksocket';
import { SecondHost } from './second-host.js';

export const OURS_V4 = '192.0.2.1';
export const OURS_V6 = 'fd00::1';
export const hosts = () => SecondHost.start([`${OURS_V4}/24`, `${OURS_V6}/64`], ['192.0.2.2/24', 'fd00::2/64']);

/** Says the word before and behind what it was asked. */
export const saying = (word: string): Rule => ({
  name: 'say',
  action: { reply: [word, slot.request(), ` ${word}`], amplify: true },
});
export const serving = (options: ServerOptions = {}) =>
  createServer({ address: '::', port: 0, rules: [saying('k')], kernel: true, ...options });
export const inKernel = (server: Server) => server.stats().answering.kernelReplies;
