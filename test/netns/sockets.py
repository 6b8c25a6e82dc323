"""Sockets that say how long their address must live (RFC 8653), by the plain socket option, as any Python
program can; run in a node's namespace and cgroup by `flowmob lab exec host -- python3 sockets.py`.

Reads one JSON command a line, and answers each by one JSON line:
  {"do": "open", "name": N, "type": T, "kind": "udp" | "tcp" | "listen", "family": 4 | 6, "own": bool,
   "to": [ADDRESS, PORT], "bind_first": bool, "sendto": bool, "lifetime_s": n, "lifetime_bytes": n}
  {"do": "send" | "close" | "look", "name": N}
An open tells errno by its name, how often it was told EAGAIN, how long it took, and the source.
"""
import array
import errno
import json
import os
import socket
import struct
import sys
import time

OPTION, OWN, READY, FAILED = 72, 1 << 20, 1 << 21, 1 << 22
LONG = struct.Struct('Ii16sQQII')  # value, errno, address, id, bytes, seconds, reserved
SOCKETS = {}


def ask(s, c):
    value = c['type'] << 16 | (OWN if c.get('own') else 0)
    if c.get('lifetime_s') or c.get('lifetime_bytes'):
        s.setsockopt(socket.IPPROTO_IPV6, OPTION, LONG.pack(
            value, 0, b'', 0, c.get('lifetime_bytes', 0), c.get('lifetime_s', 0), 0))
    else:
        s.setsockopt(socket.IPPROTO_IPV6, OPTION, struct.pack('I', value))


def look(s):
    # a socket that asked for nothing has the kernel's own answer, four octets
    value, error, address, number, _, _, _ = LONG.unpack(
        s.getsockopt(socket.IPPROTO_IPV6, OPTION, LONG.size).ljust(LONG.size, b'\0'))
    return {'value': value, 'type': value >> 16 & 15, 'ready': bool(value & READY), 'failed': bool(value & FAILED),
            'error': errno.errorcode.get(error, error), 'option_address': socket.inet_ntop(socket.AF_INET6, address),
            'number': number}


def until_there(act, limit_s):
    """Act until something else than EAGAIN comes; how often that came."""
    begin, agains = time.monotonic(), 0
    while True:
        try:
            act()
            return agains
        except OSError as e:
            if e.errno != errno.EAGAIN or time.monotonic() - begin > limit_s:
                raise
        agains += 1
        time.sleep(0.001)


def make(c):
    family = socket.AF_INET if c.get('family') == 4 else socket.AF_INET6
    s = socket.socket(family, socket.SOCK_DGRAM if c['kind'] == 'udp' else socket.SOCK_STREAM)
    SOCKETS[c['name']] = s
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if c.get('bind_first'):
        s.bind(('', 0))
    if c.get('type'):
        ask(s, c)
    return s


def open_one(c):
    begin = time.monotonic()
    s = make(c)
    to = tuple(c['to'])
    if c.get('sendto'):
        agains = until_there(lambda: s.sendto(b'sendto ' + c['name'].encode(), to), c.get('limit_s', 10))
    else:
        agains = until_there(lambda: s.connect(to), c.get('limit_s', 10))
    if not c.get('sendto'):
        s.send(b'first ' + c['name'].encode())
    return {'agains': agains, 'took_ms': 1000 * (time.monotonic() - begin), 'source': s.getsockname()[0], **look(s)}


def send_one(c):
    s = SOCKETS[c['name']]
    if 'to' in c:
        s.sendto(c['text'].encode(), tuple(c['to']))
    else:
        s.send(c['text'].encode())
    return {'source': s.getsockname()[0]}


def read_one(c):
    s = SOCKETS[c['name']]
    s.settimeout(c.get('limit_s', 5))
    return {'text': s.recv(4096).decode()}


def close_one(c):
    SOCKETS.pop(c['name']).close()
    return {}


def listen_sc(c):
    """A wait or a watch over sc.sock (wire/sc.h)."""
    w = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    w.connect(os.path.join(os.path.dirname(os.environ['FLOWMOB_SOCKET']), 'sc.sock'))
    w.sendmsg([struct.pack('HHI', 1, {'wait': 1, 'watch': 2}[c['op']], c.get('timeout_ms', 0))], [
        (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [SOCKETS[c['name']].fileno()]))])
    SOCKETS[c['as']] = w
    return {}


def hear(c):
    w = SOCKETS[c['name']]
    w.settimeout(c.get('limit_s', 5))
    answer = w.recv(256)
    if not answer:
        return {'kind': 'end'}
    _, kind, error, kind_of, life_s, address, other, access = struct.unpack('HHiII16s16s64s', answer)
    return {'kind': ['', 'state', 'replaced', 'grace', 'lost', 'path'][kind], 'error': errno.errorcode.get(error, error),
            'type': kind_of, 'life_s': life_s, 'address': socket.inet_ntop(socket.AF_INET6, address),
            'other': socket.inet_ntop(socket.AF_INET6, other), 'access': access.rstrip(b'\0').decode()}


def just_make(c):
    make(c)
    return {}


ACTS = {'open': open_one, 'make': just_make, 'send': send_one, 'read': read_one, 'close': close_one,
        'look': lambda c: look(SOCKETS[c['name']]), 'sc': listen_sc, 'hear': hear}


def main():
    for line in sys.stdin:
        c = json.loads(line)
        try:
            said = {'errno': None, **ACTS[c['do']](c)}
        except OSError as e:
            said = {'errno': 'timeout' if isinstance(e, socket.timeout) else errno.errorcode.get(e.errno, e.errno)}
        print(json.dumps(said), flush=True)


if __name__ == '__main__':
    main()
