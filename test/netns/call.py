"""A program that nobody changed for flowmob: numbered datagrams to an echo and back.

call.py echo ADDRESS PORT                    prints "ready", then returns what comes
call.py call ADDRESS PORT RATE SIZE          for each line on its input one JSON object about the time since the
                                             last: sent, lost, duplicated, errors, the longest gap, the source
"""
import json
import socket
import sys
import threading
import time

SETTLE_S = 3


def open_socket(address):
    family = socket.AF_INET6 if ':' in address else socket.AF_INET
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    return s


def echo(address, port):
    s = open_socket(address)
    s.bind((address, port))
    print('ready', flush=True)
    while True:
        data, back = s.recvfrom(65536)
        s.sendto(data, back)


class Caller:
    def __init__(self, address, port, rate, size):
        self.socket = open_socket(address)
        self.socket.connect((address, port))
        self.rate, self.filler = rate, b'x' * (size - 8)
        self.sent, self.got = 0, {}
        self.errors, self.gap, self.last = 0, 0.0, time.monotonic()
        for act in (self.send, self.receive):
            threading.Thread(target=act, daemon=True).start()

    def send(self):
        begin = time.monotonic()
        while True:
            try:
                self.socket.send(b'%08d' % self.sent + self.filler)
            except OSError as e:
                self.errors += 1
                print(e, file=sys.stderr, flush=True)
            self.sent += 1
            time.sleep(max(0, begin + self.sent / self.rate - time.monotonic()))

    def receive(self):
        while True:
            try:
                number = int(self.socket.recv(65536)[:8])
            except OSError:
                continue
            now = time.monotonic()
            self.gap, self.last = max(self.gap, now - self.last), now
            self.got[number] = self.got.get(number, 0) + 1

    def settle(self, numbers):
        """What is in flight may take long on a busy machine; what comes twice comes soon after."""
        limit = time.monotonic() + SETTLE_S
        while time.monotonic() < limit and not all(n in self.got for n in numbers):
            time.sleep(0.05)
        time.sleep(0.2)

    def report(self, base):
        end = self.sent
        numbers = range(base, end)
        self.settle(numbers)
        print(json.dumps({
            'sent': end - base, 'lost': sum(n not in self.got for n in numbers),
            'duplicated': sum(self.got.get(n, 1) - 1 for n in numbers), 'errors': self.errors,
            'gap_ms': round(1000 * self.gap), 'source': self.socket.getsockname()[0]}), flush=True)
        self.errors, self.gap = 0, 0.0
        return end


def main():
    what, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
    if what == 'echo':
        echo(address, port)
    caller, base = Caller(address, port, float(sys.argv[4]), int(sys.argv[5])), 0
    for _ in sys.stdin:
        base = caller.report(base)


if __name__ == '__main__':
    main()
