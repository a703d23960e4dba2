// What `ksocket compare` measures: a program under test (of either library) and the load it gets.

/** The two libraries that are compared. */
export const libraries = ['ksocket', 'dgram'] as const;
export type Library = (typeof libraries)[number];

/** How a child process is told what to be: see peer.ts. */
export interface PeerOptions {
  role: 'receive' | 'send' | 'send-callback' | 'echo' | 'blocked' | 'flood' | 'paced' | 'ping' | 'sink';
  library: Library;
  port?: number;
  /** Payload bytes. */
  bytes?: number;
  /** Does the flood let the kernel split super-datagrams (GSO)? */
  gso?: boolean;
  /** Datagrams a second. */
  rate?: number;
}

/** What a child reports of the measured time. */
export interface PeerReport {
  count: number;
  seconds: number;
  cpuMicros: number;
  /** Microseconds, of `ping`. */
  p50?: number;
}

export interface Scenario {
  name: string;
  /** What is under test, and what makes it work. */
  subject: Omit<PeerOptions, 'library'>;
  load: PeerOptions;
  /** Whose report counts. */
  measured: 'subject' | 'load';
  unit: 'rate' | 'p50' | 'lost';
}

export const scenarios: Scenario[] = [
  {
    name: 'receive 64 B',
    subject: { role: 'receive' },
    load: { role: 'flood', library: 'ksocket', bytes: 64, gso: false },
    measured: 'subject',
    unit: 'rate',
  },
  {
    name: 'receive 64 B, sender with GSO',
    subject: { role: 'receive' },
    load: { role: 'flood', library: 'ksocket', bytes: 64, gso: true },
    measured: 'subject',
    unit: 'rate',
  },
  {
    name: 'receive 1400 B, sender with GSO',
    subject: { role: 'receive' },
    load: { role: 'flood', library: 'ksocket', bytes: 1400, gso: true },
    measured: 'subject',
    unit: 'rate',
  },
  {
    name: 'send to one peer (sendMany)',
    subject: { role: 'send', bytes: 64 },
    load: { role: 'sink', library: 'ksocket' },
    measured: 'subject',
    unit: 'rate',
  },
  {
    name: 'send() with callbacks, 64 at a time',
    subject: { role: 'send-callback', bytes: 64 },
    load: { role: 'sink', library: 'ksocket' },
    measured: 'subject',
    unit: 'rate',
  },
  {
    name: 'echo in JavaScript, round trip',
    subject: { role: 'echo' },
    load: { role: 'ping', library: 'dgram', bytes: 64 },
    measured: 'load',
    unit: 'p50',
  },
  {
    name: 'loop blocked 500 ms at 100 000/s',
    subject: { role: 'blocked' },
    load: { role: 'paced', library: 'ksocket', bytes: 64, rate: 100_000 },
    measured: 'subject',
    unit: 'lost',
  },
];
