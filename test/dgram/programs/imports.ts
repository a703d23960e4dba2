// Says for every way to dgram whether it leads to ksocket's sockets.
import * as namespace from 'node:dgram';
import byDefault, { createSocket, Socket } from 'node:dgram';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const early = (globalThis as { early?: () => object }).early; // of a module that was imported before ksocket/register
const ways: Record<string, () => object> = {
  "require('dgram')": () => require('node:dgram').createSocket('udp4'),
  "require('node:dgram')": () => require('node:dgram').createSocket('udp4'),
  'new (require)': () => new (require('node:dgram').Socket)('udp4'),
  'default import': () => byDefault.createSocket('udp4'),
  'named import': () => createSocket('udp4'),
  'named import of Socket': () => new (Socket as unknown as new (type: string) => object)('udp4'),
  'namespace import': () => namespace.createSocket('udp4'),
  'process.getBuiltinModule': () => process.getBuiltinModule('dgram').createSocket('udp4'),
  'createRequire elsewhere': () => createRequire('/')('dgram').createSocket('udp4'),
  ...(early && { 'a module of before': early }),
};
const dynamic = await import('node:dgram');
ways['dynamic import'] = () => dynamic.createSocket('udp4');
ways['dynamic import, without node:'] = () => dynamic.default.createSocket('udp4');

const found: Record<string, boolean> = {};
for (const [name, make] of Object.entries(ways)) found[name] = 'sendMany' in make();
const same = byDefault.Socket === Socket && namespace.Socket === Socket && require('node:dgram') === byDefault;
const instance = createSocket('udp4') instanceof byDefault.Socket;
console.log(JSON.stringify({ found, same, instance }));
