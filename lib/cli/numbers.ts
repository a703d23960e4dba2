// Numbers as people type them.
import { InvalidArgumentError } from 'commander';
import { SHARDS_MAX } from '../thread/shards.js';

/** A parser for integers of this range. */
export function integer(min: number, max: number): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (!/^\d+$/.test(text) || number < min || number > max)
      throw new InvalidArgumentError(`a number from ${min} to ${max}.`);
    return number;
  };
}

export function parseShards(text: string): number | 'cores' {
  if (text === 'cores') return text;
  const shards = Number(text);
  if (!Number.isInteger(shards) || shards < 1 || shards > SHARDS_MAX)
    throw new InvalidArgumentError(`a number from 1 to ${SHARDS_MAX}, or cores.`);
  return shards;
}
