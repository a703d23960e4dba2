// Every row of the table of goals, as data. How a kind is measured stands in ../harness/kinds/.
import { answering } from './answering.mjs';
import { collecting } from './collecting.mjs';
import { forwarding } from './forwarding.mjs';
import { latency } from './latency.mjs';
import { local } from './local.mjs';
import { paced } from './paced.mjs';
import { receiving } from './receiving.mjs';
import { sending } from './sending.mjs';
import { series } from './series.mjs';
import { manySockets } from './sockets.mjs';
import { tunnels } from './tunnels.mjs';

/** @type {import('./entry.mjs').Scenario[]} */
export const scenarios = [
  ...receiving(),
  ...sending(),
  paced(20_000, 0.85),
  paced(60_000, 0.8),
  paced(150_000, 0.5),
  ...latency(),
  ...answering(),
  ...forwarding(),
  ...collecting(),
  ...manySockets(),
  ...local(),
  ...tunnels(),
  ...series,
];
