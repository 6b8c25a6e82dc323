"""A program that nobody changed for flowmob: numbered datagrams to a server, and back.

echo.py serve ADDRESS PORT
echo.py ask ADDRESS PORT SECONDS    prints one JSON object: sent, received, the longest silence, sources seen
"""
import json
import socket
import sys
import time

INTERVAL_S = 0.01


def serve(address, port):
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    s.bind((address, port))
    print('ready', flush=True)
    while True:
        data, peer = s.recvfrom(2048)
        s.sendto(data + b' ' + peer[0].encode(), peer)


def receive(s, seen, sources, last):
    """Take what is there; return when the last one came and the longest silence before it."""
    gap = 0
    while True:
        try:
            data = s.recv(2048)
        except BlockingIOError:
            return last, gap
        now = time.monotonic()
        number, _, source = data.decode().partition(' ')
        gap = max(gap, now - last)
        last = now
        seen.append(int(number))
        sources.add(source)


def ask(address, port, seconds):
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    s.connect((address, port))
    s.setblocking(False)
    seen, sources, sent, gap = [], set(), 0, 0
    start = last = time.monotonic()
    while (now := time.monotonic()) < start + seconds + 1:
        if now >= start + sent * INTERVAL_S and now < start + seconds:
            s.send(str(sent).encode())
            sent += 1
        last, silence = receive(s, seen, sources, last)
        gap = max(gap, silence)
        time.sleep(0.001)
    print(json.dumps({'sent': sent, 'received': len(set(seen)), 'repeated': len(seen) - len(set(seen)),
                      'gap_ms': round(gap * 1000), 'sources': sorted(sources)}))


if sys.argv[1] == 'serve':
    serve(sys.argv[2], int(sys.argv[3]))
else:
    ask(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
