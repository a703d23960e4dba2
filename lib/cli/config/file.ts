// The file of `ksocket serve --config`: docs/configuration.md.
import { readFileSync } from 'node:fs';
import { refuseUnknown } from '../../base/known-keys.js';
import { validateBoolean, validateHost, validateObject, validatePort } from '../../base/validate.js';
import { SERVER_KEYS, type ServerOptions } from '../../server/options.js';
import { createServer } from '../../server/server.js';
import { withBytes } from './bytes.js';
import { parseJsonc } from './jsonc.js';

/** What `ksocket serve` is to do. */
export interface ServeConfig {
  server: ServerOptions;
  quiet: boolean;
  monitor: { host?: string; port: number } | undefined;
}

const KEYS = [...SERVER_KEYS, 'quiet', 'monitor', '$schema'];
/** In these texts and objects stand for bytes. */
const WITH_BYTES = ['reply', 'rules'] as const;

/** Undefined: it cannot be read. */
export function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** Reads it, and checks all that can be checked without opening anything, as createServer() does.
 * @throws what is wrong, beginning with the file, and of an error of syntax the line and the column */
export function readConfig(path: string): ServeConfig {
  const bytes = readFileSync(path); // names the file
  let problem: Error;
  try {
    return checkConfig(parseJsonc(decode(bytes)));
  } catch (error) {
    problem = error as Error;
  }
  const separator = /^\d+:\d+: /.test(problem.message) ? ':' : ': ';
  throw new Error(`${path}${separator}${problem.message}`, { cause: problem });
}

/** Else what is not UTF-8 would be answered as something else. */
function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new Error('is not UTF-8');
  }
}

function checkConfig(value: unknown): ServeConfig {
  validateObject(value, 'options');
  refuseUnknown(value, 'options', KEYS);
  const { quiet = false, monitor, $schema: _, ...server } = value as Record<string, unknown>;
  validateBoolean(quiet, 'options.quiet');
  for (const key of WITH_BYTES) if (key in server) server[key] = withBytes(server[key], nameOf(key));
  createServer(server as ServerOptions); // which is not started
  return { server: server as ServerOptions, quiet, monitor: checkMonitor(monitor) };
}

/** As the API calls it. */
function nameOf(key: (typeof WITH_BYTES)[number]): string {
  return key === 'rules' ? 'rules' : `options.${key}`;
}

function checkMonitor(monitor: unknown): ServeConfig['monitor'] {
  if (monitor === undefined) return undefined;
  validateObject(monitor, 'options.monitor');
  refuseUnknown(monitor, 'options.monitor', ['host', 'port']);
  const { host, port = 0 } = monitor as { host?: unknown; port?: unknown };
  if (host !== undefined) validateHost(host, 'options.monitor.host');
  return { host: host as string | undefined, port: validatePort(port, 'options.monitor.port', true) };
}
