// What the printed tables and the Markdown say in the same words.
import { limitedBySender } from '../losses.mjs';
import { metrics } from '../metrics.mjs';

const BASELINE = 'node:dgram';

/** `1.23 M (1.10 M–1.31 M)` */
export function withSpread(name, summary) {
  if (!summary) return '–';
  const { format } = metrics[name];
  const middle = format(summary.median);
  return summary.n > 1 ? `${middle} (${format(summary.min)}–${format(summary.max)})` : middle;
}

/** How often the headline metric of the baseline fits into this one, or the other way where less is better. */
export function factorOf(scenario, entry) {
  const [headline] = scenario.show;
  const baseline = scenario.entries.find(({ name }) => name === BASELINE)?.summary[headline]?.median;
  const own = entry.summary[headline]?.median;
  if (!baseline || !own) return null;
  return metrics[headline].better === 'higher' ? own / baseline : baseline / own;
}

export function formatFactor(factor) {
  if (factor === null) return '–';
  return `${factor >= 10 ? factor.toFixed(0) : factor.toFixed(2)} ×`;
}

/** @param {import('../goals.mjs').Goal} goal */
export function goalText({ bound, value, metric, of, against, difference }) {
  const sign = bound === 'min' ? '≥' : '≤';
  const { label, format } = metrics[metric];
  if (difference) return `${of}: ${label} ${sign} ${against} + ${format(value)}`;
  return against ? `${of}: ${label} ${sign} ${value} × ${against}` : `${of}: ${label} ${sign} ${value}`;
}

export function measuredText({ measured, spread, against, difference, metric }) {
  if (measured === null) return '–';
  const show = difference ? (value) => `+${metrics[metric].format(value)}` : digits;
  const text = `${show(measured)}${against && !difference ? ' ×' : ''}`;
  return spread ? `${text} (${show(spread[0])}–${show(spread[1])})` : text;
}

/** @param {import('../losses.mjs').Loss} loss */
export function lossCells({ scenario, metric, own, rival, factor, spread }) {
  const span = `${digits(spread[0])}–${digits(spread[1])}`;
  return [scenario.title, metrics[metric].label, own, rival, `${digits(factor)} × (${span})`];
}

export const LOSS_HEAD = ['scenario', 'figure', 'ksocket', 'better', 'by (spread of rounds)'];

export function verdict({ passed }) {
  return passed === null ? 'not measured' : passed ? 'pass' : 'MISS';
}

function digits(value) {
  if (value === 0 || !Number.isFinite(value)) return String(value);
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

const ANSWER_DELAY_S_MAX = 0.25;

/** The name of a program, and what a reader must know about how its rounds went. */
export function nameWithRemarks({ load }, { name, failures, summary }) {
  const remarks = [];
  if (failures.length > 0) remarks.push(`${failures.length} rounds failed`);
  if (summary.answerDelayS?.max > ANSWER_DELAY_S_MAX) {
    remarks.push(`event loop starved for ${summary.answerDelayS.max.toFixed(1)} s`);
  }
  if (summary.timeouts?.max > 0) remarks.push(`up to ${summary.timeouts.max} time-outs`);
  if (load?.command === 'flood' && limitedBySender(summary)) remarks.push('limited by the sender');
  return remarks.length > 0 ? `${name} (${remarks.join(', ')})` : name;
}

/** The line of a stack trace or a message that says what is wrong. */
export function reasonOf(text) {
  const lines = text.split('\n');
  const thrown = lines.find((line) => /^\s*(Uncaught )?\w*Error\b.*: /.test(line));
  return (thrown ?? lines[0]).trim();
}
