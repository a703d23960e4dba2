// One measured program: `program.mjs DRIVER ROLE JSON-OPTIONS`, run by Node, Bun or Deno.
// The role starts to work at once; the harness opens and closes windows on it over stdin.
import process from 'node:process';
import { probes } from './probes/index.mjs';
import { listen, say } from './protocol.mjs';
import { Unavailable } from './unavailable.mjs';
import { Window } from './window.mjs';

const [driverName, roleName, optionsText] = process.argv.slice(2);

try {
  const options = JSON.parse(optionsText ?? '{}');
  const driver = await import(`./drivers/${driverName}.mjs`);
  const role = driver.roles[roleName];
  if (!role) throw new Unavailable(`${driverName} has no way to ${roleName}`);

  const tally = { count: 0, bytes: 0, errors: 0 };
  const running = await role(options, tally);
  const window = new Window(
    tally,
    (options.probes ?? []).map((name) => probes[name](options)),
    running.stats,
  );
  listen({
    start: () => {
      window.open();
      say({ event: 'started' });
    },
    stop: () => say({ event: 'result', ...window.close() }),
    exit: () => process.exit(0),
  });
  say({ event: 'ready', port: running.ports?.[0], ports: running.ports });
} catch (error) {
  if (!(error instanceof Unavailable)) throw error;
  say({ event: 'unavailable', reason: error.message });
  process.exit(0);
}
