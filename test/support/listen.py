# Opens sockets as a service manager does, and becomes the command that is given, which has them at descriptors 3, 4, ….
#
#   listen.py '[{"type": "udp4", "address": "127.0.0.1", "port": 0}]' COMMAND …
#
# LISTEN_PID and LISTEN_FDS are set unless they are given.
import fcntl
import json
import os
import socket
import sys

KINDS = {
    "udp4": (socket.AF_INET, socket.SOCK_DGRAM),
    "udp6": (socket.AF_INET6, socket.SOCK_DGRAM),
    "tcp4": (socket.AF_INET, socket.SOCK_STREAM),
    "tcp6": (socket.AF_INET6, socket.SOCK_STREAM),
    "unix_dgram": (socket.AF_UNIX, socket.SOCK_DGRAM),
    "unix_stream": (socket.AF_UNIX, socket.SOCK_STREAM),
    "unix_seqpacket": (socket.AF_UNIX, socket.SOCK_SEQPACKET),
}
FIRST = 3


def opened(spec):
    if spec["type"] == "file":
        return os.open("/dev/null", os.O_RDONLY)
    one = socket.socket(*KINDS[spec["type"]])
    if spec.get("reusePort"):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if "tos" in spec:
        one.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, spec["tos"])
    if "device" in spec:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, spec["device"].encode())
    if "ipv6Only" in spec:
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(spec["ipv6Only"]))
    if one.family == socket.AF_UNIX:
        one.bind(spec["address"])
    elif not spec.get("unbound"):
        one.bind((spec["address"], spec.get("port", 0)))
    return one.detach()


specs, command = json.loads(sys.argv[1]), sys.argv[2:]
aside = [fcntl.fcntl(opened(spec), fcntl.F_DUPFD_CLOEXEC, 100) for spec in specs]
for at, fd in enumerate(aside):
    os.dup2(fd, FIRST + at)  # inheritable
os.environ.setdefault("LISTEN_PID", str(os.getpid()))
os.environ.setdefault("LISTEN_FDS", str(len(specs)))
os.execvp(command[0], command)
