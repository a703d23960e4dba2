# Asks a server so many times at a rate: "ask 0", "ask 1", … An answer is `k<request>k`, whatever the word k is, or the request.
# One of eight bytes is a number, of which it says the least and the highest, none of them twice.
# At the end it says in JSON how many were sent, answered, answered twice, and what else came; and how many different k there were.
#   asker.py ADDRESS PORT COUNT RATE [JOINED [INTERFACE]]
# JOINED of them are sent as one (UDP_SEGMENT), INTERFACE is what they leave by.
import json
import re
import select
import socket
import sys
import time

address, port, count, rate = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
joined = int(sys.argv[5]) if len(sys.argv) > 5 else 1
PATIENCE = 1.5
UDP_SEGMENT = 103
LENGTH = len("ask 000000")

one = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
if len(sys.argv) > 6:
    one.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, sys.argv[6].encode())
if joined > 1:
    one.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, LENGTH)
one.connect((address, port))
one.setblocking(False)
form = re.compile(rb"(\w*?)ask (\d+)(?: )?(\w*)")
answers = [0] * count
words = {}
wrong = []
numbers = []


def take():
    while True:
        try:
            data = one.recv(65536)
        except BlockingIOError:
            return
        except ConnectionRefusedError:
            continue
        if len(data) == 8 and data[:4] == bytes(4):
            numbers.append(int.from_bytes(data, "big"))
            continue
        match = form.fullmatch(data)
        if match is None or match[1] != match[3] or int(match[2]) >= count:
            wrong.append(data.decode("latin-1"))
            continue
        answers[int(match[2])] += 1
        words[match[1]] = words.get(match[1], 0) + 1


print("asking", flush=True)
start = time.monotonic()
for i in range(0, count, joined):
    due = start + i / rate
    while time.monotonic() < due:
        take()
        left = due - time.monotonic()
        if left > 0.0005:
            select.select([one], [], [], left)
    try:
        if joined > 1:
            one.send(b"".join(b"ask %06d" % n for n in range(i, i + joined)))
        else:
            one.send(b"ask %d" % i)
    except (ConnectionRefusedError, BlockingIOError):
        pass
end = time.monotonic() + PATIENCE
while time.monotonic() < end and not all(answers) and len(numbers) < count:
    select.select([one], [], [], 0.05)
    take()
take()
print(
    json.dumps(
        dict(
            sent=count,
            answered=sum(1 for n in answers if n),
            twice=sum(1 for n in answers if n > 1),
            wrong=wrong[:5],
            numbers=[min(numbers), max(numbers)] if len(numbers) == len(set(numbers)) > 0 else [],
            words={word.decode(): n for word, n in words.items()},
        )
    ),
    flush=True,
)
