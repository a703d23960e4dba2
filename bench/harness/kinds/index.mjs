// How a scenario is measured. Each kind is a function from one program to the metrics of one round.
import { alone } from './alone.mjs';
import { blocked } from './blocked.mjs';
import { echo } from './echo.mjs';
import { forward } from './forward.mjs';
import { pair } from './pair.mjs';
import { receive } from './receive.mjs';
import { send } from './send.mjs';
import { startup } from './startup.mjs';
import { tunnel } from './tunnel.mjs';

/**
 * @callback Kind
 * @param {import('../../scenarios/entry.mjs').Scenario} scenario
 * @param {import('../../scenarios/entry.mjs').Entry} entry
 * @param {{ seconds: number, warmupSeconds: number }} times
 * @returns {Promise<Record<string, unknown>>} metrics by name, and `raw`
 */

/** @type {Record<string, Kind>} */
export const kinds = { alone, blocked, echo, forward, pair, receive, send, startup, tunnel };
