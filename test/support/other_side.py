"""One side of a hand-over (lib/hand-over/channel.ts) that ends, or says nothing more, at a point that a test chooses.

  other_side.py giver PATH POINT   has a UDP socket, says "port N" and waits at PATH for a taker
  other_side.py taker PATH POINT   knocks at PATH, says "ready" and "go"
"""
import array
import json
import os
import socket
import struct
import sys
import time

KNOCK = b'ksocket hand-over 1'
STATE, PREPARE, READY, GO, DECISION = 1, 3, 4, 6, 10

side, path, point = sys.argv[1:]


def say(channel, kind, payload=b'', fds=()):
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', fds))] if fds else []
    channel.sendmsg([struct.pack('<BBH', kind, 0, len(fds)) + payload], ancillary)


def hear(channel):
    """The kind and the descriptors."""
    data, fds, _, _ = socket.recv_fds(channel, 65536, 253)
    return data[0], fds


def give():
    udp = socket.socket(socket.AF_INET6 if point == 'forged' else socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(('::1' if point == 'forged' else '127.0.0.1', 0))
    door = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    door.bind(path)
    print('port', udp.getsockname()[1], flush=True)
    data, fds, _, _ = socket.recv_fds(door, 100, 2)
    assert data == KNOCK
    channel = socket.socket(fileno=fds[0])
    if point == 'pipe':
        say(channel, STATE, json.dumps({'what': 'socket', 'type': 'udp4', 'connected': False}).encode(), [1])
        time.sleep(1000)
    decision = os.memfd_create('decision')
    say(channel, DECISION, fds=[decision])
    state = {'what': 'socket', 'type': 'udp4', 'connected': False}
    say(channel, STATE, json.dumps(state).encode(), [udp.fileno()])
    if point == 'state':
        os._exit(0)
    say(channel, PREPARE)
    if point == 'prepare':
        os._exit(0)
    if point == 'withdrawn':
        os.write(decision, b'G')
    say(channel, GO, b'{}')
    if point == 'withdrawn':
        time.sleep(1000)
    os._exit(0)


def take():
    own, others = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    life, their_life = socket.socketpair()
    if point == 'deaf':
        own.setblocking(False)
        others.setblocking(False)
        try:
            while True:
                others.send(b'')
        except BlockingIOError:
            pass
    knocker = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    knocker.connect(path)
    socket.send_fds(knocker, [KNOCK], [others.fileno(), their_life.fileno()])
    others.close()
    their_life.close()
    decision = -1
    if point == 'deaf':
        print('deaf', flush=True)
        time.sleep(1000)
    if point == 'descriptors':
        say(own, READY, fds=[0] * 200)
        sys.exit()
    while True:
        kind, fds = hear(own)
        if kind == DECISION:
            decision = fds[0]
        elif kind == PREPARE:
            if point == 'mute':
                print('mute', flush=True)
                time.sleep(1000)
            say(own, READY)
            print('ready', flush=True)
        elif kind == GO:
            print('go', flush=True)
            break
    if point != 'silent':
        os.write(decision, b'T')
    if point == 'dies':
        os._exit(0)
    time.sleep(1000)


give() if side == 'giver' else take()
