"""The other side of cells_client: a correspondent node that knows nothing of all this. It answers what comes, dials
listeners, and remembers from which address each call came, and when.

cells_peer.py ADDRESS PORT, then commands on its input: "dial NAME ADDRESS PORT" opens a call to a listener, and
"report" prints one JSON object, of each name since the last report:
  sources: from where it came, in order   heard: lines that show that ours arrive over there, too
  gap_ms: the longest time without one    last_ms: since the last one
"""
import json
import os
import select
import socket
import sys
import time

TICK_S = 0.1


class Heard:
    """What is known of one call. It goes on when what we sent comes back, in each direction."""

    def __init__(self):
        self.sources, self.heard, self.ack = [], 0, -1
        self.gap, self.last = 0.0, time.monotonic()

    def note(self, source, ack):
        if source not in self.sources[-1:]:
            self.sources.append(source)
        if ack <= self.ack:
            return
        now = time.monotonic()
        self.gap, self.last, self.ack = max(self.gap, now - self.last), now, ack
        self.heard += 1

    def report(self):
        since = time.monotonic() - self.last
        told = {'sources': self.sources, 'heard': self.heard, 'gap_ms': round(1000 * max(self.gap, since)),
                'last_ms': round(1000 * since)}
        self.sources, self.heard, self.gap = self.sources[-1:], 0, 0.0
        return told


class Stream:
    """A connection: taken from a caller, or dialled by us (@name) to a listener."""

    def __init__(self, s, source, name=None):
        self.socket, self.source, self.name = s, source, name
        self.rest, self.number, self.is_open = b'', 0, True
        s.setblocking(False)

    def write(self, data):
        try:
            self.socket.send(data)
        except BlockingIOError:
            pass
        except OSError:
            self.is_open = False

    def say(self):
        self.number += 1
        self.write(f'{self.name} {self.number} 0\n'.encode())

    def lines(self):
        try:
            data = self.socket.recv(4096)
        except BlockingIOError:
            return []
        except OSError:
            data = b''
        self.is_open = self.is_open and bool(data)
        *lines, self.rest = (self.rest + data).split(b'\n')
        return lines


class Peer:
    def __init__(self, address, port):
        self.udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        self.tcp = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
        self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for s in (self.udp, self.tcp):
            s.bind((address, port))
        self.tcp.listen(128)
        self.streams, self.calls, self.rest = {}, {}, b''

    def of(self, name):
        return self.calls.setdefault(name, Heard())

    def take(self, line, source):
        """A caller's line is answered as it is; its ACK tells what of ours arrived."""
        words = line.split()
        if len(words) == 3:
            self.of(words[0].decode()).note(source, int(words[2]))

    def read_udp(self):
        try:
            data, back = self.udp.recvfrom(2048)
            self.udp.sendto(data, back)
        except OSError:
            return  # an error that an earlier one of ours met
        self.take(data, back[0])

    def read_stream(self, stream):
        for line in stream.lines():
            if stream.name:
                self.of(stream.name).note(stream.source, int(line.split()[1]))
            else:
                stream.write(line + b'\n')
                self.take(line, stream.source)
        if not stream.is_open:
            self.streams.pop(stream.socket, None)
            stream.socket.close()

    def dial(self, name, address, port):
        """Not waited for: it may be that nobody is there."""
        s = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
        s.setblocking(False)
        self.of(name)
        s.connect_ex((address, int(port)))
        self.streams[s] = Stream(s, address, name)

    def obey(self):
        data = os.read(0, 65536)
        if not data:
            sys.exit(0)
        *lines, self.rest = (self.rest + data).split(b'\n')
        for line in lines:
            self.do(line.decode().split())

    def do(self, words):
        if words[0] == 'dial':
            self.dial(*words[1:])
        else:
            print(json.dumps({name: call.report() for name, call in self.calls.items()}), flush=True)

    def serve(self, until):
        while (left := until - time.monotonic()) > 0:
            fds = [sys.stdin, self.udp, self.tcp, *self.streams]
            for fd in select.select(fds, [], [], left)[0]:
                if fd is sys.stdin:
                    self.obey()
                elif fd is self.udp:
                    self.read_udp()
                elif fd is self.tcp:
                    s, back = self.tcp.accept()
                    self.streams[s] = Stream(s, back[0])
                elif fd in self.streams:
                    self.read_stream(self.streams[fd])

    def run(self):
        print('ready', flush=True)
        while True:
            self.serve(time.monotonic() + TICK_S)
            for stream in list(self.streams.values()):
                if stream.name and stream.is_open:
                    stream.say()


if __name__ == '__main__':
    Peer(sys.argv[1], int(sys.argv[2])).run()
