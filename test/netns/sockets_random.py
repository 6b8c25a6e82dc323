"""Opens and closes sockets of random types as a busy program does, with children that share them, until killed:
sockets_random.py SEED ADDRESS PORT. A socket that has an address and then fails is said on stdout: it was taken away."""
import errno
import os
import random
import socket
import struct
import sys
import time

PASSING = (errno.EAGAIN, errno.ECONNREFUSED, errno.EADDRNOTAVAIL)


def open_one(r, to):
    s = socket.socket(socket.AF_INET6, r.choice([socket.SOCK_DGRAM, socket.SOCK_DGRAM, socket.SOCK_STREAM]))
    own = r.random() < 0.05
    s.setsockopt(socket.IPPROTO_IPV6, 72, struct.pack('I', r.choice([1, 2, 3, 4]) << 16 | (own << 20)))
    for _ in range(r.choice([1, 400])):
        try:
            s.connect(to)
            return s, s.getsockname()[0]
        except OSError as e:
            if e.errno not in PASSING:
                raise
        time.sleep(0.005)
    s.close()
    return None


def share(r, held):
    """A child that keeps all of them for a moment, and ends in its own way."""
    if os.fork() == 0:
        time.sleep(r.random() * 0.5)
        os._exit(0) if r.random() < 0.5 else os.kill(os.getpid(), 9)


def check(held):
    for s, address in held:
        try:
            s.send(b'x')
        except OSError as e:
            if e.errno != errno.ECONNREFUSED:
                print(f'{address}: {errno.errorcode.get(e.errno)}', flush=True)


def main():
    r, to, held = random.Random(int(sys.argv[1])), (sys.argv[2], int(sys.argv[3])), []
    while True:
        act = r.random()
        if act < 0.5 and len(held) < 40:
            got = open_one(r, to)
            held += [got] if got else []
        elif act < 0.9 and held:
            held.pop(r.randrange(len(held)))[0].close()
        elif act < 0.93:
            share(r, held)
        else:
            check(held)
        time.sleep(r.random() * 0.01)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass


if __name__ == '__main__':
    main()
