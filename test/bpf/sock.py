#!/usr/bin/env python3
"""
The `sock` programs without the daemon: sock_drive puts addresses in, plain sockets ask for types,
and a peer in another network namespace tells what address it sees. In a cgroup of its own.
Usage: sock.py BUILD/test/bpf [SOCKETS]; exit code 77 where it is not permitted.
"""
import ctypes
import errno
import os
import random
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback

from sock_world import *

SOCKETS = int(sys.argv[2]) if len(sys.argv) > 2 else 10000
rows = []


def row(name):
    def note(f):
        rows.append((name, f))
        return f
    return note


@row("a socket that asks nothing has what it always had")
def _(d):
    d.ready(A[2])
    same(talk(sock()), OURS6)
    same(talk(udp()), OURS6)
    same(heard(udp(), (PEER6, PORT)), OURS6)
    same(talk(sock(family=socket.AF_INET), PEER4), OURS4)
    same(read(sock()) & 0x7f0000, 0)
    same(kinds(d), [])


@row("flags of RFC 5014 without a type are the kernel's, refusals too")
def _(d):
    s = sock()
    ask(s, PUBLIC)
    same(read(s), PUBLIC | HOME)
    refused(errno.EINVAL, ask, s, PUBLIC | TMP)
    refused(errno.ENOPROTOOPT, ask, sock(family=socket.AF_INET), PUBLIC)
    ask(s, READY | FAILED | TMP)
    same(read(s), TMP | HOME)


@row("types 1 to 4 are taken, others are EINVAL")
def _(d):
    for t in (1, 2, 3, 4):
        same(read(sock(t)), TYPE[t])
    for t in range(5, 16):
        refused(errno.EINVAL, ask, sock(), TYPE[t])
    refused(errno.EINVAL, ask, sock(), 0xffffffff)
    ask(s := sock(), TYPE[2] | READY | FAILED)
    same(read(s), TYPE[2])


@row("a type beats contradictory flags before, beside and after it")
def _(d):
    s, plain = sock(), sock()  # what stays of earlier flags differs among kernels
    for value in (COA, TYPE[2] | PUBLIC | TMP, TYPE[2], PUBLIC | TMP, TMP, TYPE[2] | PUBLIC, TYPE[3], 0):
        ask(s, value)
        if value & (PUBLIC | TMP) != PUBLIC | TMP and value not in TYPE[1:]:
            ask(plain, value & 0xffff)
        same(read(s) & 0xfaff, read(plain) & 0xfaff)
    same(read(s) & ~0xffff, TYPE[3])


@row("the first who asks is told to the daemon, others wait with it")
def _(d):
    a = sock(2)
    (kind, e), = d.events()
    same((kind, e["type"], e["v4"], e["pid"], e["uid"]), ("want", 2, 0, os.getpid(), os.getuid()))
    b = udp(2)
    same(kinds(d), [])
    refused(errno.EAGAIN, a.connect, (PEER6, PORT))
    refused(errno.EAGAIN, b.connect, (PEER6, PORT))
    refused(errno.EAGAIN, udp(2).sendto, b"?", (PEER6, PORT))
    d.ready(A[2])
    same(read(a), TYPE[2] | READY)
    same(talk(a), A[2])
    same(talk(b), A[2])
    d.events()
    b.close()
    same(kinds(d), [])  # it has its address: nobody waits


@row("the event says who asks: cgroup, program, user")
def _(d):
    s = sock(3)
    (_, e), = d.events()
    s.close()
    same(kinds(d), ["gone"])  # who waits for it hears of it
    st = os.stat("/proc/self/exe")
    same(e["ino"], st.st_ino)
    same(e["cgroup"], os.stat(CGROUP).st_ino)


@row("ready: TCP, UDP connected and not, with the address of the type")
def _(d):
    d.ready(A[1], 1)
    d.ready(A[2], 2)
    for t in (1, 2):
        same(talk(sock(t)), A[t])
        same(talk(udp(t)), A[t])
        same(heard(udp(t), (PEER6, PORT)), A[t])
    same(kinds(d), [])


@row("a refused type: EADDRNOTAVAIL, error told; asking again tells the daemon")
def _(d):
    d.type(1, IS_FAILED, error=errno.EPROTONOSUPPORT)
    s = sock(1)
    same(read(s), TYPE[1])  # asked anew: pending
    d.type(1, IS_FAILED, error=errno.EPROTONOSUPPORT)
    same(read(s), TYPE[1] | FAILED)
    same(read_long(s)[:3], (TYPE[1] | FAILED, errno.EPROTONOSUPPORT, "::"))
    refused(errno.EADDRNOTAVAIL, s.connect, (PEER6, PORT))
    refused(errno.EADDRNOTAVAIL, udp_failed(d).sendto, b"?", (PEER6, PORT))


def udp_failed(d):
    s = udp(1)
    d.type(1, IS_FAILED, error=errno.EACCES)
    return s


@row("the long form tells address and number")
def _(d):
    d.ready(A[2])
    a, b = sock(2), sock(2)
    value, error, ip, id, life_bytes, life_s = read_long(a)
    same((value, error, ip, life_bytes, life_s), (TYPE[2] | READY, 0, A[2], 0, 0))
    assert id and id != read_long(b)[3]


@row("bound to an address or connected: EINVAL; the same type again: 0")
def _(d):
    d.ready(A[2])
    s = sock()
    s.bind((OURS6, 0))
    refused(errno.EINVAL, ask, s, TYPE[2])
    s = sock(2)
    talk(s)
    refused(errno.EINVAL, ask, s, TYPE[1])
    ask(s, TYPE[2])
    s = udp()
    s.connect((PEER6, PORT))
    refused(errno.EINVAL, ask, s, TYPE[2])
    s = sock(2)
    s.bind((A[2], 0))
    ask(s, TYPE[2])
    same(talk(s), A[2])


@row("another type while neither bound nor connected")
def _(d):
    one, two = d.ready(A[1], 1), d.ready(A[2], 2)
    s = sock(1)
    same((d.count(one), d.count(two)), (1, 0))
    ask(s, TYPE[2])
    same((d.count(one), d.count(two)), (0, 1))
    same(talk(s), A[2])
    s.close()
    same((d.count(one), d.count(two)), (0, 0))


