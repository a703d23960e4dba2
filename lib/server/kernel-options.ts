// The option `kernel` of servers, checked: docs/kernel.md.
import { backend } from '../backend/load.js';
import * as errors from '../base/errors.js';
import { refuseUnknown } from '../base/known-keys.js';
import { validateBoolean, validateObject, validateOneOf } from '../base/validate.js';

/** Where and how a server's rules are answered in the kernel (docs/kernel.md). */
export interface KernelOptions {
  /** Names of network interfaces, also of some that will come. Default: all that have an address of the server's. */
  interfaces?: readonly string[];
  /** `native`: by the interface's driver, before there is a socket buffer. `generic`: by the kernel's network stack, on every
   * Ethernet interface and `lo`. `auto`, the default: native, or else generic; of virtual cables (veth) generic. */
  mode?: 'auto' | 'native' | 'generic';
  /** start() rejects with the kernel's error code (EPERM, EBUSY, ENODEV, …) where not all of these interfaces answer, and names
   * what is missing. Default false: the thread answers alone. */
  required?: boolean;
}

export interface CheckedKernel {
  interfaces: string[];
  mode: number;
  required: boolean;
}

/** As the native enum Mode. */
export const MODES = ['auto', 'native', 'generic'] as const;
const NAME_BYTES_MAX = 15; // IFNAMSIZ
const INTERFACES_MAX = 1024;

function checkName(name: unknown, what: string): string {
  if (typeof name !== 'string') throw errors.invalidArgType(what, 'of type string', name);
  if (name === '' || Buffer.byteLength(name) > NAME_BYTES_MAX || /[\s/:]/.test(name)) {
    throw errors.invalidArgValue(what, name, 'must be the name of a network interface');
  }
  return name;
}

function checkInterfaces(interfaces: unknown): string[] {
  const what = 'options.kernel.interfaces';
  if (interfaces === undefined) return [];
  if (!Array.isArray(interfaces)) throw errors.invalidArgType(what, 'an instance of Array', interfaces);
  if (interfaces.length < 1 || interfaces.length > INTERFACES_MAX) {
    throw errors.outOfRange(`${what}.length`, `>= 1 && <= ${INTERFACES_MAX}`, interfaces.length);
  }
  return [...new Set(Array.from(interfaces, (name, i) => checkName(name, `${what}[${i}]`)))];
}

/** Undefined: it is off.
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE, ERR_KSOCKET_NEEDS_ADDON */
export function checkKernel(kernel: unknown): CheckedKernel | undefined {
  if (kernel === undefined || kernel === false) return undefined;
  const given: KernelOptions = kernel === true ? {} : (kernel as KernelOptions);
  if (typeof given !== 'object') {
    throw errors.invalidArgType('options.kernel', 'of type boolean or an instance of Object', kernel);
  }
  validateObject(given, 'options.kernel');
  refuseUnknown(given, 'options.kernel', ['interfaces', 'mode', 'required']);
  const { mode = 'auto', required = false } = given;
  validateOneOf(mode, 'options.kernel.mode', MODES);
  validateBoolean(required, 'options.kernel.required');
  const interfaces = checkInterfaces(given.interfaces);
  if (backend === 'dgram') throw errors.needsAddon('options.kernel');
  return { interfaces, mode: MODES.indexOf(mode), required };
}
