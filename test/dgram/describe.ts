// Values as they stand in a trace: plain, and without what differs from run to run.
import { inspect } from 'node:util';

/** The ports that have a name of their own. */
export type PortNames = ReadonlyMap<number, string>;

/** Where the kernel's free choice begins (net.ipv4.ip_local_port_range). */
const EPHEMERAL_PORT_MIN = 32_768;

// biome-ignore lint/suspicious/noExplicitAny: errors have what they like
type Any = any;

/** `sockets` stand in it by their number. */
export function describeValue(value: unknown, sockets: readonly unknown[], ports: PortNames): unknown {
  const portName = (port: number) => ports.get(port) ?? (port >= EPHEMERAL_PORT_MIN ? '<port>' : port);
  const text = (given: string) => given.replaceAll(/:(\d{4,5})\b/g, (_, port) => `:${portName(Number(port))}`);
  const describe = (given: Any, key: string): unknown => {
    if (sockets.includes(given)) return `socket ${sockets.indexOf(given)}`;
    if (given instanceof Error) return error(given as Any);
    if (typeof given === 'string') return text(given);
    if (typeof given === 'number') return key === 'port' ? portName(given) : Object.is(given, -0) ? '-0' : given;
    if (Buffer.isBuffer(given)) {
      return given.length > 100
        ? `Buffer of ${given.length} bytes`
        : `Buffer ${JSON.stringify(given.toString('latin1'))}`;
    }
    if (Array.isArray(given)) return given.map((one) => describe(one, ''));
    if (given !== null && typeof given === 'object') {
      const prototype = Object.getPrototypeOf(given);
      const name = prototype === null ? 'null' : prototype === Object.prototype ? '' : prototype.constructor.name;
      // In their order: it shows in JSON and in console.log.
      return [`{${name}}`, ...Object.entries(given).map(([k, one]) => [k, describe(one, k)])];
    }
    return given === undefined
      ? 'undefined'
      : typeof given === 'number' || given === null
        ? given
        : text(inspect(given));
  };
  const error = (given: Any) => ({
    is: Object.prototype.toString.call(given),
    class: [TypeError, RangeError, Error].find((Class) => given instanceof Class)?.name,
    string: text(String(given)),
    stack: text(String(given.stack).split('\n')[0]),
    name: given.name,
    message: text(given.message),
    own: Object.entries(given).map(([key, one]) => [key, describe(one, key)]),
    errno: describe(given.errno, 'errno'),
    syscall: describe(given.syscall, 'syscall'),
    info: describe(given.info, 'info'),
  });
  return describe(value, '');
}
