import { atMost } from '../harness/goals.mjs';
import { entry, others } from './entry.mjs';

/** @returns {import('./entry.mjs').Scenario} */
export function paced(rate, cpuRatioMax) {
  return {
    id: `paced/${rate}`,
    title: `paced ${rate.toLocaleString('en').replaceAll(',', ' ')}/s, defaults`,
    kind: 'receive',
    show: ['cpuNs', 'rate', 'offered'],
    load: { command: 'paced', size: 64, rate },
    entries: [
      entry('ksocket', 'receive'),
      entry('ksocket', 'receive-batch', {}, "ksocket 'batch'"),
      ...others('receive'),
      entry('c', 'sink'),
    ],
    goals: [atMost(cpuRatioMax, 'cpuNs', 'ksocket', 'node:dgram')],
  };
}
