// A load balancer: passes datagrams on to several back ends, and their answers back to the clients.
//
//   node examples/load-balancer.ts PORT round-robin|source BACKEND:PORT …      Node 22.18 and later; for Node 20 see
//                                                                              docs/examples.md
//   node examples/load-balancer.ts 5300 round-robin 192.0.2.1:53 [2001:db8::1]:53
//   dig @127.0.0.1 -p 5300 example.org                                         package bind9-dnsutils
//
// A client's address and port are a flow. What belongs to a flow goes to one back end, through a socket of its own, so
// that the back end sees a port for each client; the flow ends after two minutes of silence (RFC 4787, REQ-5).
import { createServer, type ForwardTarget, type Server, type ServerOptions } from 'ksocket';

export interface LoadBalancerOptions extends ServerOptions {
  backEnds: ForwardTarget[];
  /** `round-robin`: the next flow goes to the next back end, the default. `source`: a client's address says which, so
   * that all its flows come to the same one. */
  balance?: 'round-robin' | 'source';
}

/** Passes everything on. */
export function loadBalancer({ backEnds, balance = 'round-robin', ...options }: LoadBalancerOptions): Server {
  return createServer({
    ...options,
    rules: [{ name: 'balance', action: { forward: backEnds, balance, flows: 16_384 } }],
  });
}

function parseBackEnd(text: string): ForwardTarget {
  const [, address, port] = /^\[?(.+?)\]?:(\d+)$/.exec(text) ?? [];
  if (address === undefined) throw new Error(`${text} is not ADDRESS:PORT`);
  return { address, port: Number(port) };
}

if (process.argv[1] === import.meta.filename) {
  const [port, balance, ...backEnds] = process.argv.slice(2);
  const server = loadBalancer({
    address: '::',
    port: Number(port),
    balance: balance as 'round-robin' | 'source',
    backEnds: backEnds.map(parseBackEnd),
  });
  await server.start();
  console.log('listening on', server.address());
}
