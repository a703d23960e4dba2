// Where the sources of a release are: nobody writes that into the manifest, it is known where the release is made.
import { spawnSync } from 'node:child_process';

/** `https://HOST/OWNER/NAME`, of what git or CI calls it; '' for what is no such place. */
export function webAddress(url) {
  const [, host, path] =
    /^(?:git\+)?(?:https?:\/\/|ssh:\/\/|git@|git:\/\/)(?:[^@/]+@)?([^/:]+)[/:](.+?)(?:\.git)?\/?$/.exec(url.trim()) ??
    [];
  return host && /^[\w.-]+(\/[\w.-]+)+$/.test(path) ? `https://${host}/${path}` : '';
}

/** As asked for, as GitHub's workflow says, or as git's remote is called. */
export function findRepository(root, asked) {
  const { GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: name } = process.env;
  const remote = () =>
    spawnSync('git', ['remote', 'get-url', 'origin'], {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).stdout ?? '';
  const url = asked ?? (server && name ? `${server}/${name}` : remote());
  const address = webAddress(url);
  if (asked && !address) throw new Error(`${asked} is no address of a repository`);
  return address;
}
