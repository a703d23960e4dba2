// UDP handles of libuv's, as only node:dgram's own sockets have them: bound, and read by nobody.
import dgram from 'node:dgram';

interface Handle {
  readonly fd: number;
  bind(address: string, port: number, flags: number): number;
  bufferSize(size: number, receive: boolean, context: object): number | undefined;
  close(): void;
}

export function boundHandle(type: 'udp4' | 'udp6'): Handle {
  const socket = dgram.createSocket(type) as unknown as Record<symbol, { handle: Handle }>;
  const key = Object.getOwnPropertySymbols(socket).find(({ description }) => description === 'state symbol');
  if (key === undefined) throw new Error('node:dgram has changed');
  const { handle } = socket[key];
  const error = handle.bind(type === 'udp4' ? '127.0.0.1' : '::1', 0, 0);
  if (error !== 0) throw new Error(`bind: ${error}`);
  return handle;
}
