// Puts the page together: what is chosen, what is shown, and what is said when the monitor does not answer.
import { CHARTS, COLLECTOR_CHARTS, TimeChart } from '/charts.js';
import { Figures } from '/figures.js';
import * as format from '/format.js';
import { LatencyChart } from '/latency.js';
import { Source } from '/source.js';

const $ = (id) => document.getElementById(id);
const charts = [];
let latencyChart;
let figures;
let span = 60;
let chosen = 0;
let paused = false;

const source = new Source(onNews, onSilence);
for (const chart of CHARTS) {
  if (chart.latency) latencyChart = new LatencyChart($('charts'));
  else charts.push(new TimeChart(chart, $('charts')));
}
void source.poll();

function onNews() {
  showHealth(source.stats.health);
  showServers(source.stats.servers);
  if (!paused) show();
}

function show() {
  const { stats, history } = source;
  if (stats === undefined) return;
  if (figures === undefined && stats.servers.some(({ collector }) => collector !== null)) {
    for (const chart of COLLECTOR_CHARTS) charts.push(new TimeChart(chart, $('charts')));
  }
  figures ??= new Figures($('tiles'), $('tables'), source.counters);
  const server = stats.servers[chosen];
  figures.update(server, stats);
  const columns = { ...history.servers[chosen].samples, lagMs: history.lagMs };
  for (const chart of charts) chart.update(history.times, columns, span);
  latencyChart.update(server.latency);
  $('since').textContent = `of ${server.name}, since it started`;
  $('about').textContent = `ksocket ${stats.version}, process ${stats.pid}, up ${format.duration(stats.uptime)}`;
}

// A live region speaks whenever it is written to, so only changes are written.
function write(place, text) {
  if (place.textContent !== text) place.textContent = text;
}

function showHealth({ status, reasons }) {
  const pill = $('health');
  pill.dataset.status = status;
  write(pill, status === 'ok' ? 'Healthy' : 'Unhealthy');
  $('notice').hidden = reasons.length === 0;
  const sentence = reasons.join('; ');
  write($('notice'), sentence && `${sentence[0].toUpperCase()}${sentence.slice(1)}.`);
}

function onSilence(error) {
  const pill = $('health');
  pill.dataset.status = 'silent';
  write(pill, 'No answer');
  $('notice').hidden = false;
  write($('notice'), 'The monitor does not answer. The process may have ended; asking again every second.');
  if (!(error instanceof TypeError) && error.name !== 'TimeoutError') console.error(error);
}

function showServers(servers) {
  const list = $('server');
  $('pick').hidden = servers.length < 2;
  servers.forEach(({ name, running }, i) => {
    const option = list.options[i] ?? list.appendChild(new Option());
    const text = running ? name : `${name} (stopped)`;
    if (option.text !== text) option.text = text;
    option.value = i;
  });
}

$('server').addEventListener('change', (event) => {
  chosen = Number(event.target.value);
  show();
});
for (const button of document.querySelectorAll('[data-span]')) {
  button.addEventListener('click', () => {
    span = Number(button.dataset.span);
    for (const each of document.querySelectorAll('[data-span]')) each.setAttribute('aria-pressed', each === button);
    show();
  });
}
$('pause').addEventListener('click', () => {
  paused = !paused;
  $('pause').setAttribute('aria-pressed', paused);
  if (!paused) show();
});
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  for (const chart of [...charts, latencyChart]) chart.redraw();
});