@row("bind to it, bind to :: with a port, listen: all work, and connect has it")
def _(d):
    slot = d.ready(A[2])
    d.ready(A4, 2, v4=1)
    for make in (sock, udp):
        s = make(2)
        s.bind(("::", 0))
        same(s.getsockname()[0], "::")
        same(talk(s), A[2])
        same(s.getsockopt(socket.SOL_SOCKET, socket.SO_MARK), MARK + slot)
        s = make(2)
        s.bind((A[2], 0))
        same(talk(s), A[2])
        s = make(2)
        s.bind((OURS6, 0))  # bind() beats preferences: RFC 5014 §10
        same(talk(s), OURS6)
    s = udp(2)
    s.bind(("::", 0))
    same(heard(s, (PEER6, PORT)), A[2])
    same(talk(s), A[2])


@row("bound to a port and marked by its program: EADDRNOTAVAIL, never another address")
def _(d):
    d.ready(A[2])
    for make in (sock, udp):
        s = make(2)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, 7)
        s.bind(("::", 0))
        refused(errno.EADDRNOTAVAIL, s.connect, (PEER6, PORT))
        same(s.getsockopt(socket.SOL_SOCKET, socket.SO_MARK), 7)


@row("UDP: sendto, then connect; connect twice; sendto another after connect")
def _(d):
    slot = d.ready(A[2])
    s = udp(2)
    same(heard(s, (PEER6, PORT)), A[2])
    same(talk(s), A[2])
    s = udp(2)
    same(talk(s), A[2])
    same(talk(s), A[2])
    same(heard(s, (PEER6, PORT)), A[2])


def disconnect(s):
    """connect() to AF_UNSPEC."""
    if libc.connect(s.fileno(), struct.pack("H14x", 0), 16) < 0:
        raise OSError(ctypes.get_errno(), "disconnect")


@row("UDP: disconnected and connected anew, to whatever: as without us, with the type's address where it has one")
def _(d):
    slot = d.ready(A[2])
    d.ready(A[1], 1)
    d.ready(A4, 2, v4=1)
    mapped = f"::ffff:{PEER4}"
    s, was_v4 = udp(2), False
    for to, source in ((PEER6, A[2]), ("::1", "::1"), (PEER6, A[2]), (mapped, f"::ffff:{A4}"), ("::ffff:127.0.0.1",) * 2,
                       (PEER6, A[2]), (mapped, f"::ffff:{A4}")):
        s.connect((to, PORT))
        same((to, s.getsockname()[0]), (to, source))
        if to == PEER6 and not was_v4:  # after IPv4 the kernel hears no IPv6 there, with us or without
            same(heard(s), source)
        was_v4 |= to == mapped
        disconnect(s)
        same(s.getsockname()[0], "::")
    s.connect(("fe80::1", 9, 0, socket.if_nametoindex("w0")))
    assert s.getsockname()[0].startswith("fe80::"), s.getsockname()
    disconnect(s)
    same(d.count(slot), 1)
    ask(s, TYPE[1])  # another type, as on a new socket
    same(d.count(slot), 0)
    same(s.getsockopt(socket.SOL_SOCKET, socket.SO_MARK), 0)
    s.sendto(b"?", (PEER6, PORT))
    s.connect((PEER6, PORT))
    same(s.getsockname()[0], A[1])
    disconnect(s)
    ask_long(s, 0)  # no type any more
    s.connect((PEER6, PORT))
    same(s.getsockname()[0], OURS6)
    same(s.getsockopt(socket.SOL_SOCKET, socket.SO_MARK), 0)
    s = udp(2, socket.AF_INET)
    for to, source in ((PEER4, A4), ("127.0.0.1", "127.0.0.1"), (PEER4, A4)):
        s.connect((to, PORT))
        same(s.getsockname()[0], source)
        disconnect(s)


@row("UDP: no route by mark, or a mark of the program's own: the address is bound")
def _(d):
    d.ready(A[2], route=False)
    d.ready(A[1], 1)
    same(talk(udp(2)), A[2])
    s = udp(1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, 7)
    same(talk(s), A[1])
    same(s.getsockopt(socket.SOL_SOCKET, socket.SO_MARK), 7)


@row("loopback, link-local and multicast are left alone")
def _(d):
    d.ready(A[2])
    d.ready(A4, 2, v4=1)
    server = sock()
    server.bind(("::", 0))
    server.listen()
    port = server.getsockname()[1]
    for to, source in (("::1", "::1"), ("::ffff:127.0.0.1", "::ffff:127.0.0.1")):
        s = sock(2)
        s.connect((to, port))
        same(s.getsockname()[0], source)
    s = udp(2)
    s.connect(("fe80::1", 9, 0, socket.if_nametoindex("w0")))
    assert s.getsockname()[0].startswith("fe80::"), s.getsockname()
    udp(2).sendto(b"?", ("ff02::1", 9, 0, socket.if_nametoindex("w0")))
    s = sock(2, family=socket.AF_INET)
    s.connect(("127.0.0.1", port))
    same(s.getsockname()[0], "127.0.0.1")
    s = udp(1)  # no address of that type: near destinations work all the same
    s.connect(("::1", 9))
    same(s.getsockname()[0], "::1")
    for group in ("ff05::1", "ff0e::1"):
        s = udp(2)
        s.connect((group, 9))
        assert s.getsockname()[0] not in (A[1], A[2]), s.getsockname()
        udp(1).sendto(b"?", (group, 9))


@row("held to another device than that of home addresses: EADDRNOTAVAIL; nonpersistent is its device's")
def _(d):
    def held(make, type, **more):
        s = make(type, **more)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"w0")
        return s

    for t in (1, 2, 3, 4):
        d.ready(A[t], t)
    d.ready(A4, 2, v4=1)
    for t in (1, 2, 4):
        refused(errno.EADDRNOTAVAIL, held(sock, t).connect, (PEER6, PORT))
        refused(errno.EADDRNOTAVAIL, held(udp, t).connect, (PEER6, PORT))
        refused(errno.EADDRNOTAVAIL, held(udp, t).sendto, b"?", (PEER6, PORT))
    refused(errno.EADDRNOTAVAIL, held(sock, 2, family=socket.AF_INET).connect, (PEER4, PORT))
    refused(errno.EADDRNOTAVAIL, held(udp, 2, family=socket.AF_INET).sendto, b"?", (PEER4, PORT))
    same(talk(held(sock, 3)), OURS6)
    same(heard(held(udp, 3), (PEER6, PORT)), OURS6)
    s = held(sock, 2)
    s.bind((OURS6, 0))
    same(talk(s), OURS6)
    d.ask("policy 0 0 2")
    same(talk(held(sock, 0)), OURS6)
    d.ask("policy 0 1 0")  # a strict type of policy: who asked for nothing has what it had
    d.ask(f"tree {os.stat(CGROUP).st_ino} 1")
    same(talk(sock()), A[1])
    for make in (sock, udp):
        same(talk(held(make, 0)), OURS6)
    s = udp()
    same(heard(s, (PEER6, PORT)), A[1])
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"w0")
    same(talk(s), OURS6)
    d.ask("tree 0 0")
    d.ask("policy 0 0 2")
    d.ask(f"home {socket.if_nametoindex('w0')}")
    same(talk(held(sock, 2)), A[2])
    same(heard(held(udp, 2), (PEER6, PORT)), A[2])


