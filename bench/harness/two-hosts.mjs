/** For a shell in namespaces of its own, of the network, mounts and processes: this host, and one that is called `far`, joined by a virtual cable. */
export const TWO_HOSTS = [
  'mount -t proc proc /proc',
  'mount -t tmpfs none /run',
  'ip netns add far',
  'ip link set lo up',
  'ip -n far link set lo up',
  'ip link add wire type veth peer name wire netns far',
  'ip addr add 10.7.0.1/24 dev wire',
  'ip -n far addr add 10.7.0.2/24 dev wire',
  'ip -n far link set wire up',
  'ip link set wire up',
].join(' && ');
