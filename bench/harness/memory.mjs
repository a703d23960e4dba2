import { readFileSync } from 'node:fs';
import { median } from './statistics.mjs';

const EVERY_MS = 250;

/**
 * Watches the resident memory of a process from outside: a program that is flooded may not get to its own timers.
 * @param {number} pid
 */
export function watchMemory(pid) {
  const idleBytes = residentBytes(pid);
  /** @type {number[]} */
  const samples = [];
  const timer = setInterval(() => samples.push(residentBytes(pid)), EVERY_MS);
  return {
    /** @returns {Record<string, number>} */
    stop() {
      clearInterval(timer);
      if (samples.length < 3) return {};
      const third = Math.floor(samples.length / 3);
      // Garbage collection makes teeth: the highest of them is what the machine must have.
      const peak = Math.max(...samples);
      return {
        rssGrowth: median(samples.slice(-third)) / median(samples.slice(third, 2 * third)),
        rssPeakBytes: peak,
        rssAddedBytes: peak - idleBytes,
      };
    },
  };
}

function residentBytes(pid) {
  const [, line] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(line) * 1024;
}
