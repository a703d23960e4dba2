# A second host for tests: a network namespace of its own, which it is started in, and what a test has it do there. Commands
# are lines of JSON on stdin, answers lines of JSON on stdout. It ends when stdin does.
import json
import os
import select
import socket
import struct
import subprocess
import sys
import threading

sockets = {}


def say(**answer):
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def ip(arguments):
    subprocess.run(["ip", *arguments], check=True)
    say(done="ip")


def run(arguments):
    subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL)
    say(done="run")


# Packets that are not for it go on to where they are for.
def forward():
    for name in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
        with open(f"/proc/sys/net/{name}", "w") as setting:
            setting.write("1")
    say(done="forward")


# A UDP socket that the test knows by its name.
def open_socket(name, address, port=0):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    one = socket.socket(family, socket.SOCK_DGRAM)
    one.bind((address, port) if family == socket.AF_INET else socket.getaddrinfo(address, port)[0][4])
    sockets[name] = one
    say(port=one.getsockname()[1])


# One datagram, or with `segment` so many bytes each, joined on the way (UDP_SEGMENT).
def send(name, to, port, data, tos=None, ttl=None, segment=None):
    one = sockets[name]
    ipv6 = one.family == socket.AF_INET6
    more = []
    if tos is not None:
        kind = (socket.IPPROTO_IPV6, socket.IPV6_TCLASS) if ipv6 else (socket.IPPROTO_IP, socket.IP_TOS)
        more.append((*kind, struct.pack("i", tos)))
    if ttl is not None:
        kind = (socket.IPPROTO_IPV6, socket.IPV6_HOPLIMIT) if ipv6 else (socket.IPPROTO_IP, socket.IP_TTL)
        more.append((*kind, struct.pack("i", ttl)))
    if segment is not None:
        more.append((socket.IPPROTO_UDP, 103, struct.pack("H", segment)))
    where = (to, port) if not ipv6 else socket.getaddrinfo(to, port)[0][4]
    one.sendmsg([data.encode()], more, 0, where)
    say(done="send")


def receive(name, timeout=5):
    one = sockets[name]
    if not select.select([one], [], [], timeout)[0]:
        say(timeout=True)
        return
    data, source = one.recvfrom(65536)
    say(data=data.decode("latin-1"), address=source[0], port=source[1])


# What arrives on an interface, as it was on the wire: no socket of ours has read it.
def sniff(interface):
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
    raw.bind((interface, 0))
    raw.setsockopt(socket.SOL_SOCKET, 33, 4 << 20)  # SO_RCVBUFFORCE
    threading.Thread(target=read_packets, args=(raw,), daemon=True).start()
    say(done="sniff")


def read_packets(raw):
    while True:
        packet, where = raw.recvfrom(1 << 16)
        if where[2] == socket.PACKET_OUTGOING:
            continue
        read_packet(packet, where[0])


def read_packet(packet, interface):
    version = packet[0] >> 4
    if version == 4 and packet[9] == socket.IPPROTO_UDP:
        at = (packet[0] & 15) * 4
        fields = dict(
            tos=packet[1],
            df=bool(packet[6] & 0x40),
            ttl=packet[8],
            src=socket.inet_ntop(socket.AF_INET, packet[12:16]),
            dst=socket.inet_ntop(socket.AF_INET, packet[16:20]),
        )
    elif version == 6 and packet[6] == socket.IPPROTO_UDP:
        at = 40
        fields = dict(
            tos=(packet[0] & 15) << 4 | packet[1] >> 4,
            df=True,
            ttl=packet[7],
            src=socket.inet_ntop(socket.AF_INET6, packet[8:24]),
            dst=socket.inet_ntop(socket.AF_INET6, packet[24:40]),
        )
    else:
        return
    sport, dport, length = struct.unpack("!HHH", packet[at : at + 6])
    say(packet=dict(fields, interface=interface, sport=sport, dport=dport, data=packet[at + 8 : at + length].decode("latin1")))


say(pid=os.getpid())
for line in sys.stdin:
    command = json.loads(line)
    do = {"ip": ip, "run": run, "forward": forward, "open": open_socket, "send": send, "receive": receive, "sniff": sniff}[command.pop("do")]
    try:
        do(**command)
    except Exception as error:
        say(error=repr(error))