@row("IPV6_PKTINFO beats the type")
def _(d):
    d.ready(A[2])
    info = socket.inet_pton(socket.AF_INET6, OURS6) + struct.pack("i", 0)
    s = udp(2)
    s.sendmsg([b"?"], [(V6, socket.IPV6_PKTINFO, info)], 0, (PEER6, PORT))
    same(s.recv(100).decode(), OURS6)


@row("IPv4 sockets and v4-mapped destinations have the type's IPv4 address")
def _(d):
    d.ready(A[2])
    slot = d.ready(A4, 2, v4=1)
    mapped = f"::ffff:{PEER4}"
    s = sock(2, family=socket.AF_INET)
    same(read(s), TYPE[2] | READY)
    same(read_long(s)[2], f"::ffff:{A4}")
    same(talk(s, PEER4), A4)
    same(talk(udp(2, socket.AF_INET), PEER4), A4)
    same(heard(udp(2, socket.AF_INET), (PEER4, PORT)), A4)
    same(talk(sock(2), mapped), A4)
    same(talk(udp(2), mapped), A4)
    same(heard(udp(2), (mapped, PORT)), A4)
    s = udp(2)
    same((heard(s, (mapped, PORT)), heard(s, (PEER6, PORT))), (A4, A[2]))
    s.close()
    same(d.count(slot), 0)


@row("no IPv4 address of that type: EADDRNOTAVAIL")
def _(d):
    d.ready(A[2])
    d.type(2, IS_FAILED, error=errno.EADDRNOTAVAIL, v4=1)
    mapped = f"::ffff:{PEER4}"
    for s in (sock(2), udp(2)):
        refused(errno.EADDRNOTAVAIL, s.connect, (mapped, PORT))
        same(talk(s), A[2])
    refused(errno.EADDRNOTAVAIL, udp(2).sendto, b"?", (mapped, PORT))
    s = sock(2, family=socket.AF_INET)
    (kind, e), = d.events()
    same((kind, e["v4"]), ("want", 1))
    d.type(2, IS_FAILED, error=errno.EADDRNOTAVAIL, v4=1)
    refused(errno.EADDRNOTAVAIL, s.connect, (PEER4, PORT))


@row("IPV6_V6ONLY: the kernel refuses a v4-mapped destination as always")
def _(d):
    d.ready(A[2])
    d.ready(A4, 2, v4=1)
    for make in (sock, udp):
        codes = []
        for t in (0, 2):
            s = make(t)
            s.setsockopt(V6, socket.IPV6_V6ONLY, 1)
            codes.append(s.connect_ex((f"::ffff:{PEER4}", PORT)))
        same(codes[0], codes[1])


@row("TCP fast open has the address, by MSG_FASTOPEN too")
def _(d):
    d.ready(A[2])
    for _ in range(2):  # the second time with a cookie
        s = sock(2)
        s.settimeout(None)
        s.sendto(b"?", socket.MSG_FASTOPEN, (PEER6, PORT))
        same(s.recv(100).decode(), A[2])
    refused(errno.EAGAIN, sock(1).sendto, b"?", socket.MSG_FASTOPEN, (PEER6, PORT))


@row("MPTCP: the type acts, its flags are ours alone")
def _(d):
    slot = d.ready(A[2])
    try:
        s = sock(2, proto=262)
    except OSError as e:
        return f"no MPTCP here: {e.strerror}"
    same(read(s), TYPE[2] | READY)
    same(talk(s), A[2])
    same(d.count(slot), 1)
    s.close()
    same(d.count(slot), 0)
    s = sock(1, proto=262)
    refused(errno.EAGAIN, s.connect, (PEER6, PORT))
    d.ready(A[1], 1)
    same(talk(s), A[1])
    same(talk(sock(proto=262)), OURS6)


@row("what no hook sees is not promised: a raw socket, EOPNOTSUPP")
def _(d):
    refused(errno.EOPNOTSUPP, ask, socket.socket(socket.AF_INET6, socket.SOCK_RAW, 58), TYPE[2])


@row("a static program: TCP, UDP")
def _(d):
    slot = d.ready(A[2])
    for how in ("tcp", "udp"):
        same(run(f"{BUILD}/sock_client {how} 2 {PEER6} {PORT}").stdout.strip(), A[2])
    same(run(f"{BUILD}/sock_client tcp 1 {PEER6} {PORT}", check=False).stdout.strip(), "connect: EAGAIN")
    same(d.count(slot), 0)


@row("io_uring: its connect has the address, or fails")
def _(d):
    d.ready(A[2])
    r = run(f"{BUILD}/sock_client uring 2 {PEER6} {PORT}", check=False)
    if r.returncode == 77:
        return "no io_uring here"
    same(r.stdout.strip(), A[2])
    same(run(f"{BUILD}/sock_client uring 1 {PEER6} {PORT}", check=False).stdout.strip(), "connect: EAGAIN")


@row("an address that is no more: ENETRESET; asking again brings the new one")
def _(d):
    slot = d.ready(A[2])
    a, b, c = sock(2), udp(2), udp(2)
    same(heard(b, (PEER6, PORT)), A[2])
    same(talk(c), A[2])
    d.type(2, NONE)
    d.ask(f"forget {slot}")
    same(read_long(a)[:2], (TYPE[2] | FAILED, errno.ENETRESET))
    refused(errno.ENETRESET, a.connect, (PEER6, PORT))
    refused(errno.ENETRESET, b.sendto, b"?", (PEER6, PORT))
    refused(errno.ENETRESET, c.connect, (PEER6, PORT))
    refused(errno.ENETRESET, c.sendto, b"?", (PEER6, PORT))
    other = d.ready(A[3])
    refused(errno.ENETRESET, a.connect, (PEER6, PORT))
    ask(a, TYPE[2])
    ask(b, TYPE[2])
    same(talk(a), A[3])
    same(heard(b, (PEER6, PORT)), A[3])
    same(d.count(other), 2)
    for s in (a, b, c):
        s.close()
    same(d.count(other), 0)


