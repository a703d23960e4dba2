// The roles of a program that is written against the package `unix-dgram`. ksocket/unix-dgram runs this very code.
import { placeForSocket } from '../socket-file.mjs';

/** @param {{ createSocket(type: 'unix_dgram', listener?: (message: Buffer) => void): any }} unix */
export function unixDgramRoles(unix) {
  return {
    receive(_options, tally) {
      const path = placeForSocket();
      const server = unix.createSocket('unix_dgram', (message) => {
        tally.count++;
        tally.bytes += message.length;
      });
      server.bind(path);
      return { ports: [path] };
    },

    // What is not taken is sent again when there is room.
    send({ ports: [path], size, batch }, tally) {
      const payload = Buffer.alloc(size, 'k');
      const socket = unix.createSocket('unix_dgram');
      let congested = false;
      socket.on('congestion', () => {
        congested = true;
      });
      socket.on('writable', turn);
      socket.connect(path);
      function turn() {
        congested = false;
        for (let i = 0; i < batch; i++) {
          socket.send(payload);
          if (congested) return;
          tally.count++;
          tally.bytes += size;
        }
        setImmediate(turn);
      }
      setImmediate(turn);
      return {};
    },
  };
}
