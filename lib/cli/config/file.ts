// The file of `ksocket serve --config`: docs/configuration.md.
import { closeSync, constants, fstatSync, openSync, readSync, type Stats, statSync } from 'node:fs';
import * as errors from '../../base/errors.js';
import { refuseUnknown } from '../../base/known-keys.js';
import { validateBoolean, validateHost, validateObject, validatePort, validateString } from '../../base/validate.js';
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
/** What rules need to be answered by. */
const ANSWERING = ['rules', 'otherwise', 'allow', 'deny', 'limits', 'loops'] as const;

/** As much as lists of two million addresses take. */
const BYTES_MAX = 256 * 1024 * 1024;
const CHUNK_BYTES = 64 * 1024;

/** Undefined: it cannot be read. */
export function textOf(path: string): string | undefined {
  try {
    return Buffer.from(bytesOf(path, true)).toString();
  } catch {
    return undefined;
  }
}

/** `again`: nothing may hold up what runs already, as a pipe could that nobody writes to.
 * @throws what names the file */
function bytesOf(path: string, again: boolean): Uint8Array {
  const check = (stat: Stats) => {
    if (stat.isDirectory()) throw new Error(`${path}: is a directory`);
    if (again && !stat.isFile()) throw new Error(`${path}: is no regular file, which could be read again`);
  };
  check(statSync(path)); // who writes to a pipe would notice that it is opened
  const fd = openSync(path, again ? constants.O_RDONLY | constants.O_NONBLOCK : constants.O_RDONLY);
  try {
    check(fstatSync(fd));
    return readAll(path, fd);
  } finally {
    closeSync(fd);
  }
}

function readAll(path: string, fd: number): Uint8Array {
  const chunks: Uint8Array[] = [];
  for (let bytes = 0; bytes <= BYTES_MAX; ) {
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    const got = readSync(fd, chunk);
    if (got === 0) return Buffer.concat(chunks);
    chunks.push(chunk.subarray(0, got));
    bytes += got;
  }
  throw new Error(`${path}: has more than ${BYTES_MAX} bytes`);
}

/** Reads it, and checks all that can be checked without opening anything, as createServer() does. `again`: not for the first time.
 * @throws what is wrong, beginning with the file, and of an error of syntax the line and the column */
export function readConfig(path: string, again = false): ServeConfig {
  return readChecked(path, again, checkConfig);
}

/** Of a file that is an array of rules, or an object of options as that of `--config`: how it answers, and whom; and `more`.
 * @throws as readConfig() */
export function readRules(path: string, ...more: (keyof ServerOptions)[]): ServerOptions {
  return readChecked(path, false, (value) => {
    const { server } = checkConfig(Array.isArray(value) ? { rules: value } : value);
    if (server.rules === undefined) throw new Error('has no rules');
    return Object.fromEntries([...ANSWERING, ...more].map((key) => [key, server[key]]));
  });
}

function readChecked<Checked>(path: string, again: boolean, check: (value: unknown) => Checked): Checked {
  const bytes = bytesOf(path, again);
  let problem: Error;
  try {
    return check(parseJsonc(decode(bytes)));
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
  const { quiet = false, monitor, $schema = '', ...server } = value as Record<string, unknown>;
  validateString($schema, 'options.$schema');
  validateBoolean(quiet, 'options.quiet');
  checkPorts(value, 'options');
  for (const key of WITH_BYTES) if (key in server) server[key] = withBytes(server[key], nameOf(key));
  createServer(server as ServerOptions); // which is not started
  return { server: server as ServerOptions, quiet, monitor: checkMonitor(monitor) };
}

/** A port may be a text, of which the API takes whatever is a number to JavaScript; here, and in the schema, it has digits only.
 * @throws ERR_SOCKET_BAD_PORT */
function checkPorts(value: unknown, name: string): void {
  if (value === null || typeof value !== 'object') return;
  const isList = Array.isArray(value);
  for (const [key, one] of Object.entries(value)) {
    const path = isList ? `${name}[${key}]` : `${name}.${key}`;
    const isPort = key === 'port' || (isList && name.endsWith('.servicePorts'));
    if (isPort && typeof one === 'string' && !/^\d+$/.test(one)) {
      throw errors.badPort(path, one, path === 'options.port' || path === 'options.monitor.port');
    }
    checkPorts(one, path);
  }
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
