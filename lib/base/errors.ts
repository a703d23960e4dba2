// Errors as Node makes them: the same classes, codes, properties and wording, so that code which handles
// node:dgram's errors handles these.
import { getSystemErrorMap, type InspectOptions, inspect } from 'node:util';
import { nextTick } from './runtime.js';

type ErrorClass = new (message: string) => Error;

/** Makes the constructor's stack start at the caller, with the code beside the name, as Node's own errors do. */
function coded<T extends Error>(
  Class: new (message: string) => T,
  code: string,
  message: string,
): T & { code: string } {
  const error = new Class(message) as T & { code: string };
  const name = error.name;
  Object.defineProperty(error, 'name', {
    value: `${name} [${code}]`,
    configurable: true,
    enumerable: false,
    writable: true,
  });
  void error.stack; // reading it formats the stack, with the name above
  delete (error as { name?: string }).name;
  error.code = code;
  Object.defineProperty(error, 'toString', { value: toStringWithCode, configurable: true, writable: true });
  return error;
}

function toStringWithCode(this: Error & { code: string }): string {
  return `${this.name} [${this.code}]: ${this.message}`;
}

function define(Class: ErrorClass, code: string, message: (...args: never[]) => string) {
  return (...args: unknown[]) => coded(Class, code, (message as (...args: unknown[]) => string)(...args));
}

/** The end of ERR_INVALID_ARG_TYPE's message: " Received type number (5)". Node words it differently from version to
 * version, so Node says it: the one function here refuses what is no function, the other what is one. */
export function received(value: unknown): string {
  try {
    if (typeof value === 'function') Buffer.byteLength(value as never);
    else nextTick(value as never);
  } catch (error) {
    const { message } = error as Error;
    const at = message.indexOf(' Received ');
    if (at >= 0) return message.slice(at);
  }
  return ` Received ${inspect(value, { depth: -1 })}`; // a runtime whose messages do not say it
}

type Kind = 'property' | 'argument';

function kindOf(name: string): Kind {
  return name.includes('.') ? 'property' : 'argument';
}

export function invalidArgType(name: string, expected: string, value: unknown, kind = kindOf(name)): Error {
  return coded(TypeError, 'ERR_INVALID_ARG_TYPE', `The "${name}" ${kind} must be ${expected}.${received(value)}`);
}

export function invalidArgValue(name: string, value: unknown, reason: string, kind = kindOf(name)): Error {
  return coded(TypeError, 'ERR_INVALID_ARG_VALUE', `The ${kind} '${name}' ${reason}. Received ${inspect(value)}`);
}

// Node writes large integers in groups of three digits: 1_099_511_627_776.
function separated(value: unknown): string {
  const large = typeof value === 'bigint' || (Number.isInteger(value) && Math.abs(value as number) > 2 ** 32);
  return large ? String(value).replace(/\B(?=(\d{3})+$)/g, '_') : inspect(value);
}

export function outOfRange(name: string, range: string, value: unknown): Error {
  return coded(
    RangeError,
    'ERR_OUT_OF_RANGE',
    `The value of "${name}" is out of range. It must be ${range}. Received ${separated(value)}`,
  );
}

export function badPort(name: string, value: unknown, allowZero: boolean): Error {
  const operator = allowZero ? '>=' : '>';
  return coded(RangeError, 'ERR_SOCKET_BAD_PORT', `${name} should be ${operator} 0 and < 65536.${received(value)}.`);
}

export const missingArgument = define(
  TypeError,
  'ERR_MISSING_ARGS',
  (name: string) => `The "${name}" argument must be specified`,
);
export const invalidFdType = define(TypeError, 'ERR_INVALID_FD_TYPE', (type: string) => `Unsupported fd type: ${type}`);
export const ipBlocked = define(Error, 'ERR_IP_BLOCKED', (ip: string) => `IP(${ip}) is blocked by net.BlockList`);
export const badType = define(
  TypeError,
  'ERR_SOCKET_BAD_TYPE',
  () => 'Bad socket type specified. Valid types are: udp4, udp6',
);
export const badBufferSize = define(
  TypeError,
  'ERR_SOCKET_BAD_BUFFER_SIZE',
  () => 'Buffer size must be a positive integer',
);
export const alreadyBound = define(Error, 'ERR_SOCKET_ALREADY_BOUND', () => 'Socket is already bound');
export const isConnected = define(Error, 'ERR_SOCKET_DGRAM_IS_CONNECTED', () => 'Already connected');
export const notConnected = define(Error, 'ERR_SOCKET_DGRAM_NOT_CONNECTED', () => 'Not connected');
export const notRunning = define(Error, 'ERR_SOCKET_DGRAM_NOT_RUNNING', () => 'Not running');
export const bufferOutOfBounds = define(
  RangeError,
  'ERR_BUFFER_OUT_OF_BOUNDS',
  (name: string) => `"${name}" is outside of buffer bounds`,
);