@row("a slot used again counts its own sockets only")
def _(d):
    slot = d.ready(A[2])
    old = [sock(2) for _ in range(5)]
    d.type(2, NONE)
    d.ask(f"forget {slot}")
    for n in range(1, 63):
        d.slot(f"2001:db8:200::{n:x}")
    same(d.ready(A[4]), slot)
    refused(errno.ENOSPC, d.slot, A[5])
    new = [sock(2) for _ in range(3)]
    same(d.count(slot), 3)
    for s in old:
        s.close()
    same(d.count(slot), 3)
    new.pop().close()
    same(d.count(slot), 2)


@row("REQUIRE: an address of its own, by number; gone with the socket")
def _(d):
    d.ready(A[2])
    s = sock()
    ask(s, TYPE[2] | REQUIRE)
    (kind, e), = d.events()
    id = read_long(s)[3]
    same((kind, e["type"], e["id"]), ("own", 2, id))
    same(read(s), TYPE[2] | REQUIRE)
    refused(errno.EAGAIN, s.connect, (PEER6, PORT))
    ask(s, TYPE[2] | REQUIRE)  # nothing new
    same(kinds(d), [])
    slot = d.slot(A[5])
    d.ask(f"answer {id} {IS_READY} {slot} 0")
    same(talk(s), A[5])
    same(d.count(slot), 1)
    s.close()
    (kind, e), = d.events()
    same((kind, e["id"]), ("gone", id))
    same(d.count(slot), 0)
    refused(errno.ENOENT, d.ask, f"answer {id} {IS_READY} {slot} 0")


@row("REQUIRE and a lifetime without a type are for the type asked for next")
def _(d):
    d.ready(A[2])
    for family in (socket.AF_INET6, socket.AF_INET):
        s = sock(family=family)
        ask(s, REQUIRE)
        ask_long(s, REQUIRE, 60, 1000)
        same((read_long(s)[0] & 0x7f0000, read_long(s)[4:]), (REQUIRE, (1000, 60)))
        same(kinds(d), [])
        ask(s, TYPE[2])
        (kind, e), = d.events()
        same((kind, e["type"], e["life"], e["bytes"]), ("own", 2, 60, 1000))
        ask(s, REQUIRE)  # once more: for the next one, the socket keeps what it has
        same(read_long(s)[3], e["id"])
        ask(s, TYPE[2])
        (gone, g), (own, o) = d.events()
        same((gone, g["id"], own, o["life"]), ("gone", e["id"], "own", 0))
        s.close()
        same(kinds(d), ["gone"])
    s = sock()
    ask(s, REQUIRE | COA)
    same(read(s) & COA, COA)
    same(talk(s), OURS6)


@row("the long form takes back what was asked for, but not from a connected socket")
def _(d):
    slot = d.ready(A[2])
    s = sock(2)
    same(read_long(s)[2], A[2])
    same(d.count(slot), 1)
    ask_long(s, 0)
    same((read_long(s)[0] & 0x7f0000, read_long(s)[2], d.count(slot)), (0, "::", 0))
    same(talk(s), OURS6)
    s = sock(2)
    same(talk(s), A[2])
    refused(errno.EINVAL, ask_long, s, 0)
    same((read_long(s)[2], d.count(slot)), (A[2], 1))
    s = sock()
    ask(s, TYPE[2] | REQUIRE)
    ask_long(s, 0)
    same(kinds(d), ["own", "gone"])


@row("the long form tells that there is flowmob, also who asked for nothing")
def _(d):
    for family in (socket.AF_INET6, socket.AF_INET):
        same(read_long(sock(family=family))[1:], (0, "::", 0, 0, 0))
    s = udp()
    s.bind(("::1", 0))
    refused(errno.EINVAL, ask, s, TYPE[2])
    same(read_long(s)[0] & 0x7f0000, 0)
    same(len(sock(kind=socket.SOCK_RAW, proto=89).getsockopt(V6, PREFERENCES, 48)), 4)


@row("setsc(): what is there needs no daemon; what is not is refused at once, and the socket connects")
def _(d):
    os.environ["FLOWMOB_SOCKET"] = f"{PIN}/flowmob.sock"
    d.ready(A[2])
    d.ready(A4, 2, v4=1)
    for kind, family, peer, ours, address in ((udp, socket.AF_INET6, PEER6, OURS6, A[2]),
                                              (sock, socket.AF_INET6, PEER6, OURS6, A[2]),
                                              (udp, socket.AF_INET, PEER4, OURS4, A4)):
        told = address if ":" in address else f"::ffff:{address}"
        s = kind(family=family)
        same(setsc(s, 2), (0, 0, told))
        same(talk(s, peer), address)
        same(setsc(s, 1), (NOT_HAD, errno.EINVAL, "::"))
        same(heard(s), address) if kind is udp else None
        same(setsc(s, 2), (0, 0, told))
        s = kind(family=family)
        same(setsc(s, 1), (NOT_SUPPORTED, errno.ECONNREFUSED, "::"))
        same(setsc(s, 1, 0), (NOT_HAD, errno.ETIMEDOUT, "::"))
        same(talk(s, peer), ours)
        s = kind(family=family)
        ask(s, REQUIRE)
        same(setsc(s, 2), (NOT_SUPPORTED, errno.ECONNREFUSED, "::"))
        same(flowmob.setsc_lifetime(s.fileno(), 60, ctypes.c_uint64(0)), 0)
        same(setsc(s, 2, 0), (NOT_HAD, errno.ETIMEDOUT, "::"))
        same(setsc(s, 2), (0, 0, told))  # what was refused is no longer asked for
    for how in ((A[2], 0), ("::", 0)):
        s = sock()
        same(setsc(s, 2)[0], 0)
        s.bind(how)
        s.listen()
        same(s.getsockname()[0], how[0])
    s = sock(kind=socket.SOCK_RAW, proto=89)
    same(setsc(s, 2), (NOT_SUPPORTED, errno.ENOPROTOOPT, "::"))
    d.events()


