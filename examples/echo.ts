// An echo server (RFC 862): sends back what it gets, to everybody only so often.
//
//   node examples/echo.ts [ADDRESS] [PORT]           Node 22.18 and later; for Node 20 see docs/examples.md
//   socat - UDP:127.0.0.1:7                          package socat; type a line
//
// An answer is as long as its request, so it amplifies nothing. But two echo servers that a forged source address brings
// together would talk for ever: the limits bound how fast.
import { createServer, type Server, type ServerOptions } from 'ksocket';

/** Echoes 100 datagrams a second for each source, and 100 000 for all together. */
export function echoServer(options: ServerOptions = {}): Server {
  return createServer({
    port: 7,
    limits: { perSource: { rate: 100 }, total: { rate: 100_000 } },
    ...options,
    rules: [],
    otherwise: 'echo', // what no rule decides about: here everything
  });
}

if (process.argv[1] === import.meta.filename) {
  const [address = '::', port = '7'] = process.argv.slice(2);
  const server = echoServer({ address, port: Number(port) });
  await server.start();
  console.log('listening on', server.address());
}
