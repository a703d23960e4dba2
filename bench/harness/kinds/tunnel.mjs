import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { benchDir } from '../paths.mjs';
import { TWO_HOSTS } from '../two-hosts.mjs';

/** iperf3 through a tunnel, in network namespaces of its own that end with it. */
export async function tunnel(scenario, entry, { seconds }) {
  const asUser = process.getuid() === 0 ? [] : ['-r'];
  const namespaces = ['unshare', ...asUser, '-n', '-m', '-p', '-f', '--kill-child'];
  const program = [process.execPath, join(benchDir, 'adapters/tunnel/hosts.mjs'), entry.role];
  const load = JSON.stringify({ ...scenario.load, seconds: Math.ceil(seconds) });
  const [command, ...args] = [...namespaces, 'sh', '-ec', `${TWO_HOSTS} && exec "$0" "$@"`, ...program, load];
  const options = { timeout: (seconds + 60) * 1000, killSignal: 'SIGKILL' };
  try {
    const { stdout } = await promisify(execFile)(command, args, options);
    return { ...JSON.parse(stdout), raw: stdout };
  } catch ({ message, stderr }) {
    throw new Error(/^Error: (.*)$/m.exec(stderr ?? '')?.[1] ?? message.split('\n')[0]);
  }
}