@row("a lifetime asks for an own address; a refused one may be asked again")
def _(d):
    s = sock()
    ask_long(s, TYPE[2], 60, 1000)
    (kind, e), = d.events()
    same((kind, e["life"], e["bytes"]), ("own", 60, 1000))
    same(read_long(s)[4:], (1000, 60))
    d.ask(f"answer {e['id']} {IS_FAILED} 0 {errno.ENOBUFS}")
    same(read_long(s)[:2], (TYPE[2] | REQUIRE | FAILED, errno.ENOBUFS))
    refused(errno.EADDRNOTAVAIL, s.connect, (PEER6, PORT))
    ask_long(s, TYPE[2], 60, 1000)
    (gone, g), (own, o) = d.events()
    same((gone, g["id"], own), ("gone", e["id"], "own"))
    assert o["id"] != e["id"]
    ask(s, TYPE[1])
    same(kinds(d), ["gone", "want"])


@row("what was asked of a daemon that died is asked again")
def _(d):
    a, b = sock(2), sock()
    ask(b, TYPE[1] | REQUIRE)
    d.events()
    refused(errno.EAGAIN, a.connect, (PEER6, PORT))
    same(kinds(d), [])
    d.kill()
    d.__init__(PIN, CGROUP)
    refused(errno.EAGAIN, a.connect, (PEER6, PORT))
    refused(errno.EAGAIN, b.connect, (PEER6, PORT))
    same([(k, e["type"]) for k, e in d.events()], [("want", 2), ("own", 1)])
    same(kinds(d), [])


@row("no daemon: waiting ends by the deadline; asking again and an answer work once it is back")
def _(d):
    d.ask("deadline 300")
    d.ask(f"policy {1 << 4} 0 0")
    a, b, c, v4 = sock(2), sock(), sock(4), sock(2, family=socket.AF_INET)
    ask(b, TYPE[1] | REQUIRE)
    d.kill()
    for s in (a, b, c):
        refused(errno.EAGAIN, s.connect, (PEER6, PORT))
    refused(errno.EAGAIN, v4.connect, (PEER4, PORT))
    time.sleep(0.35)
    for s, to in ((a, PEER6), (b, PEER6), (c, PEER6), (v4, PEER4)):
        refused(errno.EADDRNOTAVAIL, s.connect, (to, PORT))
        same((read_long(s)[0] & FAILED, read_long(s)[1]), (FAILED, errno.ETIMEDOUT))
    u = udp(2)
    refused(errno.EAGAIN, u.sendto, b"?", (PEER6, PORT))
    time.sleep(0.35)
    refused(errno.EADDRNOTAVAIL, u.sendto, b"?", (PEER6, PORT))
    ask(u, TYPE[2])
    refused(errno.EAGAIN, u.sendto, b"?", (PEER6, PORT))
    d.__init__(PIN, CGROUP)
    refused(errno.EADDRNOTAVAIL, a.connect, (PEER6, PORT))
    ask(a, TYPE[2])
    refused(errno.EAGAIN, a.connect, (PEER6, PORT))
    refused(errno.EADDRNOTAVAIL, b.connect, (PEER6, PORT))
    told = {e["type"]: (kind, e) for kind, e in d.events() if kind != "who"}
    same([told[t][0] for t in (1, 2)], ["own", "want"])
    d.ready(A[2])
    same(talk(a), A[2])
    same(heard(u, (PEER6, PORT)), A[2])
    d.ask(f"answer {told[1][1]['id']} {IS_READY} {d.slot(A[5])} 0")
    same(talk(b), A[5])


@row("a daemon's restart changes nothing for sockets; counts stay")
def _(d):
    slot = d.ready(A[2])
    a, b = sock(2), udp(2)
    d.kill()
    same(talk(sock(2)), A[2])
    d.__init__(PIN, CGROUP)
    same(d.ask("each"), [f"slot {slot} type 2 {A[2]} count 2"])
    same(d.slot(A[2]), slot)
    same(talk(a), A[2])
    same(talk(b), A[2])
    a.close()
    b.close()
    same(d.count(slot), 0)


@row("fork, dup and passing on count once, the last close ends it")
def _(d):
    slot = d.ready(A[2])
    s = sock(2)
    same(d.count(slot), 1)
    copy = s.dup()
    left, right = socket.socketpair()
    socket.send_fds(left, [b"x"], [s.fileno()])
    s.close()
    copy.close()
    same(d.count(slot), 1)  # one is on its way
    _, fds, _, _ = socket.recv_fds(right, 1, 1)
    child = os.fork()
    if child == 0:
        time.sleep(60)
    os.close(fds[0])
    same(d.count(slot), 1)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    same(d.count(slot), 0)


@row("a folder that is no cgroup is refused as that")
def no_cgroup(d):
    refused(errno.EINVAL, Drive, f"{PIN}-elsewhere", "/tmp")


@row("accepted children show the type and count nothing")
def _(d):
    slot = d.ready(A[2])
    s = sock(2)
    s.bind(("::", 0))
    s.listen()
    for _ in range(2):
        c = sock()
        c.connect((A[2], s.getsockname()[1]))
        child, _ = s.accept()
        same(read_long(child)[:3], (TYPE[2] | READY, 0, A[2]))
        same(d.count(slot), 1)
        libc.connect(child.fileno(), bytes(16), 16)  # AF_UNSPEC: disconnected, it may ask for itself
        ask(child, TYPE[2])
        same(d.count(slot), 2)
        child.close()
        same(d.count(slot), 1)
    s.close()
    same(d.count(slot), 0)


@row("a closed policy: no verdict, EAGAIN; allowed; denied, EACCES told")
def _(d):
    d.ready(A[1], 1)
    d.ready(A[2], 2)
    before = d.refused(1)
    d.ask("policy 6 0 0")
    s = sock(2)
    (kind, e), = d.events()
    same(kind, "who")
    same(read(s), TYPE[2])
    refused(errno.EAGAIN, s.connect, (PEER6, PORT))
    d.ask(f"verdict {e['cgroup']} {e['ino']} {e['dev']} {e['uid']} {e['gid']} 4 0 0 0")
    d.events()
    same(talk(s), A[2])
    s = sock(1)
    same(read_long(s)[:2], (TYPE[1] | FAILED, errno.EACCES))
    refused(errno.EADDRNOTAVAIL, s.connect, (PEER6, PORT))
    (kind, e), = d.events()  # a socket counts once, a program is told of once
    same((kind, e["type"], e["pid"], d.refused(1)), ("refused", 1, os.getpid(), before + 1))
    refused(errno.EADDRNOTAVAIL, sock(1).connect, (PEER6, PORT))
    same((kinds(d), d.refused(1), d.refused(2)), ([], before + 2, d.refused(3)))
    d.ask("policy 6 0 0")  # verdicts of before are stale
    refused(errno.EAGAIN, sock(2).connect, (PEER6, PORT))
    assert "who" in kinds(d)


