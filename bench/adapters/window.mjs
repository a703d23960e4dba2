import process from 'node:process';

/**
 * The measured time between `start` and `stop`: what was counted, and the CPU time of all threads.
 * The program takes both times itself, so a command that is served late does not bend the rate.
 */
export class Window {
  #tally;
  #probes;
  #stats;
  #from;

  /**
   * @param {{ count: number, bytes: number, errors: number }} tally written by the role
   * @param {{ start(): void, stop(): object }[]} probes
   * @param {(() => object) | undefined} stats the socket's own counters, for the record
   */
  constructor(tally, probes, stats) {
    this.#tally = tally;
    this.#probes = probes;
    this.#stats = stats;
    this.#from = this.#now();
  }

  #now() {
    return { ...this.#tally, cpu: process.cpuUsage(), ms: performance.now() };
  }

  open() {
    for (const probe of this.#probes) probe.start();
    this.#from = this.#now();
  }

  close() {
    const from = this.#from;
    const to = this.#now();
    const extra = { errors: to.errors - from.errors, stats: this.#stats?.() };
    for (const probe of this.#probes) Object.assign(extra, probe.stop());
    return {
      count: to.count - from.count,
      bytes: to.bytes - from.bytes,
      seconds: (to.ms - from.ms) / 1000,
      cpuUserUs: to.cpu.user - from.cpu.user,
      cpuSysUs: to.cpu.system - from.cpu.system,
      rss: process.memoryUsage().rss,
      extra,
    };
  }
}
