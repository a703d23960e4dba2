// What is behind a Server, for who hands it over (lib/hand-over/servers.ts).
import type { Turns } from '../base/turns.js';
import type { KernelPart } from './kernel.js';
import type { CheckedServerOptions } from './options.js';
import type { ServerPart } from './part.js';
import type { Started } from './parts.js';

/** Servers have it under this name. */
export const inside: unique symbol = Symbol('ksocket.inside');

export interface ServerInside {
  /** Do its options say how it answers? Else it may do as another one. */
  readonly says: boolean;
  parts(): readonly ServerPart[];
  options(): CheckedServerOptions;
  readonly kernel: KernelPart;
  /** By lists or limits? */
  guarded(): boolean;
  /** To `'datagram'`? */
  delivers(): boolean;
  /** Are its shards chosen by a hash of our own (Resizing)? */
  hashed(): boolean;
  /** What rules have matched in shards that get nothing any more, by their names. */
  pastHits(): ReadonlyMap<string, number>;
  become(changed: Partial<CheckedServerOptions>, guarded: boolean): void;
  /** Of the calls that change the server. */
  readonly turns: Turns;
  /** While another process may take it over. */
  giving: AbortController | undefined;
  /** It has these parts, which receive. */
  begin(started: Started, hashed: boolean): Promise<void>;
  /** It ends, and its sockets are another's. */
  end(): void;
}
