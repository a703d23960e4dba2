// What is loaded by the first handOver() or takeOver(), in one piece.
export { giveServers, takeServers } from './servers.js';
export { giveSocket, takeSocket } from './sockets.js';
