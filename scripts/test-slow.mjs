// What takes hours: each step with the numbers of a night. Its last line is `N passed, N failed`, over all of them.
//
//   node scripts/test-slow.mjs [STEP …]
import { spawn } from 'node:child_process';
import { join } from 'node:path';

const steps = {
  explore: ['explore-ring.mjs', '--schedules', '50000000'],
  stepping: ['test-stepping.mjs', '--runs', '1000000'],
  // Whether each known mistake is still noticed, and how.
  'stepping-mistakes': ['test-stepping.mjs', '--mistakes'],
  'fuzz-mistakes': ['test-fuzz.mjs', '--mistakes'],
  'simulate-mistakes': ['test-simulate.mjs', '--mistakes'],
  fuzz: ['test-fuzz.mjs', '--runs', '10000000'],
  // Collectors and consumers of which some are killed, at 50 000 datagrams a second.
  collect: ['test-ts.mjs', '--engine', 'mmsg', 'collect/cluster'],
  simulate: ['test-simulate.mjs', '--seconds', '600', '--seed', '1000000'],
  // Needs iperf3.
  tunnel: ['soak-tunnel.mjs', '--seconds', '600'],
};

/** What a step finds in its environment. */
const settings = { KSOCKET_TEST_COLLECT_RATE: '50000', KSOCKET_TEST_COLLECT_SECONDS: '60' };

const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(steps);
const total = { passed: 0, failed: 0 };
for (const name of names) {
  const counts = steps[name] ? await run(steps[name]) : undefined;
  if (!counts) console.log(`✖ ${name} ${steps[name] ? 'does not end with its totals' : 'is no step'}`);
  total.passed += counts?.passed ?? 0;
  total.failed += counts?.failed ?? 1;
}
console.log(`${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed > 0 ? 1 : 0;

/** Runs a script of this directory, and passes on what it prints; its totals, or undefined where it ended otherwise. */
function run([script, ...args]) {
  console.log(`== ${script} ${args.join(' ')}`);
  const child = spawn(process.execPath, [join(import.meta.dirname, script), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...settings },
  });
  let latest = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    process.stdout.write(text);
    latest = (latest + text).slice(-200);
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status) => {
      const [, passed, failed] = /^(\d+) passed, (\d+) failed\n$/m.exec(latest.split('\n').slice(-2).join('\n')) ?? [];
      if (passed === undefined || Number(passed) + Number(failed) === 0) resolve(undefined);
      else resolve({ passed: Number(passed), failed: status === 0 ? Number(failed) : Math.max(1, Number(failed)) });
    });
  });
}
