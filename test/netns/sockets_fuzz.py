"""Programs for test_sockets_fuzz.py: one that calls everything about sockets and their addresses with random
values, and one that wants nothing but to go on meanwhile.

sockets_fuzz.py fuzz SEED SECONDS SC_SOCK PEER     prints how many calls it made
sockets_fuzz.py victim SECONDS PEER                prints what happened to it
"""
import collections
import ctypes
import json
import os
import random
import resource
import select
import socket
import struct
import sys
import time

LIBC = ctypes.CDLL(None, use_errno=True)
OPTION, LONG, TYPE_SHIFT, READY = 72, 48, 16, 0x00200000
LENGTHS = [0, 1, 2, 3, 4, 5, 7, 8, 16, 44, 47, 48, 49, 56, 64, 255, 4095, 4096, 4097, 8192, -1, 0x7fffffff]
ADDRESSES = ['::', '::1', '::ffff:203.0.113.1', '::ffff:127.0.0.1', '::ffff:0.0.0.0', 'fe80::1', 'ff02::1', 'ff0e::1',
             '2001:db8:a::1', '2001:db8:100::5', '0.0.0.0', '127.0.0.1', '203.0.113.1', '255.255.255.255',
             '224.0.0.1', '169.254.1.1', '192.0.2.1']
AREA = 16384
UDP, TCP = 7100, 7101


class Fuzz:
    def __init__(self, seed, sc_sock, peer):
        self.draw, self.sc_sock, self.peer = random.Random(seed), sc_sock, peer
        self.fds, self.clients, self.calls = [], [], collections.Counter()
        self.area = ctypes.create_string_buffer(AREA)
        resource.setrlimit(resource.RLIMIT_NOFILE, (400, 400))

    def fd(self):
        return self.draw.choice(self.fds) if self.fds else -1

    def place(self, octets):
        """Where the octets lie, at any alignment; now and then nowhere."""
        if self.draw.random() < 0.03:
            return self.draw.choice([0, 1, 0xdeadbeef, (1 << 47) - 2])
        at = self.draw.randrange(16)
        ctypes.memmove(ctypes.addressof(self.area) + at, octets, min(len(octets), AREA - 16))
        return ctypes.addressof(self.area) + at

    def call(self, name, *args):
        result = getattr(LIBC, name)(*(ctypes.c_void_p(a) if a >= 1 << 31 else ctypes.c_int(a) for a in args))
        self.calls[f'{name} {"ok" if result >= 0 else "refused"}'] += 1
        return result

    def keep(self, fd):
        if fd < 0:
            return
        if len(self.fds) > 200:
            os.close(self.fds.pop(self.draw.randrange(len(self.fds))))
        self.fds.append(fd)

    def socket(self):
        kind = self.draw.choice([1, 1, 1, 2, 2, 2, 3, 5]) | socket.SOCK_NONBLOCK
        self.keep(self.call('socket', self.draw.choice([2, 10, 10, 10, 1, 16]), kind,
                            self.draw.choice([0, 0, 0, 0, 1, 58, 136, 262, 132])))

    def value(self):
        return self.draw.choice([
            self.draw.getrandbits(32), self.draw.randrange(16) << TYPE_SHIFT, self.draw.randrange(1, 5) << TYPE_SHIFT,
            self.draw.randrange(1, 5) << TYPE_SHIFT | 0x100000, self.draw.randrange(0x1000), 0x7f0000])

    def option(self):
        rest = self.draw.choice([b'', bytes(LONG - 4), self.draw.randbytes(LONG - 4), self.draw.randbytes(5000),
                                 bytes(28) + struct.pack('=QI', self.draw.getrandbits(20), self.draw.getrandbits(16)) +
                                 bytes(4)])
        return struct.pack('=I', self.value()) + rest

    def set(self):
        octets = self.option()
        length = len(octets) if self.draw.random() < 0.6 else self.draw.choice(LENGTHS)
        self.call('setsockopt', self.fd(), self.draw.choice([41, 41, 41, 41, 0, 1, 6]),
                  self.draw.choice([OPTION] * 6 + [self.draw.randrange(100)]), self.place(octets), length)

    def get(self):
        length = self.place(struct.pack('=i', self.draw.choice(LENGTHS + [self.draw.randrange(8300)])))
        out = ctypes.addressof(self.area) + 64 + self.draw.randrange(16)
        self.call('getsockopt', self.fd(), 41, OPTION, out, length)

    def address(self):
        ip, port = self.draw.choice(ADDRESSES + [self.peer] * 8), self.draw.choice([0, 1, UDP, TCP, 65535])
        if ':' in ip:
            octets = struct.pack('=H', self.draw.choice([10] * 6 + [2, 0])) + struct.pack('!HI', port, 0) + \
                socket.inet_pton(10, ip) + struct.pack('=I', self.draw.choice([0, 0, 0, 1, 2, self.draw.getrandbits(32)]))
        else:
            octets = struct.pack('=H', self.draw.choice([2] * 6 + [10, 0])) + struct.pack('!H', port) + \
                socket.inet_pton(2, ip) + bytes(8)
        if self.draw.random() < 0.15:
            octets = self.draw.randbytes(self.draw.randrange(129))
        length = len(octets) if self.draw.random() < 0.85 else self.draw.choice([0, 2, 16, 24, 28, 128, 129, -1])
        return self.place(octets), length

    def bind(self):
        self.call('bind', self.fd(), *self.address())

    def connect(self):
        self.call('connect', self.fd(), *self.address())

    def listen(self):
        self.call('listen', self.fd(), self.draw.choice([0, 1, -1, 100000]))

    def sendto(self):
        data = ctypes.addressof(self.area) + 4096
        self.call('sendto', self.fd(), data, self.draw.choice([0, 1, 1000, 9000]), 0x4040, *self.address())

    def sendmsg(self):
        """With a source of its own choice (IPV6_PKTINFO, IP_PKTINFO), or nonsense."""
        info = self.draw.choice([(41, 50, socket.inet_pton(10, '2001:db8:100::5') + bytes(4)),
                                 (0, 8, bytes(4) + socket.inet_pton(2, '198.51.100.5') * 2),
                                 (self.draw.randrange(64), self.draw.randrange(64),
                                  self.draw.randbytes(self.draw.randrange(40)))])
        try:
            with socket.socket(fileno=os.dup(self.fd())) as s:
                s.setblocking(False)
                s.sendmsg([b'x'], [info], 0, (self.peer, UDP))
        except (OSError, ValueError, TypeError, OverflowError):
            self.calls['sendmsg refused'] += 1

    def close(self):
        if self.fds:
            os.close(self.fds.pop(self.draw.randrange(len(self.fds))))

    def dial(self):
        """sc.sock, with one client more."""
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        s.setblocking(False)
        try:
            s.connect(self.sc_sock)
            self.clients.append(s)
            self.calls['sc.sock connected'] += 1
        except OSError:
            self.calls['sc.sock refused'] += 1
            s.close()
        if len(self.clients) > 60:
            self.clients.pop(self.draw.randrange(60)).close()

    def ask(self):
        if not self.clients:
            return
        s = self.draw.choice(self.clients)
        request = struct.pack('=HHI', self.draw.choice([1, 1, 1, 0, 9]), self.draw.choice([1, 2, 1, 2, 7]),
                              self.draw.choice([0, 1, 100, 0xffffffff]))
        if self.draw.random() < 0.3:
            request = self.draw.randbytes(self.draw.choice([0, 1, 7, 9, 200, 4000]))
        files = [self.fd() for _ in range(self.draw.choice([0, 1, 1, 1, 1, 2, 5]))]
        try:
            socket.send_fds(s, [request], [f for f in files if f >= 0] + [0] * (self.draw.random() < 0.1))
            self.calls['sc.sock asked'] += 1
            if self.draw.random() < 0.7:  # else it never reads
                s.recv(4096)
        except OSError:
            self.calls['sc.sock ended'] += 1
            if self.draw.random() < 0.5:
                self.clients.remove(s)
                s.close()

    def run(self, seconds):
        acts = [self.socket] * 5 + [self.set] * 12 + [self.get] * 6 + [self.bind] * 2 + [self.connect] * 6 + \
            [self.sendto, self.sendmsg] * 2 + [self.listen, self.dial] + [self.ask] * 3 + [self.close] * 3
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for _ in range(50):
                self.draw.choice(acts)()
        print(json.dumps(self.calls), flush=True)


