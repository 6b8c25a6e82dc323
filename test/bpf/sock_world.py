"""
The world of sock.py: sock_drive as the daemon, a peer in another network namespace that tells what
address it sees, and what rows do with sockets.
"""
import ctypes
import errno
import os
import socket
import struct
import subprocess
import sys
import threading
import time

BUILD = sys.argv[1]
V6, PREFERENCES, NETNS = socket.IPPROTO_IPV6, 72, 0x40000000
TYPE = [n << 16 for n in range(16)]
REQUIRE, READY, FAILED = 0x100000, 0x200000, 0x400000
TMP, PUBLIC, COA, HOME = 1, 2, 4, 0x400
PEER6, PEER4 = "2001:db8:1::2", "192.0.2.2"
OURS6, OURS4 = "2001:db8:1::10", "192.0.2.10"
A = {n: f"2001:db8:100::{n}" for n in range(1, 10)}
A4 = "203.0.113.10"
PORT = 7007
MARK = 0x464d4100
NONE, PENDING, IS_READY, IS_FAILED = range(4)
libc = ctypes.CDLL(None, use_errno=True)
flowmob = ctypes.CDLL(f"{BUILD}/../../lib/libflowmob.so.0", use_errno=True)
NOT_SUPPORTED, NOT_HAD = -1001, -1002


def run(line, check=True, **more):
    r = subprocess.run(line.split(), capture_output=True, text=True, **more)
    if check and r.returncode:
        raise RuntimeError(f"{line}: {r.stdout}{r.stderr}")
    return r


