import { Child } from './child.mjs';
import { loadgen } from './paths.mjs';
import { commandOf, nativeArgs } from './peers.mjs';

/**
 * Starts one compared program and waits until it works.
 * @param {import('../scenarios/entry.mjs').Entry} entry
 */
export async function startProgram(entry, role, options) {
  const { command, args } = commandOf(entry.peer, role, options);
  const child = new Child(`${entry.name} (${role})`, command, args, entry.env);
  return whenReady(child);
}

/** Starts a command of the load generator, and returns it when it is ready. */
export async function startNative(command, options) {
  const child = new Child(`loadgen ${command}`, loadgen, nativeArgs(command, options));
  return whenReady(child);
}

async function whenReady(child) {
  try {
    return { child, ready: await child.ready() };
  } catch (error) {
    await child.end();
    throw error;
  }
}

/** Runs `body` and ends the children whatever comes of it. */
export async function withChildren(body) {
  /** @type {Child[]} */
  const started = [];
  const keep = (result) => {
    started.push(result.child);
    return result;
  };
  try {
    return await body(keep);
  } finally {
    await Promise.all(started.map((child) => child.end()));
  }
}
