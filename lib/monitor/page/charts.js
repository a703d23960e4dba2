// The charts over time: what is in each, and how uPlot draws it.
import * as format from '/format.js';
import uPlot from '/uplot.js';

const perSecond = (value) => format.joined(format.count(value, '/s'));
const bytesPerSecond = (value) => format.joined(format.bytes(value, '/s'));
const plain = (value) => format.joined(format.count(value));
const microseconds = (value) => format.joined(format.microseconds(value));
const milliseconds = (value) => format.joined(format.milliseconds(value));
const percent = (value) => format.joined(format.percent(value));

/** `least`: the axis reaches at least so far; a logarithmic one begins at 1. Columns are those of /history.json; `lagMs`
 * is of the whole process. */
export const CHARTS = [
  {
    title: 'Datagrams',
    text: perSecond,
    least: 10,
    series: [
      { label: 'received', column: 'received', colour: 'blue' },
      { label: 'sent', column: 'sent', colour: 'teal' },
      { label: 'in the kernel', column: 'inKernel', colour: 'violet' },
    ],
  },
  {
    title: 'Payload',
    text: bytesPerSecond,
    least: 1000,
    series: [
      { label: 'in', column: 'receivedBytes', colour: 'blue' },
      { label: 'out', column: 'sentBytes', colour: 'teal' },
    ],
  },
  {
    title: 'Lost datagrams',
    text: perSecond,
    least: 10,
    series: [
      { label: 'kernel', column: 'kernelDrops', colour: 'red' },
      { label: 'ring', column: 'ringDrops', colour: 'amber' },
      { label: 'send', column: 'sendDrops', colour: 'violet' },
    ],
  },
  {
    title: 'Receive latency',
    text: microseconds,
    least: 1000,
    logarithmic: true,
    series: [
      { label: 'p50', column: 'latencyP50Us', colour: 'blue' },
      { label: 'p99', column: 'latencyP99Us', colour: 'amber' },
    ],
  },
  { latency: true },
  {
    title: 'Event-loop lag',
    text: milliseconds,
    least: 20,
    series: [{ label: 'longest', column: 'lagMs', colour: 'amber' }],
  },
  {
    title: 'Datagrams a receive call',
    text: plain,
    least: 4,
    series: [{ label: 'batch', column: 'batch', colour: 'blue' }],
  },
  {
    title: 'Receive ring',
    text: plain,
    least: 10,
    series: [{ label: 'waiting', column: 'ringRecords', colour: 'violet' }],
  },
  {
    title: 'I/O thread',
    text: percent,
    least: 0.1,
    series: [{ label: 'of a processor', column: 'cpu', colour: 'teal' }],
  },
];

/** Where one of the servers is a collector. */
export const COLLECTOR_CHARTS = [
  {
    title: 'Delivered',
    text: perSecond,
    least: 10,
    series: [{ label: 'durable', column: 'delivered', colour: 'teal' }],
  },
  {
    title: 'On the way to the sink',
    text: plain,
    least: 10,
    series: [{ label: 'datagrams', column: 'undelivered', colour: 'violet' }],
  },
];

const isPowerOfTen = (value) => Math.abs(Math.log10(value) - Math.round(Math.log10(value))) < 1e-9;

const style = getComputedStyle(document.documentElement);
export const colour = (name) => style.getPropertyValue(`--${name}`).trim();

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** A card with a title, a legend of live values, and room for a plot. */
export function card({ title, series }) {
  const values = series.map(() => element('b', {}, '–'));
  const legend = element(
    'ul',
    { class: 'legend' },
    ...series.map(({ label, colour: name }, i) =>
      element('li', {}, element('i', { class: `swatch-${name}` }), `${label} `, values[i]),
    ),
  );
  const plot = element('div', { class: 'plot', tabindex: '0', role: 'img', 'aria-label': title });
  const figure = element('figure', {}, element('figcaption', {}, element('h2', {}, title), legend), plot);
  return { figure, plot, values };
}

/** Around a plot: above, right, below, left. */
export const PADDING = [8, 10, 0, 0];

/** How every axis looks. */
export function axis(values, more = {}) {
  return {
    values,
    stroke: () => colour('soft'),
    font: '11px system-ui, sans-serif',
    grid: { stroke: () => colour('grid'), width: 1 },
    ticks: { show: false },
    ...more,
  };
}

/** As wide as the longest of its labels. */
export function axisWidth(plot, labels) {
  const longest = (labels ?? []).reduce((a, b) => (b.length > a.length ? b : a), '');
  plot.ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
  return Math.ceil(plot.ctx.measureText(longest).width / devicePixelRatio) + 12;
}

