// The web server: which requests are answered at all, and with which headers.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { BlockList } from 'node:net';
import { familyOfText } from '../base/family.js';

export interface Answer {
  status?: number;
  type: string;
  body: string | Uint8Array;
}

/** By path. */
export type Routes = ReadonlyMap<string, () => Answer | Promise<Answer>>;

const CONNECTIONS_MAX = 64;
const HEADER_BYTES_MAX = 8 * 1024;
const REQUEST_MS_MAX = 5_000;
const IDLE_MS_MAX = 10_000;

const HEADERS = {
  // Everything the page uses is served from here; nothing is inline.
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cache-Control': 'no-store',
};

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8);
loopback.addAddress('::1', 'ipv6');

function isLoopback(address: string): boolean {
  const family = familyOfText(address);
  return family !== undefined && loopback.check(address, family.blockListName);
}

/** DNS rebinding: a page of evil.example whose name now resolves to 127.0.0.1 is of the monitor's own origin for the
 * browser, but its Host header still says evil.example. */
function isLocalHost(header: string | undefined): boolean {
  if (header === undefined) return false;
  const match = /^(?:\[([0-9a-f:.]+)\]|([^:[\]]+))(?::\d{1,5})?$/i.exec(header);
  const name = (match?.[1] ?? match?.[2])?.toLowerCase();
  return name !== undefined && (name === 'localhost' || isLoopback(name));
}

function answer(response: ServerResponse, { status = 200, type, body }: Answer, more: Record<string, string> = {}) {
  const bytes = Buffer.from(body as string);
  response.writeHead(status, { ...HEADERS, 'Content-Type': type, 'Content-Length': bytes.length, ...more });
  response.end(bytes); // to HEAD, Node sends the headers only
}

const text = (status: number, body: string): Answer => ({ status, type: 'text/plain; charset=utf-8', body });

export function createHttpServer(routes: Routes): Server {
  const handle = async (request: IncomingMessage, response: ServerResponse) => {
    const address = request.socket.localAddress ?? '';
    if (isLoopback(address.replace(/^::ffff:/, '')) && !isLocalHost(request.headers.host)) {
      return answer(response, text(421, 'This name does not lead here.\n'));
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      return answer(response, text(405, 'GET or HEAD.\n'), { Allow: 'GET, HEAD' });
    }
    const route = routes.get((request.url ?? '').split('?', 1)[0]);
    if (route === undefined) return answer(response, text(404, 'Not found.\n'));
    answer(response, await route());
  };
  const server = createServer(
    {
      maxHeaderSize: HEADER_BYTES_MAX,
      headersTimeout: REQUEST_MS_MAX,
      requestTimeout: REQUEST_MS_MAX,
      connectionsCheckingInterval: REQUEST_MS_MAX,
      keepAliveTimeout: IDLE_MS_MAX,
    },
    (request, response) => {
      handle(request, response).catch((error: Error) => {
        if (response.headersSent) response.destroy();
        else answer(response, text(500, `${error.message}\n`));
      });
    },
  );
  server.maxConnections = CONNECTIONS_MAX;
  server.timeout = IDLE_MS_MAX + REQUEST_MS_MAX;
  return server;
}
