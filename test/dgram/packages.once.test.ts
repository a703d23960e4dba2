// Packages from npm that speak UDP: what a program with them prints under ksocket/register is what it prints without.
import assert from 'node:assert/strict';
import { runProgram } from '../support/child.js';
import { fromNpm } from '../support/npm.js';
import { unusedPort } from '../support/peer.js';
import { test } from '../support/test.js';

const packages = {
  'dns-packet': '5.6.1',
  dns2: '3.0.0',
  'multicast-dns': '7.2.5',
  'k-rpc-socket': '1.11.1',
  coap: '1.5.0',
  'hot-shots': '17.1.1',
  'syslog-client': '1.1.1',
};

const installed = () => fromNpm(...Object.entries(packages).map(([name, version]) => `${name}@${version}`));

const register = import.meta.resolve('ksocket/register');

/** Runs it in the three ways; it prints the same, and something with `expected` in it. */
async function same(expected: RegExp, program: (port: number) => unknown): Promise<void> {
  const cwd = installed();
  const run = async (execArgv: string[], engine: string) => {
    const env = { KSOCKET_ENGINE: engine };
    const { stdout, stderr, ...end } = await runProgram(program, [await unusedPort()], { cwd, execArgv, env });
    assert.deepEqual({ ...end, stderr }, { code: 0, signal: null, stderr: '' }, stdout);
    return stdout;
  };
  const plain = await run([], '');
  assert.match(plain, expected);
  for (const engine of ['mmsg', 'posix']) assert.equal(await run(['--import', register], engine), plain, engine);
}

test('dns-packet over plain sockets', () =>
  same(/^5 1\.2\.3\.4$/m, async () => {
    const { createSocket } = await import('node:dgram');
    const { decode, encode } = await import('dns-packet' as string);
    const server = createSocket('udp4', (data, { port, address }) => {
      const { id, questions } = decode(data);
      const answers = [{ type: 'A', name: questions[0].name, data: '1.2.3.4' }];
      server.send(encode({ type: 'response', id, questions, answers }), port, address);
    });
    server.bind(0, '127.0.0.1', () => {
      const client = createSocket('udp4');
      client.on('message', (data) => {
        const { id, answers } = decode(data);
        console.log(id, answers[0].data);
        if (id < 5) ask(id + 1);
        else for (const socket of [client, server]) socket.close();
      });
      const ask = (id: number) => {
        const query = encode({ type: 'query', id, questions: [{ type: 'A', name: `host${id}.example` }] });
        client.send(query, 0, query.length, server.address().port, '127.0.0.1');
      };
      ask(1);
    });
  }));

test('dns2, server and client', () =>
  same(/^host9\.example 10\.0\.0\.9\nclosed$/m, async (port: number) => {
    const { default: Dns } = await import('dns2' as string);
    const { Packet } = Dns;
    const server = Dns.createServer({
      udp: true,
      // biome-ignore lint/suspicious/noExplicitAny: the package has no types
      handle(request: any, send: (response: unknown) => void) {
        const response = Packet.createResponseFromRequest(request);
        const [{ name }] = request.questions;
        const address = `10.0.0.${name.match(/\d+/)[0]}`;
        response.answers.push({ name, type: Packet.TYPE.A, class: Packet.CLASS.IN, ttl: 300, address });
        send(response);
      },
    });
    await server.listen({ udp: { port, address: '127.0.0.1' } });
    const client = new Dns({ nameServers: ['127.0.0.1'], port });
    for (let i = 0; i < 10; i++) {
      const { answers } = await client.resolveA(`host${i}.example`);
      for (const { name, address } of answers) console.log(name, address);
    }
    await server.close();
    console.log('closed');
  }));

test('multicast-dns over the loopback interface', () =>
  same(/^answer 192\.0\.2\.5 127\.0\.0\.1$/m, async (port: number) => {
    const { once } = await import('node:events');
    const { default: mdns } = await import('multicast-dns' as string);
    const options = { port, interface: '127.0.0.1', bind: '0.0.0.0' };
    const [responder, asker] = [mdns(options), mdns(options)];
    await Promise.all([responder, asker].map((one) => once(one, 'ready')));
    responder.on('query', ({ questions: [{ name }] }: { questions: { name: string }[] }) =>
      responder.respond({ answers: [{ name, type: 'A', ttl: 300, data: '192.0.2.5' }] }),
    );
    asker.query({ questions: [{ name: 'somebody.local', type: 'A' }] });
    const [response, { address }] = await once(asker, 'response');
    console.log('answer', response.answers[0].data, address);
    for (const one of [responder, asker]) await new Promise((resolve) => one.destroy(resolve));
    console.log('closed');
  }));

