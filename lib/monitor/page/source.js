// What the monitor says: the history once, then the latest figures every second.

const POLL_MS = 1000;
const PATIENCE_MS = 5000;

async function load(path) {
  const response = await fetch(path, { signal: AbortSignal.timeout(PATIENCE_MS) });
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.json();
}

export class Source {
  /** /stats.json, the latest. */
  stats;
  /** /history.json, and what came since. */
  history;
  /** The names, texts and metrics of the counters. */
  counters;
  #onNews;
  #onSilence;
  #timer;
  #asking = false;

  /** `onNews` runs after each answer, `onSilence` when none came. */
  constructor(onNews, onSilence) {
    this.#onNews = onNews;
    this.#onSilence = onSilence;
    // A page in the background does not ask; one that is looked at again does so at once.
    document.addEventListener('visibilitychange', () => this.poll());
  }

  async poll() {
    if (this.#asking) return;
    clearTimeout(this.#timer);
    if (document.hidden) return;
    this.#asking = true;
    const started = performance.now();
    try {
      this.counters ??= await load('/counters.json');
      await this.#take(await load('/stats.json'));
      this.#onNews();
    } catch (error) {
      this.#onSilence(error);
    } finally {
      this.#asking = false;
      this.#timer = setTimeout(() => this.poll(), Math.max(100, POLL_MS - (performance.now() - started)));
    }
  }

  async #take(stats) {
    const { sample, servers } = stats;
    const known = this.history?.sequence;
    if (known === undefined || sample.sequence > known + 1 || sample.sequence < known) {
      this.history = await load('/history.json');
    } else if (sample.sequence === known + 1) {
      this.#append(this.history, sample, servers);
    }
    this.stats = stats;
  }

  #append(history, sample, servers) {
    history.sequence = sample.sequence;
    history.times.push(sample.time);
    history.lagMs.push(sample.lagMs);
    const columns = [history.times, history.lagMs];
    servers.forEach((server, i) => {
      for (const [name, column] of Object.entries(history.servers[i].samples)) {
        column.push(server.sample[name]);
        columns.push(column);
      }
    });
    for (const column of columns) while (column.length > history.samplesMax) column.shift();
  }
}