@row("a type that is everybody's needs no verdict while another is closed")
def _(d):
    d.ready(A[1], 1)
    d.ready(A[2], 2)
    d.ask("policy 2 0 0")
    same(talk(sock(2)), A[2])
    same(kinds(d), [])
    refused(errno.EAGAIN, sock(1).connect, (PEER6, PORT))
    assert "who" in kinds(d)


@row("a verdict for a cgroup serves whoever is in it")
def _(d):
    d.ready(A[2], 2)
    d.ask("policy 6 0 0")
    d.ask(f"verdict {os.stat(CGROUP).st_ino} 0 0 {2**32 - 1} {2**32 - 1} 4 0 0 0")
    same(talk(sock(2)), A[2])
    same(run(f"{BUILD}/sock_client tcp 2 {PEER6} {PORT}").stdout.strip(), A[2])
    same(kinds(d), [])


@row("a verdict for any cgroup serves a program in a new one; its cgroup's, then its own, go before")
def _(d):
    d.ready(A[2], 2)
    d.ask("policy 0 1 0")
    client, here, any = f"{BUILD}/sock_client tcp 0 {PEER6} {PORT}", os.stat(CGROUP).st_ino, 2**32 - 1

    def source():
        inside = f"{CGROUP}/{time.monotonic_ns()}"
        os.mkdir(inside)
        told = run(client, preexec_fn=lambda: open(f"{inside}/cgroup.procs", "w").write("0"))
        os.rmdir(inside)
        return told.stdout.strip()

    same(source(), OURS6)
    (_, e), = d.events()
    assert e["cgroup"] != here
    program = f"{e['ino']} {e['dev']}"
    d.ask(f"verdict 0 {program} 0 0 0 2 0 0")
    same([source(), source()], [A[2], A[2]])
    d.ask(f"verdict 0 {program} 1 0 0 0 0 0")  # another user's
    same(source(), A[2])
    d.ask(f"verdict {here} 0 0 {any} {any} 0 0 0 0")
    same(run(client).stdout.strip(), OURS6)
    d.ask(f"verdict {here} {program} 0 0 0 2 0 0")
    same(run(client).stdout.strip(), A[2])
    d.ask("policy 0 1 0")
    d.ask(f"verdict 0 {program} 0 0 0 2 0 0")  # those of before are stale
    same(run(client).stdout.strip(), A[2])
    same(kinds(d), [])


@row("where policy knows people only: this user in this group, this user, this group, all others")
def _(d):
    d.ready(A[2], 2)
    client, any = f"{BUILD}/sock_client tcp 2 {PEER6} {PORT}", 2**32 - 1

    def source(uid, gid):
        def become():
            os.setgroups([])
            os.setresgid(gid, gid, gid)
            os.setresuid(uid, uid, uid)

        return run(client, check=False, preexec_fn=become).stdout.strip()

    allow = lambda uid, gid, types: d.ask(f"verdict 0 0 0 {uid} {gid} {types} 0 0 0")
    none = "connect: EADDRNOTAVAIL"
    d.ask("policy 4 0 0")
    d.ask("people 1")
    try:
        same(source(1, 1), "connect: EAGAIN")
        assert "who" in kinds(d)
        allow(any, any, 0)
        same([source(1, 1), source(2, 1), source(1, 1)], [none] * 3)
        same([(kind, e["uid"]) for kind, e in d.events()], [("refused", 1), ("refused", 2)])
        allow(1, any, 4)
        same([source(1, 1), source(2, 1)], [A[2], none])
        allow(any, 1, 4)
        allow(1, 2, 0)
        same([source(2, 1), source(1, 2), source(1, 3), source(2, 2)], [A[2], none, A[2], none])
        d.events()
        d.ask("policy 4 0 0")  # those of before are stale
        same(source(1, 1), "connect: EAGAIN")
    finally:
        d.ask("people 0")


@row("a fresh cgroup below that of a run has the run's type, not what the program has elsewhere")
def _(d):
    d.ready(A[1], 1)
    d.ready(A[2], 2)
    d.ask("policy 0 1 0")
    d.ask(f"verdict 0 {of_me()} 0 1 0 0")
    below = f"{CGROUP}/run/a/b"
    os.makedirs(below)
    join = lambda cgroup: open(f"{cgroup}/cgroup.procs", "w").write(str(os.getpid()))
    try:
        d.ask(f"tree {os.stat(f'{CGROUP}/run').st_ino} 2")
        same(talk(udp()), A[1])
        for cgroup in (f"{CGROUP}/run", below):
            join(cgroup)
            same(talk(udp()), A[2])
        same(kinds(d), [])
        d.ask(f"verdict {os.stat(below).st_ino} {of_me()} 0 1 0 0")  # its own goes before
        same(talk(udp()), A[1])
    finally:
        join(CGROUP)
        for cgroup in (below, f"{CGROUP}/run/a", f"{CGROUP}/run"):
            os.rmdir(cgroup)


@row("a default for all: what is ready is given, else all is as without")
def _(d):
    d.ask("policy 0 0 2")
    same(talk(sock()), OURS6)
    same(heard(udp(), (PEER6, PORT)), OURS6)
    same(kinds(d), ["want"])
    slot = d.ready(A[2])
    s = sock()
    same(talk(s), A[2])
    same(read(s), TYPE[2] | READY)
    same(heard(u := udp(), (PEER6, PORT)), A[2])
    same(d.count(slot), 2)
    d.ready(A[1], 1)
    same(talk(sock(1)), A[1])
    n = sock()
    n.bind((OURS6, 0))
    same(talk(n), OURS6)
    d.type(2, NONE)
    d.ask(f"forget {slot}")
    d.ready(A[3])
    same(heard(u, (PEER6, PORT)), A[3])  # it asked for nothing: the new one will do


