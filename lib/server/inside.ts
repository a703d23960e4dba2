// What is behind a Server, for who hands it over (lib/hand-over/servers.ts).
import type { CheckedServerOptions } from './options.js';
import type { ServerPart } from './part.js';

export interface ServerInside {
  /** Do its options say how it answers? Else it may do as another one. */
  readonly says: boolean;
  parts(): readonly ServerPart[];
  options(): CheckedServerOptions;
  /** By lists or limits? */
  guarded(): boolean;
  /** To `'datagram'`? */
  delivers(): boolean;
  /** Are its shards chosen by a hash of our own (Resizing)? */
  hashed(): boolean;
  /** What rules have matched in shards that get nothing any more, by their names. */
  pastHits(): ReadonlyMap<string, number>;
  become(changed: Partial<CheckedServerOptions>, guarded: boolean): void;
  /** Runs the action while nothing else changes the server. */
  exclusively<Result>(action: () => Promise<Result>): Promise<Result>;
  /** It ends, and its sockets are another's. */
  end(): void;
}
