// The programs of examples/, as scripts/test-ts.mjs has compiled them.
import { join } from 'node:path';
import type { Server, ServerOptions } from 'ksocket';
import { type Child, root, startProgram } from './child.js';

const pathOf = (example: string) => join(root, 'build-test/programs', `${example}.js`);

/** A function of an example, which makes a server. */
export async function exampleOf(example: string, name: string): Promise<(options: ServerOptions) => Server> {
  return (await import(pathOf(example)))[name];
}

async function serveBlocked(path: string, name: string, options: object) {
  // Of test/kernel/examples.once.test.ts, which runs the tests of the examples so.
  const kernel = process.env.KSOCKET_TEST_KERNEL === undefined ? undefined : { required: true };
  const server = (await import(path))[name]({ address: '127.0.0.1', port: 0, kernel, ...options });
  await server.start();
  console.log(`port ${server.address().port}`); // to a pipe: written when this returns
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0); // nothing of JavaScript runs any more
}

/** Starts an example's server in a process that blocks its event loop for ever. Kill it with `using`. */
export async function startBlocked(
  example: string,
  name: string,
  options: object,
): Promise<{ child: Child; port: number }> {
  const child = startProgram(serveBlocked, [pathOf(example), name, options]);
  const [, port] = await child.line(/^port (\d+)$/);
  return { child, port: Number(port) };
}