@row("a strict default of a cgroup: no address, no connect; its own request")
def _(d):
    d.ask("policy 0 1 0")
    id = 2**63 + 7
    d.ask(f"answer {id} {PENDING} 0 0")
    d.ask(f"verdict {os.stat(CGROUP).st_ino} 0 0 {2**32 - 1} {2**32 - 1} 0 2 1 {id}")
    refused(errno.EAGAIN, sock().connect, (PEER6, PORT))
    refused(errno.EAGAIN, udp().sendto, b"?", (PEER6, PORT))
    slot = d.slot(A[6])
    d.ask(f"answer {id} {IS_READY} {slot} 0")
    s = sock()
    same(talk(s), A[6])
    same(run(f"{BUILD}/sock_client tcp 2 {PEER6} {PORT}", check=False).stdout.strip(), "connect: EAGAIN")
    d.events()  # that one waited, and is gone
    s.close()
    same(d.count(slot), 0)
    assert "gone" not in kinds(d)
    d.ask(f"answer {id} {NONE} 0 0")


@row("a default without an address of that family: strict fails, not strict is as without")
def _(d):
    who = f"{os.stat(CGROUP).st_ino} 0 0 {2**32 - 1} {2**32 - 1}"
    d.ask("policy 0 1 0")
    d.ready(A[3], 3)
    d.type(3, IS_FAILED, error=errno.EADDRNOTAVAIL, v4=1)
    for strict in (0, 1):
        d.ask(f"verdict {who} 0 3 {strict} 0")
        same(talk(sock()), A[3])
        for family, to in ((socket.AF_INET, PEER4), (socket.AF_INET6, f"::ffff:{PEER4}")):
            if not strict:
                same(talk(sock(family=family), to), OURS4)
                continue
            for make in (sock, udp):
                refused(errno.EADDRNOTAVAIL, make(family=family).connect, (to, PORT))
            refused(errno.EADDRNOTAVAIL, udp(family=family).sendto, b"?", (to, PORT))


def of_me():
    """Our file and user as eBPF sees them: in a file system of layers stat() tells other numbers."""
    return ME


def learn(d):
    d.ask("policy 2 0 0")
    sock(1).close()
    e = next(e for kind, e in d.events() if kind == "who")
    return f"{e['ino']} {e['dev']} {e['uid']} {e['gid']}"


@row("who sends: each socket carries its program, and the verdict on it tells its classes")
def _(d):
    d.ask(f"watch {socket.if_nametoindex('w0')}")
    before = udp()  # made before rules asked who sends: known by its connect, or by its cgroup and user
    bare = udp()
    bare.connect((PEER6, PORT))
    heard(bare)
    same((d.seen(bare), kinds(d)), (0, []))  # nobody asks
    d.ask("senders 1")
    cgroup = os.stat(CGROUP).st_ino
    made = {"udp": udp(), "tcp": sock(), "sendto": udp()}
    (kind, e), *_ = d.events()
    same((kind, e["pid"], e["cgroup"], e["gid"]), ("who", os.getpid(), cgroup, os.getgid()))
    d.ask(f"classes {cgroup} {of_me()} 5")
    for how, s in made.items():
        same(heard(s, (PEER6, PORT)) if how == "sendto" else talk(s), OURS6)
        same((how, d.seen(s)), (how, 5))
    talk(before)
    same(d.seen(before), 5)
    d.ask(f"classes {cgroup} {of_me()} {1 << 31 | 2}")  # it changes for sockets that are open
    heard(made["tcp"])
    same((d.seen(made["tcp"]), kinds(d)), (1 << 31 | 2, []))
    heard(bare)
    (kind, e), = d.events()
    same((kind, e["pid"], e["cgroup"], e["uid"], e["gid"], e["dev"]), ("who", 0, cgroup, 0, 0xffffffff, 0xffffffff))
    d.ask(f"classes {cgroup} 0 {0xffffffff} 0 {0xffffffff} 8")
    heard(bare)
    same((d.seen(bare), kinds(d)), (8, []))


@row("who sends: accepted children are of their listener's program, forks and passed ones of who made them")
def _(d):
    d.ask(f"watch {socket.if_nametoindex('w0')}")
    d.ask("senders 1")
    d.ask(f"classes {os.stat(CGROUP).st_ino} {of_me()} 3")
    server = sock()
    server.bind((OURS6, 0))
    server.listen()
    s = udp()
    s.connect((PEER6, PORT))
    if (child := os.fork()) == 0:
        heard(s)
        os._exit(0)
    os.waitpid(child, 0)
    same(d.seen(s), 3)
    far = subprocess.Popen(["/usr/bin/nsenter", f"--net=/proc/{PEER}/ns/net", sys.executable, "-c",
                            f"import socket; s = socket.create_connection(('{OURS6}', {server.getsockname()[1]})); s.recv(9)"])
    c, _ = server.accept()
    c.send(b"hello")
    far.wait()
    same(d.seen(c), 3)


@row("who sends: another policy asks again, what was known holds meanwhile; no class without rules that ask")
def _(d):
    d.ask(f"watch {socket.if_nametoindex('w0')}")
    d.ask("senders 1")
    cgroup = os.stat(CGROUP).st_ino
    d.ask(f"classes {cgroup} {of_me()} 3")
    s = udp()
    talk(s)
    same((d.seen(s), kinds(d)), (3, []))
    d.ask("policy 0 0 0")
    heard(s)
    heard(s)
    same((d.seen(s), kinds(d)), (3, ["who"]))
    d.ask(f"classes {cgroup} {of_me()} 4")
    heard(s)
    same((d.seen(s), kinds(d)), (4, []))
    d.ask(f"verdict {cgroup} {of_me()} 0 0 0 0")  # says nothing of classes: the next one does
    d.ask(f"classes 0 {of_me()} 16")
    heard(s)
    same(d.seen(s), 16)
    d.ask("senders 0")
    heard(s)
    same(d.seen(s), 0)


@row("other network namespaces are left alone")
def _(d):
    d.ready(A[2])
    child = os.fork()
    if child == 0:
        code = 1
        try:
            libc.unshare(NETNS)
            s = socket.socket(socket.AF_INET6)
            ask(s, TYPE[2])
            ask(s, TYPE[9])
            code = 0 if read(s) & 0x7f0000 == 0 else 2
        finally:
            os._exit(code)
    same(os.waitpid(child, 0)[1], 0)


