"""As cells_client.c, by the plain socket option, as any Python program can: see there for its commands.

cells_client.py PEER PORT [NAME=TYPE/USE/PORT...]
"""
import errno
import json
import os
import select
import socket
import struct
import sys
import time

OPTION, READY, FAILED = 72, 1 << 21, 1 << 22
LONG = struct.Struct('Ii16sQQII')  # value, errno, address, id, bytes, seconds, reserved
TICK_S, OPEN_S = 0.1, 6
STREAMS = ('tcp', 'listen', 'taken')


def tell(one, **what):
    print(json.dumps({'name': one.name, **what}), flush=True)


class One:
    """A socket that talks, or answers."""

    def __init__(self, spec, peer, taken=None):
        self.spec = spec
        self.name, _, how = spec.partition('=')
        kind, self.use, port = how.split('/')
        self.type, self.port, self.peer = int(kind), int(port), peer
        self.number = self.ack = 0
        self.told, self.rest, self.talk, self.taken = None, b'', taken, []
        if taken:
            self.use, self.socket = 'taken', taken
            return
        self.socket = socket.socket(socket.AF_INET6,
                                    socket.SOCK_STREAM if self.use in STREAMS else socket.SOCK_DGRAM)
        try:
            source = self.make()
            tell(self, did='open', source=source)
        except OSError as e:
            self.tell_error('open', e)
            self.talk = None

    def tell_error(self, did, error):
        if self.told != error.errno:
            self.told = error.errno
            tell(self, did=did, errno=errno.errorcode.get(error.errno, str(error)))

    def option(self):
        return LONG.unpack(self.socket.getsockopt(socket.IPPROTO_IPV6, OPTION, LONG.size).ljust(LONG.size, b'\0'))

    def ask(self):
        self.socket.setsockopt(socket.IPPROTO_IPV6, OPTION, struct.pack('I', self.type << 16))

    def until_ready(self):
        """A server wants to say where it is."""
        end = time.monotonic() + OPEN_S
        while time.monotonic() < end:
            value, error, address = self.option()[:3]
            if value & FAILED:
                raise OSError(error or errno.EADDRNOTAVAIL, 'refused')
            if value & READY:
                return socket.inet_ntop(socket.AF_INET6, address)
            time.sleep(0.005)
        raise OSError(errno.ETIMEDOUT, 'not there')

    def connect(self):
        end = time.monotonic() + OPEN_S
        while True:
            try:
                return self.socket.connect(self.peer)
            except OSError as e:
                if e.errno != errno.EAGAIN or time.monotonic() > end:
                    raise
            time.sleep(0.005)

    def make(self):
        if self.type:
            self.ask()
        if self.use == 'listen':
            source = self.until_ready() if self.type else '::'
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.socket.bind(('::', self.port))
            self.socket.listen(4)
            return source
        if self.use != 'sendto':
            self.connect()
        self.talk = self.socket
        return self.socket.getsockname()[0]

    def say(self):
        self.number += 1
        line = f'{self.name} {self.number} {self.ack}\n'.encode()
        try:
            if self.use == 'sendto':
                self.talk.sendto(line, socket.MSG_DONTWAIT, self.peer)
            else:
                self.talk.send(line, socket.MSG_DONTWAIT)
        except OSError as e:
            self.tell_error('send', e)

    def hear(self):
        try:
            data = self.talk.recv(2048, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError as e:
            self.tell_error('receive', e)
            data = b''
        if not data and self.use in STREAMS:
            tell(self, did='end')
            self.talk = None
        elif self.use == 'taken':
            self.talk.send(data, socket.MSG_DONTWAIT)
        else:
            *lines, self.rest = (self.rest + data).split(b'\n')
            self.ack = max([self.ack, *(int(x.split()[1]) for x in lines)])

    def accept(self):
        try:
            self.taken.append(One(self.spec, self.peer, self.socket.accept()[0]))
        except OSError as e:
            self.tell_error('accept', e)

    def fds(self):
        """Whom to call when a descriptor is readable."""
        if self.use == 'listen' and self.socket:
            yield self.socket, self.accept
        elif self.talk:
            yield self.talk, self.hear
        for one in self.taken:
            yield from one.fds()

    def close(self):
        for one in self.taken:
            one.socket.close()
        self.socket.close()
        self.socket, self.talk, self.taken = None, None, []
        tell(self, did='close')

    def look(self):
        value, error, address = self.option()[:3]
        tell(self, did='look', type=value >> 16 & 15, errno=errno.errorcode.get(error, str(error)),
             source=socket.inet_ntop(socket.AF_INET6, address))


def obey(line, ones, peer):
    what, about = line.split()
    if what == 'open':
        ones.append(One(about, peer))
    for one in ones:
        if one.name == about and one.socket and what in ('close', 'look'):
            getattr(one, what)()


def main():
    peer = (sys.argv[1], int(sys.argv[2]))
    ones = [One(spec, peer) for spec in sys.argv[3:]]
    at, rest = time.monotonic(), b''
    while True:
        for one in ones:
            if one.talk:
                one.say()
        at = max(at + TICK_S, time.monotonic() - 10 * TICK_S)
        while (left := at - time.monotonic()) > 0:
            calls = dict(pair for one in ones for pair in one.fds())
            for fd in select.select([sys.stdin, *calls], [], [], left)[0]:
                if fd is not sys.stdin:
                    calls[fd]()
                    continue
                data = os.read(0, 65536)
                if not data:
                    return
                *lines, rest = (rest + data).split(b'\n')
                for line in lines:
                    obey(line.decode(), ones, peer)


if __name__ == '__main__':
    main()