// libuv's names and words for error numbers. Node makes the map anew each time it is asked.
let systemErrors: ReturnType<typeof getSystemErrorMap> | undefined;
function systemError(errno: number): [name: string, message: string] | undefined {
  systemErrors ??= getSystemErrorMap();
  return systemErrors.get(errno);
}

function errnoName(errno: number): string {
  return systemError(errno)?.[0] ?? `Unknown system error ${errno}`;
}

/** The same error, with what it is about before its message: `rules[3] "dns": The value of …` */
export function withContext(error: Error, context: string): Error {
  const { message, stack } = error;
  error.message = `${context}: ${message}`;
  // The stack has been formatted. Its first line ends with the message.
  if (stack !== undefined) error.stack = stack.replace(message, () => error.message);
  return error;
}

/** An error of a system call. `errno` is negative, as in libuv. */
export interface SystemCallError extends Error {
  errno: number;
  code: string;
  syscall: string;
  address?: string | null;
  port?: number;
}

/** `recvmsg ECONNREFUSED` */
export function errnoException(errno: number, syscall: string): SystemCallError {
  const code = errnoName(errno);
  return Object.assign(new Error(`${syscall} ${code}`), { errno, code, syscall });
}

/** What is wrong with an option that the kernel refuses: what is needed, where we may not, else the system's own words. */
export function refusalReason(errno: number, needs?: string): string {
  const [name, message] = systemError(errno) ?? [errnoName(errno), 'unknown error'];
  const mayNot = name === 'EPERM' || name === 'EACCES' || needs?.startsWith('Linux ');
  return needs !== undefined && mayNot ? `needs ${needs}` : `is refused: ${message}`;
}

/** `setsockopt EPERM: options.mark 7 (SO_MARK) needs CAP_NET_ADMIN` */
export function optionRefused(errno: number, syscall: string, what: string, reason: string): SystemCallError {
  const code = errnoName(errno);
  const message = `${syscall} ${code}: ${what} ${reason}`;
  return Object.assign(new Error(message), { errno, code, syscall });
}

/** `EBUSY: another program is attached` */
export function because(errno: number, reason: string): string {
  return `${errnoName(errno)}: ${reason}`;
}

/** `EPERM: needs CAP_NET_ADMIN` */
export function featureMissing(errno: number, needs?: string): string {
  return because(errno, refusalReason(errno, needs));
}

/** The kernel, or a sandbox around the process, lacks what each engine needs. */
export function noEngine(errno: number, needs: string): Error {
  const code = errnoName(errno);
  const message = `The kernel, or a sandbox around the process, refuses system calls that ksocket needs: ${code} (${needs})`;
  return Object.assign(new Error(message), { errno, code });
}

/** `bind EADDRINUSE 127.0.0.1:2325` */
export function exceptionWithHostPort(
  errno: number,
  syscall: string,
  address: string | null | undefined,
  port?: unknown,
): SystemCallError {
  const code = errnoName(errno);
  let details = '';
  if (port && (port as number) > 0) details = ` ${address}:${port}`;
  else if (address) details = ` ${address}`;
  const error: SystemCallError = Object.assign(new Error(`${syscall} ${code}${details}`), {
    errno,
    code,
    syscall,
    address,
  });
  if (port) error.port = port as number;
  return error;
}

export const invalidState = define(Error, 'ERR_INVALID_STATE', (message: string) => `Invalid state: ${message}`);

/** A shared object that is no handler, in the words of dlopen(3) or of whoever refused it. */
export const dlopenFailed = define(Error, 'ERR_DLOPEN_FAILED', (reason: string) => reason);

function withCause(error: Error, cause: unknown): Error {
  return Object.defineProperty(error, 'cause', { value: cause, configurable: true, writable: true });
}