class Victim:
    """Sockets of types that were there before, and new ones."""

    def __init__(self, peer):
        self.peer, self.did = peer, collections.Counter(changed=0, lost=0, errors=0)
        self.udp, self.tcp = self.open(socket.SOCK_DGRAM, 2, UDP), self.open(socket.SOCK_STREAM, 1, TCP)
        self.shown = [self.show(s) for s in (self.udp, self.tcp)]
        assert all(struct.unpack_from('=I', x)[0] & READY for x in self.shown)

    def open(self, kind, of_type, port):
        s = socket.socket(socket.AF_INET6, kind)
        s.settimeout(3)
        s.setsockopt(41, OPTION, of_type << TYPE_SHIFT)
        end = time.monotonic() + 5
        while True:
            try:
                s.connect((self.peer, port))
                return s
            except BlockingIOError:  # EAGAIN: asked for, and not there yet
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)

    def show(self, s):
        return s.getsockopt(41, OPTION, LONG)

    def talk(self, s, text):
        self.did['sent'] += 1
        for _ in range(8 if s.type == socket.SOCK_DGRAM else 1):  # others fill queues, as they may
            s.send(text)
            if self.hears(s, text, 0.5 if s.type == socket.SOCK_DGRAM else 5):
                return
        self.did['lost'] += 1

    @staticmethod
    def hears(s, text, limit_s):
        end = time.monotonic() + limit_s
        while select.select([s], [], [], max(0, end - time.monotonic()))[0]:
            if s.recv(100) == text:  # not the answer to one before, sent twice
                return True
        return False

    def run(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                self.talk(self.udp, b'd%d' % self.did['sent'])
                self.talk(self.tcp, b's%d' % self.did['sent'])
                with self.open(socket.SOCK_DGRAM, 2, UDP) as s:
                    self.talk(s, b'n%d' % self.did['sent'])
            except OSError as e:
                print(e, file=sys.stderr)
                self.did['errors'] += 1
            self.did['changed'] += self.shown != [self.show(s) for s in (self.udp, self.tcp)]
            time.sleep(0.02)
        print(json.dumps(self.did), flush=True)


def main():
    if sys.argv[1] == 'victim':
        victim = Victim(sys.argv[3])
        print('ready', flush=True)
        victim.run(float(sys.argv[2]))
    else:
        Fuzz(int(sys.argv[2]), *sys.argv[4:6]).run(float(sys.argv[3]))


if __name__ == '__main__':
    main()