@row("odd lengths and other options are the kernel's")
def _(d):
    s = sock()
    refused(errno.EINVAL, s.setsockopt, V6, PREFERENCES, b"")
    refused(errno.EINVAL, s.setsockopt, V6, PREFERENCES, b"\0\0\2")
    for n in (4, 5, 47, 48, 49, 200, 5000):
        s = sock()
        s.setsockopt(V6, PREFERENCES, struct.pack("I", TYPE[2]) + bytes(n - 4))
        same(read(s) & 0xf0000, TYPE[2])
    same(len(s.getsockopt(V6, PREFERENCES, 3)), 3)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"w0\0" + bytes(6000))
    s.setsockopt(V6, socket.IPV6_UNICAST_HOPS, 9)
    same(s.getsockopt(V6, socket.IPV6_UNICAST_HOPS), 9)


def churn(seed):
    """One process that opens and closes at random until it is killed."""
    r = random.Random(seed)
    held = []
    while True:
        try:
            s = socket.socket(r.choice((socket.AF_INET6, socket.AF_INET)), r.choice((socket.SOCK_STREAM, socket.SOCK_DGRAM)))
            held.append(s)
            ask(s, TYPE[r.choice((1, 2))] | r.choice((0, 0, 0, 0, REQUIRE)))
            if r.random() < 0.5:
                ask(s, TYPE[r.choice((1, 2))])
            if r.random() < 0.5 and s.family == socket.AF_INET6:
                s.setblocking(False)
                s.connect((PEER6, PORT))
            if r.random() < 0.1:
                held.append(s.dup())
        except OSError:
            pass
        while len(held) > r.randrange(20):
            held.pop(r.randrange(len(held))).close()


def fuzz(seed):
    """An unprivileged user who tries anything."""
    r = random.Random(seed)
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    for _ in range(3000):
        s = socket.socket(r.choice((socket.AF_INET6, socket.AF_INET)), r.choice((socket.SOCK_STREAM, socket.SOCK_DGRAM)))
        s.setblocking(False)
        for _ in range(r.randrange(6)):
            value = struct.pack("I", r.choice((r.getrandbits(32), r.randrange(16) << 16 | r.getrandbits(12), TYPE[2] | REQUIRE)))
            to = (r.choice((PEER6, "::", "::1", "ff02::1", A[2], f"::ffff:{PEER4}")) if s.family == socket.AF_INET6
                  else r.choice((PEER4, "0.0.0.0", "127.0.0.1", A4)), r.choice((0, PORT)))
            act = r.choice((lambda: s.setsockopt(V6, PREFERENCES, (value + r.randbytes(64))[:r.randrange(70)]),
                            lambda: s.setsockopt(V6, PREFERENCES, value), lambda: s.getsockopt(V6, PREFERENCES, r.randrange(70)),
                            lambda: s.bind(to), lambda: s.connect(to), lambda: s.sendto(b"?", to), s.listen))
            try:
                act()
            except OSError:
                pass
        s.close()


@row("anything from an unprivileged user: nothing stays, others have what they had")
def _(d):
    slots = d.ready(A[1], 1), d.ready(A[2], 2), d.ready(A4, 2, v4=1)
    s = sock(2)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            fuzz(random.random())
            code = 0
        finally:
            os._exit(code)
    same(os.waitpid(child, 0)[1], 0)
    same([d.count(n) for n in slots], [0, 1, 0])
    same(d.ask("requests"), ["requests 0"])
    same(talk(s), A[2])
    d.events()


@row("counts never leak: 50 processes at a time open, close, change types and are killed")
def _(d):
    d.ready(A[2], 2)
    d.ready(A4, 2, v4=1)

    def asked():
        return int(d.ask("ids")[0].split()[1])

    most, until = 0, asked() + SOCKETS
    while asked() < until:
        children = []
        for _ in range(50):
            child = os.fork()
            if child == 0:
                try:
                    churn(random.random())
                finally:
                    os._exit(0)
            children.append(child)
        end = time.monotonic() + 1
        for n in range(1000000):
            d.ready(A[1 if n % 2 else 7], 1)  # the word changes under their hands
            d.events()
            most = max(most, sum(int(line.split()[-1]) for line in d.ask("each")))
            if time.monotonic() > end:
                break
        for c in children:
            os.kill(c, signal.SIGKILL)
        for c in children:
            os.waitpid(c, 0)
    for line in d.ask("each"):
        same((line, line.split()[-1]), (line, "0"))
    same(d.ask("requests"), ["requests 0"])
    assert most > 50, f"only {most} at a time"


def run_rows(d):
    failed = 0
    for name, f in rows:
        d.clear()
        try:
            why = f(d)
            print(f"skip {name}: {why}" if why else f"ok {name}", flush=True)
        except (AssertionError, OSError, ValueError, RuntimeError) as e:
            failed += 1
            line = re.findall(r"line (\d+), in _", "".join(traceback.format_exception(e)))
            print(f"FAIL {name}: line {line[-1] if line else '?'}: {type(e).__name__} {e}", flush=True)
    return failed


def main():
    global CGROUP, ME, PEER, PIN
    if os.geteuid() != 0:
        print("only root may load eBPF programs", file=sys.stderr)
        return 77
    top = cgroup_mount()
    home = next(line.split(":", 2)[2].strip() for line in open("/proc/self/cgroup") if line.startswith("0::"))
    CGROUP = f"{top}/fmsock-{os.getpid()}"
    bpffs = tempfile.mkdtemp(prefix="fmsock-")
    PIN = f"{bpffs}/pins"
    run(f"mount -t bpf bpf {bpffs}")
    os.mkdir(CGROUP)
    open(f"{CGROUP}/cgroup.procs", "w").write(str(os.getpid()))
    child = 0
    try:
        child = PEER = world()
        d = Drive(PIN, CGROUP)
        ME = learn(d)
        failed = run_rows(d)
        d.do("down")
        d.end()
        if os.path.exists(PIN):
            print("FAIL down takes hooks and pins away: " + " ".join(os.listdir(PIN)))
            failed += 1
        else:
            print("ok down takes hooks and pins away")
        return 1 if failed else 0
    finally:
        if child:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        open(f"{top}{home}/cgroup.procs", "w").write(str(os.getpid()))
        run(f"umount {bpffs}", check=False)
        os.rmdir(bpffs)
        for _ in range(100):  # until the last of those killed is gone
            try:
                os.rmdir(CGROUP)
                break
            except OSError:
                time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main())
