// The inner loop of sendMany(): a list of datagrams into the sender, addresses looked at only when they change.
import { type ParsedAddress, parseLiteral } from './address.js';
import * as errors from './errors.js';
import { validatePort, validateString } from './options.js';
import { bytesOfPayload } from './send-arguments.js';
import type { Sender } from './sender.js';

/** Returns how many entries were taken. */
export function sendRun(
  sender: Sender,
  id: number,
  family: 4 | 6,
  list: readonly unknown[],
  connected: boolean,
): number {
  let taken = 0;
  let address: unknown;
  let to: ParsedAddress | null = null;
  sender.flush(); // what was sent before goes first
  try {
    for (let i = 0; i < list.length; ) {
      const given = list[i++];
      const payload = given instanceof Uint8Array ? given : bytesOfPayload(given, 'list');
      let port = 0;
      if (!connected) {
        port = validatePort(list[i++], 'Port', false);
        if (list[i] !== address) {
          address = list[i];
          to = destination(family, address);
        }
        i++;
      }
      if (!sender.sendOfRun(id, to, port, payload)) break;
      taken++;
    }
  } finally {
    sender.flush();
  }
  return taken;
}

function destination(family: 4 | 6, address: unknown): ParsedAddress {
  validateString(address, 'address');
  const to = parseLiteral(family, address);
  if (to === null) throw errors.invalidArgValue('address', address, `must be an IPv${family} address`);
  return to;
}
