import { cable } from './cable.mjs';
import { Child } from './child.mjs';
import { loadgen } from './paths.mjs';
import { commandOf, nativeArgs } from './peers.mjs';

/** @type {import('./cable.mjs').Place} */
const here = { before: [], env: {} };

/** Where the compared program of a scenario is, and where its load is. */
export async function placesOf(scenario) {
  return scenario.cable ? cable() : { ours: here, theirs: here };
}

/**
 * Starts one compared program and waits until it works.
 * @param {import('../scenarios/entry.mjs').Entry} entry
 */
export async function startProgram(entry, role, options, place = here) {
  const { command, args } = commandOf(entry.peer, role, options);
  const [first, ...rest] = [...place.before, command, ...args];
  const child = new Child(`${entry.name} (${role})`, first, rest, { ...entry.env, ...place.env });
  return whenReady(child);
}

/** Starts a command of the load generator, and returns it when it is ready. */
export async function startNative(command, options, place = here) {
  const [first, ...rest] = [...place.before, loadgen, ...nativeArgs(command, options)];
  const child = new Child(`loadgen ${command}`, first, rest, place.env);
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