test('k-rpc-socket, to an address, to a name, and to nobody', () =>
  same(/^ETIMEDOUT$/m, async (nobody: number) => {
    const { default: rpc } = await import('k-rpc-socket' as string);
    const [server, client] = [rpc({ timeout: 2000 }), rpc({ timeout: 200 })];
    server.on('query', (query: { a: { value: Buffer } }, peer: object) =>
      server.response(peer, query, { echo: query.a.value }),
    );
    await new Promise<void>((resolve) => server.bind(0, '127.0.0.1', resolve));
    const { port } = server.address();
    const ask = (host: string, at: number) =>
      new Promise<void>((resolve) => {
        const message = { q: 'echo', a: { value: Buffer.from(host) } };
        client.query({ host, port: at }, message, (error: NodeJS.ErrnoException, reply?: { r: { echo: Buffer } }) => {
          console.log(error === null ? `${reply?.r.echo}` : error.code);
          resolve();
        });
      });
    await ask('127.0.0.1', port);
    await ask('localhost', port);
    await ask('127.0.0.1', nobody);
    for (const one of [client, server]) await new Promise<void>((resolve) => one.destroy(resolve));
  }));

test('coap, small and block-wise', () =>
  same(/^2\.05 POST 3 blocks of 1000$/m, async () => {
    const { default: coap } = await import('coap' as string);
    // biome-ignore lint/suspicious/noExplicitAny: as the package has it
    type Any = any;
    const server = coap.createServer((request: Any, response: Any) => {
      response.end(`${request.method} ${request.url.slice(1)} of ${request.payload.length}`);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server._sock.address();
    const ask = (options: object, body?: Buffer) =>
      new Promise<void>((resolve) => {
        const request = coap.request({ hostname: '127.0.0.1', port, ...options });
        request.on('response', (response: Any) => {
          console.log(response.code, `${response.payload}`.replaceAll('%20', ' '));
          resolve();
        });
        request.end(body);
      });
    for (let i = 0; i < 5; i++) await ask({ pathname: `/${i}` });
    await ask({ pathname: '/unconfirmed', confirmable: false });
    await ask({ pathname: '/3 blocks', method: 'POST' }, Buffer.alloc(1000, 'x'));
    process.exit(); // coap keeps timers for minutes
  }));

test('hot-shots and syslog-client, to a collector', () =>
  same(/^app\.hits:9\|c$/m, async () => {
    const { createSocket } = await import('node:dgram');
    const { default: StatsD } = await import('hot-shots' as string);
    const { default: syslog } = await import('syslog-client' as string);
    const heard: string[] = [];
    const collector = createSocket('udp4', (data) => hear(...data.toString().trim().split('\n')));
    await new Promise<void>((resolve) => collector.bind(0, '127.0.0.1', resolve));
    const { port } = collector.address();
    const host = '127.0.0.1';
    const single = new StatsD({ host, port, prefix: 'app.' });
    const buffered = new StatsD({ host, port, maxBufferSize: 100, bufferFlushInterval: 10 });
    const log = syslog.createClient(host, { port, transport: syslog.Transport.Udp });
    for (let i = 0; i < 10; i++) {
      single.increment('hits', i);
      buffered.gauge('load', i);
      log.log(`line ${i}`, {}, (error: unknown) => hear(`logged ${error}`));
    }
    const hear = (...lines: string[]) => {
      heard.push(...lines);
      if (heard.length < 40) return;
      for (const line of heard.map((text) => text.replace(/^<.* (?=line)/, '')).sort()) console.log(line);
      single.close((error: unknown) => console.log('closed', error));
      buffered.close((error: unknown) => console.log('closed', error));
      log.close();
      collector.close();
    };
  }));
