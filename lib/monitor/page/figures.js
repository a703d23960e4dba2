// The figures: tiles for what matters now, and tables of every counter.
import { element } from '/charts.js';
import * as format from '/format.js';

const LOST = [
  'rxKernelDrops',
  'rxRingDrops',
  'rxQueueDrops',
  'rxCloseDrops',
  'txDropped',
  'refusedDatagrams',
  'unsortedDatagrams',
  'abandonedDatagrams',
];
const ALARMS = new Set([...LOST, 'rxErrors', 'txErrors']);
const GROUPS = [
  ['Receive', ({ name, of }) => of === 'socket' && name.startsWith('rx') && !ALARMS.has(name)],
  ['Lost or failed', ({ name }) => ALARMS.has(name)],
  ['Send', ({ name, of }) => of === 'socket' && !name.startsWith('rx') && !ALARMS.has(name)],
  ['Collector', ({ name, of }) => of === 'collector' && !ALARMS.has(name)],
  ['Rules and protection', ({ of }) => of === 'answering'],
  ['I/O thread', ({ of }) => of === 'thread'],
  ['Tunnel', ({ of }) => of === 'tunnel'],
];

const total = (value, word) => `${format.exact(value)} ${word}`;

/** What became of what was received: answered, or of a collector written. */
function outcome({ sample, collector, stats }) {
  if (collector === null) return ['Sent', format.count(sample.sent, '/s'), total(stats?.txDatagrams ?? 0, 'in all')];
  const note = collector.failing > 0 ? 'nothing is written' : total(sample.undelivered ?? 0, 'on the way');
  return ['Delivered', format.count(sample.delivered, '/s'), note, collector.failing > 0];
}

/** Title, what is large, what is small, and whether it is bad. */
function tiles({ server, stats }) {
  const { sample, running, engine } = server;
  const counted = server.stats;
  const all = { ...counted, ...server.collector };
  const lost = LOST.reduce((sum, name) => sum + (all[name] ?? 0), 0);
  const losing = ['kernelDrops', 'ringDrops', 'sendDrops'].reduce((sum, name) => sum + (sample[name] ?? 0), 0);
  const { eventLoopLagMs, maxLagMs } = stats.health;
  const lag = Math.max(eventLoopLagMs, stats.sample.lagMs ?? 0);
  return [
    ['Received', format.count(sample.received, '/s'), total(counted?.rxDatagrams ?? 0, 'in all')],
    outcome(server),
    [
      'Lost',
      format.count(lost),
      losing > 0 ? `${format.joined(format.count(losing, '/s'))} now` : 'none now',
      lost > 0,
    ],
    [
      'Latency, median',
      format.microseconds(sample.latencyP50Us),
      sample.latencyP99Us === null
        ? 'nothing received'
        : `99 % within ${format.joined(format.microseconds(sample.latencyP99Us))}`,
    ],
    [
      'Event-loop lag',
      format.milliseconds(lag),
      `limit ${format.joined(format.milliseconds(maxLagMs))}`,
      lag > maxLagMs,
    ],
    ['I/O thread', format.percent(sample.cpu), running ? `${engine} engine` : 'not running', !running],
  ];
}

/** Made once, then only the texts change: what a screen reader or a selection points at stays. */
export class Figures {
  #tiles = [];
  #cells = new Map();

  constructor(tilesParent, tablesParent, counters) {
    for (let i = 0; i < 6; i++) {
      const parts = {
        title: element('dt'),
        value: element('dd', { class: 'value' }),
        note: element('dd', { class: 'note' }),
      };
      parts.box = element('div', {}, parts.title, parts.value, parts.note);
      this.#tiles.push(parts);
      tilesParent.append(parts.box);
    }
    for (const [title, belongs] of GROUPS) {
      const own = counters.filter(belongs);
      if (own.length === 0) continue; // nobody has them
      const body = element('tbody');
      for (const counter of own) body.append(this.#row(counter));
      tablesParent.append(element('table', {}, element('caption', {}, title), body));
    }
  }

  #row({ name, text }) {
    const cell = element('td', { 'data-counter': name }, '0');
    this.#cells.set(name, cell);
    const label = element('th', { scope: 'row' }, element('code', {}, name), element('span', {}, text));
    return element('tr', {}, label, cell);
  }

  update(server, stats) {
    tiles({ server, stats }).forEach(([title, [figure, unit], note, alarm = false], i) => {
      const parts = this.#tiles[i];
      parts.title.textContent = title;
      parts.value.replaceChildren(figure, element('small', {}, unit));
      parts.note.textContent = note;
      parts.box.classList.toggle('alarm', alarm);
    });
    const own = server.stats;
    const counted = { ...own, ...own?.thread, ...own?.answering, ...server.tunnel, ...server.collector };
    for (const [name, cell] of this.#cells) {
      const value = counted[name] ?? 0;
      cell.textContent = format.exact(value);
      cell.classList.toggle('alarm', ALARMS.has(name) && value > 0);
    }
  }
}
