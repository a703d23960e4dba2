// HOST:PORT as people type it.
import { InvalidArgumentError } from 'commander';

export function parsePort(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65535) throw new InvalidArgumentError('a port is a number from 0 to 65535.');
  return port;
}

export function parseHost(text: string): string {
  if (text === '') throw new InvalidArgumentError('expected a name or an address.');
  return text;
}

/** `192.0.2.1:53`, `name:53` or `[2001:db8::1]:53`. */
export function parseEndpoint(text: string): { address: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(text);
  const port = match ? parsePort(match[3]) : 0;
  if (!match || port === 0) throw new InvalidArgumentError('expected HOST:PORT, or [IPV6]:PORT.');
  return { address: match[1] ?? match[2], port };
}

/** `9100`, or as parseEndpoint; the port may be 0. */
export function parseListen(text: string): { host?: string; port: number } {
  const match = /^(?:(?:\[([^\]]+)\]|([^:]+)):)?(\d+)$/.exec(text);
  if (!match) throw new InvalidArgumentError('expected PORT, HOST:PORT or [IPV6]:PORT.');
  return { host: match[1] ?? match[2], port: parsePort(match[3]) };
}

/** Bytes as text that cannot move the cursor or end the line. */
export function printable(data: Uint8Array): string {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength)
    .toString()
    .replace(/\p{Cc}/gu, (c) => {
      const code = c.charCodeAt(0);
      return { 9: '\\t', 10: '\\n', 13: '\\r' }[code] ?? `\\x${code.toString(16).padStart(2, '0')}`;
    });
}
