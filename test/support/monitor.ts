// Asking a monitor.
import { request } from 'node:http';
import type { Monitor } from 'ksocket/monitor';

export interface Reply {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: string;
}

export interface Asking {
  method?: string;
  headers?: Record<string, string>;
  host?: string;
}

/** One request on a connection of its own. */
export function ask(port: number, path: string, asking: Asking = {}): Promise<Reply> {
  const { method = 'GET', headers = {}, host = '127.0.0.1' } = asking;
  return new Promise((resolve, reject) => {
    const asked = request({ host, port, path, method, headers, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text) => {
        body += text;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }));
      response.on('error', reject);
    });
    asked.on('error', reject).end();
  });
}

export function portOf(monitor: Monitor): number {
  const address = monitor.address();
  if (address === null) throw new Error('the monitor does not run');
  return address.port;
}

// biome-ignore lint/suspicious/noExplicitAny: any JSON
export async function askJson(port: number, path: string): Promise<any> {
  return JSON.parse((await ask(port, path)).body);
}

export interface Metric {
  type: string;
  help: string;
  samples: { name: string; labels: Record<string, string>; value: number }[];
}

/** Prometheus' text format, version 0.0.4; throws at a line that is none. */
export function parseMetrics(text: string): Map<string, Metric> {
  const metrics = new Map<string, Metric>();
  if (!text.endsWith('\n')) throw new Error('the last line does not end');
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const comment = /^# (HELP|TYPE) ([a-zA-Z_:][\w:]*) (.+)$/.exec(line);
    if (comment) {
      const [, kind, name, rest] = comment;
      const metric = metrics.get(name) ?? { type: '', help: '', samples: [] };
      if (kind === 'HELP') metric.help = rest;
      else metric.type = rest;
      metrics.set(name, metric);
      continue;
    }
    const sample = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (!sample) throw new Error(`not a sample: ${line}`);
    const [, name, labelText = '', value] = sample;
    const labels = Object.fromEntries([...labelText.matchAll(/(\w+)="([^"]*)"/g)].map(([, key, text]) => [key, text]));
    const family = metrics.get(name) ?? metrics.get(name.replace(/_(bucket|sum|count)$/, ''));
    if (!family) throw new Error(`${name} comes before its type`);
    family.samples.push({ name, labels, value: value === '+Inf' ? Infinity : Number(value) });
  }
  return metrics;
}
