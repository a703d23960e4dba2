// How a server's parts come to be: all of them, or none is open.
import type { NativeAddress, NativeForward } from '../backend/contract.js';
import { bindGroup } from '../thread/shards.js';
import { checkOpened } from './opening.js';
import type { CheckedServerOptions } from './options.js';
import { ServerPart } from './part.js';
import { type Resolved, resolve, resolveForwards, toNative } from './places.js';

interface Targets {
  target: NativeAddress | undefined;
  forwards: NativeForward[];
}

/** The parts, with what names have been looked up for them. */
export interface Started extends Targets {
  parts: readonly ServerPart[];
  local: Resolved | number;
}

/** They receive when this resolves. `guarded`: by lists or limits. */
export async function startParts(
  options: CheckedServerOptions,
  guarded: boolean,
  delivers: () => boolean,
): Promise<Started> {
  const local = options.fd ?? (await resolve(options.address));
  const targets = await resolveTargets(options);
  const parts = make(options, options.shards?.count ?? 1, (made) => {
    const [address, port] = bind(options, made, local);
    for (const part of made) part.hear();
    answer(made, targets);
    if (guarded) for (const [i, part] of made.entries()) part.protect(options.protection, i, made.length);
    for (const part of made) checkOpened(part.watch(delivers()), 'epoll_ctl', address, port);
  });
  return { parts, local, ...targets };
}

/** On copies of descriptors that another process answers on; they do not receive yet, and the kernel's filter is as it was. */
export async function openTaken(options: CheckedServerOptions, fds: readonly number[]): Promise<Started> {
  const targets = await resolveTargets(options);
  let local: Resolved | number = -1;
  const parts = make(options, fds.length, (made) => {
    for (const [i, part] of made.entries()) local = part.takeOver(fds[i]);
    answer(made, targets);
  });
  return { parts, local, ...targets };
}

async function resolveTargets({ answering }: CheckedServerOptions): Promise<Targets> {
  const target = 'target' in answering && answering.target !== 'source' ? answering.target : undefined;
  return {
    target: target && toNative({ ...(await resolve(target.address)), port: target.port }),
    forwards: answering.by === 'rules' ? await resolveForwards(answering.rules) : [],
  };
}

function make(
  options: CheckedServerOptions,
  count: number,
  open: (parts: readonly ServerPart[]) => void,
): readonly ServerPart[] {
  const parts: ServerPart[] = [];
  try {
    for (let i = 0; i < count; i++) parts.push(new ServerPart(options, i));
    open(parts);
    return parts;
  } catch (error) {
    for (const part of parts) part.release();
    throw error;
  }
}

function answer(parts: readonly ServerPart[], { target, forwards }: Targets): void {
  for (const part of parts) part.answer(target, forwards);
}

function bind(
  { port, shards = { count: 1, steering: 'flow', seed: 0 } }: CheckedServerOptions,
  parts: readonly ServerPart[],
  local: Resolved | number,
): [address: string, port: number] {
  if (typeof local === 'number') return parts[0].openCopy(local);
  const { address, family } = local;
  for (const part of parts) checkOpened(part.open(family), 'socket', address, port);
  const refused = bindGroup(parts, shards, family.number, address, port);
  if (refused !== undefined) throw refused;
  return [address, port];
}
