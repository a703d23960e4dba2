// What keeps a server from answering answers, as users say it: docs/protection.md, "Loops".
import * as errors from '../base/errors.js';
import { refuseUnknown } from '../base/known-keys.js';
import { validateInteger, validateObject, validatePort } from '../base/validate.js';

/** How much a server answers a peer that says the same again and again. */
export interface RepeatLimit {
  /** Answers a second over time, a whole number from 1 to 1 000 000 000; 100 by default. */
  rate?: number;
  /** Answers at once, a whole number from 1 to 1 000 000 000; 16 384 by default. */
  burst?: number;
}

/** What keeps a server from answering answers (docs/protection.md, "Loops"). */
export interface LoopOptions {
  /** Source ports that get no answer, as what sends from them answers whatever it gets: `true` for 7, 13, 17, 19, 37,
   * 53, 69 and 123, or an array of ports. By default it is those for echoes only; `false`: none. */
  servicePorts?: boolean | readonly number[];
  /** For each source address and port whose payloads repeat; `false`: no limit. */
  repeats?: RepeatLimit | false;
}

/** What native code is told. */
export interface CheckedLoops {
  readonly servicePorts: number[];
  readonly servicesGetReplies: boolean;
  readonly repeats: Required<RepeatLimit> | undefined;
}

/** Echo (RFC 862), daytime, quote of the day, chargen and time (RFC 867, 865, 864, 868) answer every datagram; of DNS,
 * TFTP and NTP there are servers that answer an error with an error (CVE-2024-2169, CVE-2009-3563). */
const SERVICE_PORTS = [7, 13, 17, 19, 37, 53, 69, 123];
const PORTS_MAX = 1024;
const RATE_MAX = 1_000_000_000; // as RateLimit::kMax
const REPEATS_RATE = 100;
const REPEATS_BURST = 16_384;

function checkPorts(ports: unknown): number[] {
  if (ports === undefined || ports === true) return SERVICE_PORTS;
  if (ports === false) return [];
  if (!Array.isArray(ports)) {
    throw errors.invalidArgType('options.loops.servicePorts', 'of type boolean or an instance of Array', ports);
  }
  if (ports.length > PORTS_MAX) {
    throw errors.outOfRange('options.loops.servicePorts.length', `<= ${PORTS_MAX}`, ports.length);
  }
  return Array.from(ports, (port, i) => validatePort(port, `options.loops.servicePorts[${i}]`, false));
}

function checkRepeats(repeats: unknown): Required<RepeatLimit> | undefined {
  if (repeats === false) return undefined;
  const name = 'options.loops.repeats';
  const given: RepeatLimit = repeats === undefined ? {} : (repeats as RepeatLimit);
  validateObject(given, name);
  refuseUnknown(given, name, ['rate', 'burst']);
  const { rate = REPEATS_RATE, burst = REPEATS_BURST } = given;
  validateInteger(rate, `${name}.rate`, 1, RATE_MAX);
  validateInteger(burst, `${name}.burst`, 1, RATE_MAX);
  return { rate, burst };
}

/** Undefined: there is no guard at all.
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE (an unknown key), ERR_OUT_OF_RANGE, ERR_SOCKET_BAD_PORT */
export function checkLoops(loops: unknown = {}): CheckedLoops | undefined {
  if (loops === false) return undefined;
  validateObject(loops, 'options.loops');
  refuseUnknown(loops, 'options.loops', ['servicePorts', 'repeats']);
  const { servicePorts, repeats } = loops as { servicePorts?: unknown; repeats?: unknown };
  return {
    servicePorts: checkPorts(servicePorts),
    servicesGetReplies: servicePorts === undefined,
    repeats: checkRepeats(repeats),
  };
}