/** The addon may not be loaded. */
export const addonsAreOff = (cause: unknown): Error =>
  withCause(
    coded(
      Error,
      'ERR_KSOCKET_ADDONS_OFF',
      'ksocket is an addon, and Node loads none with --no-addons, or --permission and no --allow-addons; ' +
        'KSOCKET_BACKEND=dgram does without it',
    ),
    cause,
  );

/** There is a file, which dlopen(3) refuses. */
export const addonFails = (file: string, cause: Error): Error =>
  withCause(
    coded(
      Error,
      'ERR_KSOCKET_ADDON_FAILS',
      `ksocket's addon ${file} does not load: ${cause.message}; "npx ksocket build" makes one for this machine`,
    ),
    cause,
  );

export const addonStale = define(
  Error,
  'ERR_KSOCKET_ADDON_STALE',
  (file: string) =>
    `ksocket's addon ${file} was built from other sources than the JavaScript; run "npm run build", or "npx ksocket build"`,
);

/** The package is whole, and has nothing for this platform. */
export const noAddon = define(
  Error,
  'ERR_KSOCKET_NO_ADDON',
  (target: string, others: string[], checkout: boolean) =>
    `ksocket has no addon for ${target} (${others.length > 0 ? `only for ${others.join(', ')}` : 'none is built'}); ` +
    (checkout ? '"npm run build:native" makes it' : '"npx ksocket build" makes one where there is a C++ compiler'),
);

/** The JavaScript was taken out of its package. */
export const notBundled = define(
  Error,
  'ERR_KSOCKET_NOT_BUNDLED',
  (target: string, advice: string) =>
    `ksocket was bundled without its addon: ${advice}; or put prebuilds/${target}/ksocket.node of the package beside the ` +
    'bundle, or name that file in KSOCKET_ADDON',
);

/** The same, on a platform without an addon, or where none is wanted. */
export const fallbackNotBundled = define(
  Error,
  'ERR_KSOCKET_NOT_BUNDLED',
  () => 'ksocket was bundled without its backend on node:dgram: keep ksocket out of it (rollup: external: ["ksocket"])',
);

/** What Node's permission model says to a bind without --allow-net. */
export function accessDenied(syscall: string, address: string): Error {
  const code = 'ERR_ACCESS_DENIED';
  const message = 'Access to this API has been restricted. Use --allow-net to manage permissions.';
  const errno = Object.assign(new Error(message), { code, permission: 'Net', resource: address });
  return Object.assign(new Error(`${syscall} ${code} ${message}`), { errno, code, syscall, address });
}

/** What the service manager has put into the environment is not what sd-daemon(3) says. */
export const badEnvironment = define(
  Error,
  'ERR_KSOCKET_SYSTEMD',
  (name: string, value: string, reason: string) =>
    `The environment variable ${name} ${reason}. Received ${inspect(value)}`,
);

/** What only the addon can do is asked of sockets that are node:dgram's. */
export const needsAddon = define(
  Error,
  'ERR_KSOCKET_NEEDS_ADDON',
  (what: string) => `${what} needs ksocket's addon, and the backend is node:dgram (docs/backends.md)`,
);

class SystemError extends Error {
  override name = 'SystemError';

  [inspect.custom](_depth: number, options: InspectOptions): string {
    return inspect(this, { ...options, getters: true, customInspect: false });
  }
}

/** What getting or setting a buffer size reports: Node's SystemError, with its `info`. */
export function bufferSizeError(errno: number, syscall: string): Error {
  const [code, message] = systemError(errno) ?? [`${errno}`, 'unknown error'];
  const info: Record<string, unknown> = { errno, code, message, syscall };
  const accessor = (name: string): PropertyDescriptor => ({
    get: () => info[name],
    set: (value) => {
      info[name] = value;
    },
    enumerable: true,
    configurable: true,
  });
  const error = coded(
    SystemError,
    'ERR_SOCKET_BUFFER_SIZE',
    `Could not get or set buffer size: ${syscall} returned ${code} (${message})`,
  );
  return Object.defineProperties(error, {
    name: { value: 'SystemError', configurable: true, writable: true },
    info: { value: info, enumerable: true, configurable: true },
    errno: accessor('errno'),
    syscall: accessor('syscall'),
  });
}
