"""A program that asks by libflowmob. Prints one JSON object a step.

setsc_client.py TYPE HOW PEER PORT [timeout=MS] [fresh] [life=S] [flags=N] [type-first]
HOW: none, connect, sendto, tcp, bind (to the address, then connect), wildcard (bind to ::, then connect),
listen (at :: PORT; sends "hello" to one), watch (events until its input ends), moved (the same, of a connected socket), start (without waiting), closed (while
another waits for it by setsc_start())
"""
import ctypes
import errno
import json
import os
import select
import socket
import struct
import sys
import time

PREFERENCES = 72
lib = ctypes.CDLL('libflowmob.so.0', use_errno=True)
lib.sc_strerror.restype = ctypes.c_char_p


def tell(**what):
    print(json.dumps(what), flush=True)


def preferences(sock, value):
    sock.setsockopt(socket.IPPROTO_IPV6, PREFERENCES, value)


def setsc(sock, kind, more):
    source, start = (ctypes.c_ubyte * 16)(), time.monotonic()
    result = lib.setsc_within(sock.fileno(), source, kind, int(more.get('timeout', -1)))
    error = ctypes.get_errno() if result else 0
    tell(result=result, errno=errno.errorcode.get(error, error), took_ms=(time.monotonic() - start) * 1000,
         source=socket.inet_ntop(socket.AF_INET6, bytes(source)), text=lib.sc_strerror(result).decode())
    return socket.inet_ntop(socket.AF_INET6, bytes(source))


def start(sock, kind):
    source = (ctypes.c_ubyte * 16)()
    begin = time.monotonic()
    fd = lib.setsc_start(sock.fileno(), kind, -1)
    took_ms = (time.monotonic() - begin) * 1000
    early = lib.setsc_finish(fd, sock.fileno(), source), errno.errorcode.get(ctypes.get_errno())
    select.select([fd], [], [], 10)
    result = lib.setsc_finish(fd, sock.fileno(), source)
    tell(took_ms=took_ms, early=early, result=result, source=socket.inet_ntop(socket.AF_INET6, bytes(source)))
    os.close(fd)


def close_while_waiting(sock, kind):
    source = (ctypes.c_ubyte * 16)()
    fd = lib.setsc_start(sock.fileno(), kind, -1)
    is_early = bool(select.select([fd], [], [], 0.3)[0])
    number, begin = sock.fileno(), time.monotonic()
    sock.close()
    is_woken = bool(select.select([fd], [], [], 4)[0])
    took_ms = (time.monotonic() - begin) * 1000
    result = lib.setsc_finish(fd, number, source)
    tell(early=is_early, woken=is_woken, took_ms=took_ms, result=result, errno=errno.errorcode[ctypes.get_errno()])


def watch(sock):
    fd = lib.sc_watch(sock.fileno())
    event = ctypes.create_string_buffer(128)
    while fd >= 0:
        ready, _, _ = select.select([fd, sys.stdin], [], [])
        if sys.stdin in ready:
            break
        while lib.sc_read(fd, event) == 0:
            change, kind, error, life_s, source, other, access = struct.unpack('IIiI16s16s64s', event.raw[:112])
            tell(change=change, type=kind, error=error, life_s=life_s, access=access.rstrip(b'\0').decode(),
                 source=socket.inet_ntop(socket.AF_INET6, source),
                 replacement=socket.inet_ntop(socket.AF_INET6, other))
        if ctypes.get_errno() != errno.EAGAIN:
            break
    result = lib.getsc(sock.fileno(), None, None)
    tell(result=result, errno=errno.errorcode.get(ctypes.get_errno(), 0) if result else 0)


def use(sock, how, source, peer, port):
    if how == 'listen':
        sock.bind(('::', port))
        sock.listen()
        tell(listens=True)
        one, _ = sock.accept()
        one.sendall(b'hello')
        one.close()
        return
    if how == 'moved':
        sock.connect((peer, port))
        sock.send(b'hello')
        tell(connected='[%s]:%d' % sock.getsockname()[:2])
    if how in ('watch', 'moved'):
        watch(sock)
        return
    sock.settimeout(5)
    if how in ('bind', 'wildcard'):
        sock.bind((source if how == 'bind' else '::', 0))
    if how == 'sendto':
        sock.sendto(b'hello', (peer, port))
    else:
        sock.connect((peer, port))
        if how != 'tcp':
            sock.send(b'hello')
    tell(seen=sock.recv(200).decode(), local=sock.getsockname()[0])


def main():
    kind, how, peer, port = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
    more = dict((word + '=').split('=')[:2] for word in sys.argv[5:])
    sock = socket.socket(socket.AF_INET6, socket.SOCK_STREAM if how in ('tcp', 'listen') else socket.SOCK_DGRAM)
    if 'flags' in more and 'type-first' not in more:
        preferences(sock, int(more['flags'], 0))
    if 'fresh' in more:
        preferences(sock, 1 << 20)
    if 'life' in more:
        tell(lifetime=lib.setsc_lifetime(sock.fileno(), ctypes.c_uint32(int(more['life'])), ctypes.c_uint64(0)))
    if how == 'start':
        start(sock, kind)
    if how == 'closed':
        close_while_waiting(sock, kind)
        return
    source = setsc(sock, kind, more)
    if 'flags' in more and 'type-first' in more:
        preferences(sock, int(more['flags'], 0))
    if how != 'none':
        try:
            use(sock, how, source, peer, port)
        except OSError as e:
            tell(failed=errno.errorcode.get(e.errno, str(e)))


if __name__ == '__main__':
    sys.exit(main())