class Drive:
    """The daemon's part; one line there, the lines of the answer back."""

    def __init__(self, pin, cgroup):
        self.p = subprocess.Popen([f"{BUILD}/sock_drive"], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.place = f"{pin} {cgroup}"
        self.routes = []
        self.do(f"open {self.place}")

    def ask(self, line):
        self.p.stdin.write(line + "\n")
        self.p.stdin.flush()
        lines = []
        for answer in iter(self.p.stdout.readline, ""):
            if answer == "ok\n":
                return lines
            if answer.startswith("error"):
                raise OSError(int(answer.split()[1]), line)
            lines.append(answer.strip())
        raise RuntimeError(f"sock_drive ended at: {line}")

    do = ask

    def kill(self):
        self.p.kill()
        self.p.wait()

    def end(self):
        self.p.stdin.close()
        self.p.wait()

    def slot(self, ip, type=2):
        return int(self.ask(f"address {type} {ip}")[0].split()[1])

    def count(self, slot):
        return int(self.ask(f"count {slot}")[0].split()[1])

    def type(self, type, state, slot=0, error=0, v4=0):
        self.ask(f"type {type} {v4} {state} {slot} {error}")

    def route(self, slot, ip):
        """As the daemon does: sockets with the slot's mark leave from its address."""
        family = "-4" if "." in ip else "-6"
        run(f"ip {family} rule add fwmark {MARK + slot} table {100 + slot}")
        run(f"ip {family} route replace default dev w0 src {ip} table {100 + slot}")
        self.ask(f"routed {slot} 1")
        self.routes.append((family, slot))

    def unroute(self):
        for family, slot in self.routes:
            run(f"ip {family} rule del fwmark {MARK + slot} table {100 + slot}")
            run(f"ip {family} route flush table {100 + slot}")
        self.routes = []

    def ready(self, ip, type=2, v4=0, route=True):
        slot = self.slot(ip, type)
        if route and ("-4" if v4 else "-6", slot) not in self.routes:
            self.route(slot, ip)
        self.type(type, IS_READY, slot, v4=v4)
        return slot

    def events(self):
        """A list of (kind, {key: number})."""
        found = []
        for line in self.ask("read"):
            w = line.split()
            found.append((w[1], {k: int(v) for k, v in zip(w[2::2], w[3::2])}))
        return found

    def refused(self, type):
        return int(self.ask(f"refused {type}")[0].split()[1])

    def seen(self, s):
        """Classes of the sender of the last packet of that socket."""
        return int(self.ask(f"seen {s.getsockname()[1]}")[0].split()[1])

    def clear(self):
        """As after a start: no addresses, no words, an open policy, no events."""
        self.ask("policy 0 0 0")
        self.ask("home 0")
        self.ask("deadline 0")
        self.ask("senders 0")
        self.ask("tree 0 0")
        self.unroute()
        for t in (1, 2, 3, 4):
            self.type(t, NONE)
            self.type(t, NONE, v4=1)
        for line in self.ask("each"):
            self.ask(f"forget {line.split()[1]}")
        self.events()


def udp_peer(family, address):
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.bind((address, PORT))
    while True:
        _, who = s.recvfrom(100)
        s.sendto(who[0].encode(), who)


def tcp_peer(family, address):
    s = socket.socket(family, socket.SOCK_STREAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 16)
    s.bind((address, PORT))
    s.listen(64)
    while True:
        c, who = s.accept()
        threading.Thread(target=lambda c=c, who=who: tcp_talk(c, who[0].encode()), daemon=True).start()


def tcp_talk(c, who):
    try:
        while c.recv(100):
            c.send(who)
    except OSError:
        pass  # the other side was killed
    c.close()


def peer(ready):
    """The other end, in a namespace of its own: says whom it hears."""
    libc.unshare(NETNS)
    os.write(ready, b"1")
    while run("ip -o addr show dev w1", check=False).stdout.count("inet") < 2:
        time.sleep(0.02)
    for family, address in ((socket.AF_INET6, PEER6), (socket.AF_INET, PEER4)):
        for serve in (udp_peer, tcp_peer):
            threading.Thread(target=serve, args=(family, address), daemon=True).start()
    time.sleep(0.1)
    os.write(ready, b"2")
    while True:
        time.sleep(60)


def world():
    """Two namespaces: ours has all addresses that types may bring. Returns the peer's process id."""
    if libc.unshare(NETNS) < 0:
        print("not permitted", file=sys.stderr)
        sys.exit(77)
    from_peer, ready = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            peer(ready)
        finally:
            os._exit(1)
    os.read(from_peer, 1)
    run("ip link set lo up")
    run(f"ip link add w0 index 20 type veth peer name w1 index 30 netns {child}")
    for line in ("sysctl -qw net.ipv6.conf.w0.accept_dad=0", f"ip addr add {OURS6}/64 dev w0 nodad",
                 f"ip addr add {OURS4}/24 dev w0", f"ip addr add {A4}/32 dev w0", "ip link set w0 up",
                 *(f"ip addr add {a}/128 dev lo nodad preferred_lft 0" for a in A.values())):
        run(line)
    for line in ("sysctl -qw net.ipv6.conf.w1.accept_dad=0", "ip link set w1 up", f"ip addr add {PEER6}/64 dev w1 nodad",
                 f"ip addr add {PEER4}/24 dev w1", f"ip route add 2001:db8:100::/64 via {OURS6} dev w1",
                 f"ip route add 203.0.113.0/24 via {OURS4} dev w1"):
        run(f"nsenter --net=/proc/{child}/ns/net {line}")
    os.read(from_peer, 1)
    return child


def cgroup_mount():
    for line in open("/proc/self/mountinfo"):
        left, _, right = line.partition(" - ")
        if right.split()[0] == "cgroup2":
            return left.split()[4]
    print("no cgroup v2 is mounted", file=sys.stderr)
    sys.exit(77)


# What rows do with sockets.
def sock(type=0, kind=socket.SOCK_STREAM, family=socket.AF_INET6, proto=0):
    s = socket.socket(family, kind, proto)
    s.settimeout(5)
    if type:
        ask(s, TYPE[type])
    return s


def udp(type=0, family=socket.AF_INET6):
    return sock(type, socket.SOCK_DGRAM, family)


def ask(s, value):
    s.setsockopt(V6, PREFERENCES, struct.pack("I", value))


def ask_long(s, value, life_s=0, life_bytes=0):
    s.setsockopt(V6, PREFERENCES, struct.pack("Ii16sQQII", value, 0, b"", 0, life_bytes, life_s, 0))


def read(s):
    return s.getsockopt(V6, PREFERENCES)


def read_long(s):
    """(value, error, address, id, life_bytes, life_s)"""
    d = s.getsockopt(V6, PREFERENCES, 48)
    assert len(d) == 48, len(d)
    value, error, ip, id, life_bytes, life_s, _ = struct.unpack("Ii16sQQII", d)
    return value, error, socket.inet_ntop(socket.AF_INET6, ip), id, life_bytes, life_s


def setsc(s, type, timeout_ms=-1):
    """(result, errno, address)"""
    source = (ctypes.c_ubyte * 16)()
    result = flowmob.setsc_within(s.fileno(), source, type, timeout_ms)
    return result, result and ctypes.get_errno(), socket.inet_ntop(socket.AF_INET6, bytes(source))


def heard(s, to=None):
    """What the peer says our address is."""
    if to:
        s.sendto(b"?", to)
    else:
        s.send(b"?")
    return s.recv(100).decode()


def talk(s, address=PEER6):
    s.connect((address, PORT))
    return heard(s)


def refused(number, f, *args):
    try:
        if isinstance(getattr(f, "__self__", None), socket.socket):
            f.__self__.settimeout(None)  # with one, Python tries again at EAGAIN
        f(*args)
    except OSError as e:
        assert e.errno == number, f"{errno.errorcode.get(e.errno, e.errno)}, not {errno.errorcode[number]}"
        return
    raise AssertionError(f"no {errno.errorcode[number]}")


def same(got, want):
    assert got == want, f"{got!r}, not {want!r}"


def kinds(d):
    return [k for k, _ in d.events()]
