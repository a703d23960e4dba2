// Network namespaces, for what loopback as it is does not show.

/** What a command stands behind to run in a network namespace of its own, once `setup`, commands of sh(1), has made it. */
export function inNamespace(setup: string): [program: string, ...args: string[]] {
  const asUser = process.getuid?.() === 0 ? [] : ['-r'];
  return ['unshare', ...asUser, '-n', 'sh', '-c', `${setup} && exec "$0" "$@"`];
}
