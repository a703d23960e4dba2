import dgram from 'node:dgram';

/** Takes a port that a socket has just lost, at once, so that the kernel does not give it to the same one again: what peers
 * get is told apart by it. Nothing happens where the port is somebody's still. Returns what lets go of it. */
export function holdPort(type: 'udp4' | 'udp6', port: number): () => void {
  // A lookup that answers at once makes bind() do its work at once.
  const lookup = (host: string, family: number, done: (error: null, address: string, family: number) => void) =>
    done(null, host, family);
  const holder = dgram.createSocket({ type, lookup } as unknown as dgram.SocketOptions);
  holder.on('error', () => {});
  holder.bind({ port, address: type === 'udp4' ? '0.0.0.0' : '::', exclusive: true }).unref();
  return () => holder.close();
}
