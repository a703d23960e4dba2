/**
 * A layer-2 tunnel: a TAP device whose frames go to other machines in UDP datagrams, by VXLAN or bare.
 *
 * @module ksocket/tunnel
 */
export type { Stats } from '../thread/counters.js';
export type { TunnelOptions, TunnelRemote } from './options.js';
export { createTunnel, type Tunnel } from './tunnel.js';
export type { TunnelEvents, TunnelStats } from './types.js';
