// What is watched beside the counting, in the same process and only inside the window.
import { blockedLoop } from './blocked-loop.mjs';
import { timerLag } from './timer-lag.mjs';

export const probes = {
  'blocked-loop': blockedLoop,
  'timer-lag': timerLag,
};