/** On a logarithmic axis, only powers of ten are told and have a line. */
function decades() {
  const filter = (_, splits) => splits.map((value) => (isPowerOfTen(value) ? value : null));
  return { filter, grid: { stroke: () => colour('grid'), width: 1, filter } };
}

/** Samples between two gaps, which no line would show. */
function isolated(plot, series) {
  const column = plot.data[series];
  const missing = (i) => column[i] === null || column[i] === undefined;
  return [...column.keys()].filter((i) => !missing(i) && missing(i - 1) && missing(i + 1));
}

/** Keeps a plot as large as the element it is in. */
export function fit(plot, room) {
  new ResizeObserver(() => {
    if (room.clientWidth > 0) plot.setSize({ width: room.clientWidth, height: room.clientHeight });
  }).observe(room);
}

/** A cursor for the keyboard: arrows, Home and End between the places that `places()` says, from `start` on; Escape
 * takes it away. */
export function steer(plot, room, places) {
  // To the left of all there is nothing to point at.
  const point = (left) => plot.setCursor({ left, top: Math.sign(left) }, true, true);
  room.addEventListener('blur', () => point(-10));
  room.addEventListener('keydown', (event) => {
    const { first, last, start } = places();
    const at = plot.cursor.left >= 0 ? (plot.cursor.idx ?? start) : start;
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: first, End: last }[event.key];
    if (event.key === 'Escape') point(-10);
    if (to === undefined || last < first) return;
    event.preventDefault();
    point(plot.valToPos(plot.data[0][Math.min(Math.max(to, first), last)], 'x'));
  });
}

export class TimeChart {
  #chart;
  #parts;
  #plot;
  #span = 60;
  #now = 0;

  constructor(chart, parent) {
    this.#chart = chart;
    this.#parts = card(chart);
    parent.append(this.#parts.figure);
    const { plot: room } = this.#parts;
    this.#plot = new uPlot(
      {
        width: room.clientWidth || 300,
        height: room.clientHeight || 168,
        legend: { show: false },
        padding: PADDING,
        cursor: { y: false, drag: { x: false, y: false }, sync: { key: 'time' }, points: { size: 6 } },
        scales: {
          x: { range: () => [this.#now - this.#span, this.#now] },
          y: chart.logarithmic
            ? { distr: 3, range: (_, _min, max) => [1, 10 ** Math.ceil(Math.log10(Math.max(chart.least, max ?? 0)))] }
            : { range: (_, _min, max) => [0, Math.max(chart.least, (max ?? 0) * 1.08)] },
        },
        axes: [
          axis((_, splits) => splits.map(format.clock), { space: 90, size: 26 }),
          axis((_, splits) => splits.map((value) => (value === null ? '' : chart.text(value))), {
            space: 36,
            size: axisWidth,
            ...(chart.logarithmic && decades()),
          }),
        ],
        series: [{}, ...chart.series.map((each) => this.#series(each))],
        hooks: { setCursor: [() => this.#tell()] },
      },
      [[], ...chart.series.map(() => [])],
      room,
    );
    fit(this.#plot, room);
    steer(this.#plot, room, () => {
      const times = this.#plot.data[0];
      const last = times.length - 1;
      return { first: times.findIndex((time) => time >= this.#now - this.#span), last, start: last };
    });
  }

  #series(each) {
    const { colour: name } = each;
    const stroke = () => colour(name);
    // Only the first is an area: it stays visible behind a line that runs exactly along its edge.
    const fill = each === this.#chart.series[0] ? () => `${colour(name)}24` : undefined;
    return { stroke, fill, width: 1.75, points: { show: true, size: 4, filter: isolated }, spanGaps: false };
  }

  /** `columns` of the chosen server, with `times` in milliseconds. */
  update(times, columns, span) {
    this.#span = span;
    this.#now = (times.at(-1) ?? Date.now()) / 1000;
    const data = this.#chart.series.map(({ column }) => columns[column]);
    this.#plot.setData([times.map((time) => time / 1000), ...data]);
    this.#tell();
  }

  /** New colours. */
  redraw() {
    this.#plot.redraw(false);
  }

  // The legend: under the cursor, or the latest.
  #tell() {
    const [times, ...columns] = this.#plot.data;
    const pointed = this.#plot.cursor.left >= 0 ? this.#plot.cursor.idx : null;
    const at = pointed ?? times.length - 1;
    const texts = columns.map((column) => this.#chart.text(column[at]));
    texts.forEach((text, i) => {
      this.#parts.values[i].textContent = text;
    });
    const { title, series } = this.#chart;
    const when = pointed === null ? '' : ` at ${format.clock(times[at])}`;
    const said = series.map(({ label }, i) => `${label} ${texts[i]}`).join(', ');
    this.#parts.plot.setAttribute('aria-label', `${title}${when}: ${said}`);
  }
}
