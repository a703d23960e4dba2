// Is everything as it should be? Answers with reasons when not.
import type { HeartbeatReader } from './heartbeat.js';
import type { ObservedServer } from './observed-server.js';

export interface Health {
  status: 'ok' | 'unhealthy';
  /** Why, for people. */
  reasons: string[];
  eventLoopLagMs: number;
  /** More than this is a reason. */
  maxLagMs: number;
  servers: { name: string; running: boolean; threadAlive: boolean }[];
}

export function healthOf(servers: readonly ObservedServer[], heartbeat: HeartbeatReader, maxLagMs: number): Health {
  const reasons: string[] = [];
  const eventLoopLagMs = Math.round(heartbeat.lagMs());
  if (eventLoopLagMs > maxLagMs) reasons.push(`the event loop is ${eventLoopLagMs} ms late`);
  const states = servers.map((server) => {
    const { name, running } = server;
    const threadAlive = running && server.thread().alive;
    if (!running) reasons.push(`${name} is not running`);
    else if (!threadAlive) reasons.push(`the I/O thread of ${name} has ended`);
    else if (server.figures?.failing) reasons.push(`nothing is written of what ${name} receives`);
    return { name, running, threadAlive };
  });
  return { status: reasons.length === 0 ? 'ok' : 'unhealthy', reasons, eventLoopLagMs, maxLagMs, servers: states };
}
