// `ksocket send`: one datagram, to try a server with.

import dns from 'node:dns/promises';
import { type Command, InvalidArgumentError } from 'commander';
import { familyOfNumber, familyOfText } from '../base/family.js';
import { createSocket } from '../socket/socket.js';
import { parseEndpoint, printable } from './endpoint.js';
import { fail } from './fail.js';

const DEFAULT_WAIT_S = 2;
const SECONDS_MAX = 2_147_483; // what setTimeout() takes, 2^31 - 1 ms

const examples = `
Examples:
  ksocket send hello --to 127.0.0.1:2325
  ksocket send hello --to 127.0.0.1:7 --wait      print the answer, or fail when none comes within ${DEFAULT_WAIT_S} seconds
  ksocket send hello --to '[::1]:7' --wait 0.5`;

function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (!(seconds > 0 && seconds <= SECONDS_MAX)) {
    throw new InvalidArgumentError(`seconds are a number above 0, at most ${SECONDS_MAX}.`);
  }
  return seconds;
}

export function defineSend(program: Command): void {
  program
    .command('send')
    .description('send a datagram')
    .argument('<text>', 'the payload')
    .requiredOption('-t, --to <host:port>', 'where to', parseEndpoint)
    .option('-w, --wait [seconds]', 'wait for an answer and print it', parseSeconds)
    .addHelpText('after', examples)
    .action(send);
}

async function send(
  text: string,
  options: { to: { address: string; port: number }; wait?: number | true },
): Promise<void> {
  const { address, port } = options.to;
  let timer: NodeJS.Timeout | undefined;
  try {
    const family = familyOfText(address) ?? familyOfNumber((await dns.lookup(address)).family);
    await using socket = createSocket(family.type);
    await new Promise<void>((resolve, reject) => {
      socket.on('error', reject);
      if (options.wait !== undefined) {
        const seconds = options.wait === true ? DEFAULT_WAIT_S : options.wait;
        timer = setTimeout(() => reject(new Error(`no answer within ${seconds} s`)), seconds * 1000);
        socket.once('message', (msg, rinfo) => {
          process.stdout.write(`${rinfo.address}:${rinfo.port} ${msg.length} bytes: ${printable(msg)}\n`);
          resolve();
        });
      }
      socket.send(text, port, address, (error) => {
        if (error) reject(error);
        else if (options.wait === undefined) resolve();
      });
    });
  } catch (error) {
    fail((error as Error).message);
  } finally {
    clearTimeout(timer);
  }
}
