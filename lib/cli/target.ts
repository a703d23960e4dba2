// Where `ksocket collect` puts what it receives, and where `ksocket consume` takes it from, as people type it.
import { type Command, InvalidArgumentError } from 'commander';
import type { NatsOptions } from '../collect/index.js';

/** What `--to` has said. */
export type Target = { kind: 'nats'; servers: string[] } | { kind: 'files'; dir: string } | { kind: 'lines' };

const SCHEMES = ['nats:', 'tls:'];
const EXPECTED = 'expected nats://HOST:PORT, several with commas between them';

/** `nats://a:4222,b:4222`: what has no scheme has the first one's. */
export function parseServers(text: string): string[] {
  const [first] = text.split('://');
  return text.split(',').map((part) => {
    const server = part.includes('://') ? part : `${first}://${part}`;
    const url = URL.canParse(server) ? new URL(server) : undefined;
    if (url === undefined || !SCHEMES.includes(url.protocol) || url.hostname === '')
      throw new InvalidArgumentError(`${EXPECTED}.`);
    if (url.username !== '' || url.password !== '')
      throw new InvalidArgumentError('who asks is said by NATS_USER and NATS_PASSWORD, NATS_TOKEN, or --credentials.');
    return server;
  });
}

export function parseTarget(text: string): Target {
  if (text === '-') return { kind: 'lines' };
  if (text.includes('://')) return { kind: 'nats', servers: parseServers(text) };
  if (text === '' || text.includes('\0'))
    throw new InvalidArgumentError('expected nats://HOST, a directory, or - for standard output.');
  return { kind: 'files', dir: text };
}

/** How one gets into NATS, beside `--to` or `--from`. */
export interface NatsAccess {
  credentials?: string;
  tlsCa?: string;
  tlsCert?: string;
  tlsKey?: string;
}

export const NATS_ACCESS = ['credentials', 'tlsCa', 'tlsCert', 'tlsKey'] as const;

/** What a command has of it. */
export function defineNatsAccess(command: Command): Command {
  return command
    .option(
      '--credentials <file>',
      'of NATS (.creds); NATS_CREDS, NATS_USER and NATS_PASSWORD, or NATS_TOKEN say it, too',
    )
    .option('--tls-ca <file>', 'certificates of the authorities that NATS is to be known by')
    .option('--tls-cert <file>', 'certificate that NATS knows this client by')
    .option('--tls-key <file>', 'its key');
}

/** An empty variable is as none. */
const variable = (name: string) => process.env[name] || undefined;

/** As jetstream() and consume() take it. What the command line says goes before the environment. */
export function natsOptions(servers: string[], { credentials, tlsCa, tlsCert, tlsKey }: NatsAccess): NatsOptions {
  const hasTls = [tlsCa, tlsCert, tlsKey].some((file) => file !== undefined);
  const isGiven = credentials !== undefined;
  return {
    servers,
    credentials: credentials ?? variable('NATS_CREDS'),
    ...(isGiven ? {} : { user: variable('NATS_USER'), pass: variable('NATS_PASSWORD'), token: variable('NATS_TOKEN') }),
    ...(hasTls ? { tls: { caFile: tlsCa, certFile: tlsCert, keyFile: tlsKey } } : {}),
  };
}
