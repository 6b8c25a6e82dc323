"""No packet from a home address leaves by an access outside a tunnel, nor to one, and none comes in so: whatever way it
is sent, with the daemon alive, with its nftables table just flushed, killed, killed and flushed, and after a boot. What
the access carries is seen at its other end.
"""
import ipaddress
import json
import os
import signal
import socket
import struct
import subprocess
import time

import pytest

from test_guard import boot, guard
from world import PEER4, PEER6, Capture, World, until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason='network namespaces need root')

WORLD = '''
  access "wifi" { family = "dual"  delay = "1ms" }
  host   { default { type = "session-lasting"  via = {"wifi"} } }
'''
PORT = 5016
UDP6 = (socket.AF_INET6, socket.SOCK_DGRAM)
RAW6 = (socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)
RAW4 = (socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
TO_ACCESS = (socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b'wifi')
FREEBIND6, TRANSPARENT6, HOPS6 = (41, 78, 1), (41, 75, 1), (41, 18, 1)
FREEBIND4, TRANSPARENT4 = (0, 15, 1), (0, 19, 1)
MULTICAST_BY = lambda s: (41, 17, struct.pack('i', s))  # IPV6_MULTICAST_IF


def link(world, node, device):
    return json.loads(world.run(node, 'ip', '-j', 'link', 'show', 'dev', device))[0]


class Host:
    """The host of a world, as who means it harm sees it."""

    def __init__(self, world):
        self.world, self.home6, self.home4 = world, world.home(), world.home(family=4)
        self.prefix = ipaddress.ip_address(self.home6).packed[:8]
        self.other6 = str(ipaddress.ip_address(self.prefix + bytes(7) + b'\x77'))  # of the prefix, nobody's
        self.index = link(world, 'host', 'wifi')['ifindex']
        self.mac = {node: bytes.fromhex(link(world, node, device)['address'].replace(':', ''))
                    for node, device in (('host', 'wifi'), ('access-wifi', 'down'))}

    def send(self, kind, options, source, to, data=b'in clear?'):
        with self.world.socket('host', *kind) as s:
            for o in options:
                s.setsockopt(*o)
            if source:
                s.bind((source, 0))
            for _ in range(3):
                try:
                    s.sendto(data, to)
                except (PermissionError, OSError):
                    pass  # the guard says so to who sends

    def is_home(self, frame):
        """Does its outer header name a home address?"""
        kind, ip = frame[12:14], frame[14:]
        if kind == b'\x81\x00':  # a tag before it
            kind, ip = ip[2:4], ip[4:]
        if kind == b'\x86\xdd':
            return self.prefix in (ip[8:16], ip[24:32])
        return kind == b'\x08\x00' and ipaddress.ip_address(self.home4).packed in (ip[12:16], ip[16:20])

    def ip6(self, source, to, data=b'in clear?', proto=59):
        return struct.pack('!IHBB', 0x60000000, len(data), proto, 64) + ipaddress.ip_address(source).packed + \
            ipaddress.ip_address(to).packed + data

    def ip4(self, source, to, data=b'in clear?'):
        return struct.pack('!BBHHHBBH', 0x45, 0, 20 + len(data), 1, 0, 64, 253, 0) + \
            ipaddress.ip_address(source).packed + ipaddress.ip_address(to).packed + data

    def frame(self, ethertype, packet, by='host'):
        to = 'access-wifi' if by == 'host' else 'host'
        return self.mac[to] + self.mac[by] + struct.pack('!H', ethertype) + packet


def by_device(h):
    h.send(UDP6, [TO_ACCESS], h.home6, (PEER6, 9))


def by_device4(h):
    h.send((socket.AF_INET, socket.SOCK_DGRAM), [TO_ACCESS], h.home4, (PEER4, 9))


def free(h):
    for option in (FREEBIND6, TRANSPARENT6):
        h.send(UDP6, [TO_ACCESS, option], h.other6, (PEER6, 9))
    for option in (FREEBIND4, TRANSPARENT4):
        h.send((socket.AF_INET, socket.SOCK_DGRAM), [TO_ACCESS, option], h.home4, (PEER4, 9))


def tcp(h):
    with h.world.socket('host', socket.AF_INET6, socket.SOCK_STREAM) as s:
        s.setsockopt(*TO_ACCESS)
        s.bind((h.home6, 0))
        s.settimeout(0.3)
        try:
            s.connect((PEER6, 9))
        except OSError:
            pass


def ping(h):
    h.world.run('host', 'ping', '-6', '-c2', '-i0.1', '-W0.2', '-I', 'wifi', '-I', h.home6, PEER6, check=False)


def raw(h):
    h.send(RAW6, [TO_ACCESS, (41, 36, 1)], None, (PEER6, 0), h.ip6(h.home6, PEER6))  # IPV6_HDRINCL
    h.send(RAW4, [TO_ACCESS], None, (PEER4, 0), h.ip4(h.home4, PEER4))


def to_home(h):
    """From the access' own address, to home addresses that are not this machine's own: of the same prefix."""
    h.send(UDP6, [TO_ACCESS], None, (h.other6, 9))
    h.send(RAW6, [TO_ACCESS, (41, 36, 1)], None, (h.other6, 0), h.ip6('2001:db8::9', h.other6))


def near(h):
    """To its link alone, to all of it, and further."""
    for to in ('ff02::1', 'ff0e::101', 'ff02::fb'):
        h.send(UDP6, [TO_ACCESS, MULTICAST_BY(h.index)], h.home6, (to, 9, 0, h.index))
    gateway = h.world.run('access-wifi', 'ip', '-6', '-o', 'addr', 'show', 'dev', 'down', 'scope', 'link')
    h.send(UDP6, [TO_ACCESS], h.home6, (gateway.split()[3].split('/')[0], 9, 0, h.index))
    h.send((socket.AF_INET, socket.SOCK_DGRAM), [TO_ACCESS], h.home4, ('224.0.0.251', 9))


def chosen(h):
    """The access has no address of its own any more: the kernel takes one of another device."""
    lines = [x.split()[3] for x in
             h.world.run('host', 'ip', '-o', 'addr', 'show', 'dev', 'wifi', 'scope', 'global').splitlines()]
    routes = h.world.run('host', 'ip', '-6', 'route', 'show', 'dev', 'wifi').splitlines()
    for a in lines:
        h.world.run('host', 'ip', 'addr', 'del', a, 'dev', 'wifi')
    h.send(UDP6, [TO_ACCESS], None, (PEER6, 9))
    h.send((socket.AF_INET, socket.SOCK_DGRAM), [TO_ACCESS], None, (PEER4, 9))
    for a in lines:
        h.world.run('host', 'ip', 'addr', 'add', a, 'dev', 'wifi', *(['nodad'] if ':' in a else []))
    for r in routes:
        h.world.run('host', 'ip', '-6', 'route', 'replace', *r.split(), 'dev', 'wifi', check=False)
    h.world.run('host', 'ip', 'route', 'replace', 'default', 'via', h.gateway4, 'dev', 'wifi', check=False)


def packet(h):
    with h.world.socket('host', socket.AF_PACKET, socket.SOCK_RAW) as s:
        s.bind(('wifi', 0))
        for ethertype, ip in ((0x86dd, h.ip6(h.home6, PEER6)), (0x0800, h.ip4(h.home4, PEER4))):
            try:
                s.send(h.frame(ethertype, ip))
            except OSError:
                pass


def forwarded(h):
    """A container behind the host uses an address of the host's prefix, and sends to another one."""
    name = f'flowmob-{h.world.instance}-inner'
    w = h.world
    run = lambda line: subprocess.run(line.split(), check=True, capture_output=True)
    try:
        run(f'ip netns add {name}')
        w.run('host', 'ip', 'link', 'add', 'inner', 'type', 'veth', 'peer', 'name', 'out', 'netns', name)
        w.run('host', 'ip', 'link', 'set', 'inner', 'up')
        w.run('host', 'ip', 'addr', 'add', 'fe80::1/64', 'dev', 'inner', 'nodad')
        for family in ('ipv4', 'ipv6'):
            w.run('host', 'sysctl', '-qw', f'net.{family}.conf.all.forwarding=1')
        for line in ('link set out up', f'addr add {h.other6}/128 dev out nodad', f'addr add {h.home4}/32 dev out',
                     'addr add fe80::2/64 dev out nodad', '-6 route add default via fe80::1 dev out',
                     'route add 10.0.0.0/8 dev out', 'route add default via 10.9.9.9 dev out'):
            run(f'ip -n {name} {line}')
        mac = link(w, 'host', 'inner')['address']
        run(f'ip -n {name} neigh replace 10.9.9.9 lladdr {mac} dev out')
        code = f'''import socket
for f, s, d in ((10, "{h.other6}", "{PEER6}"), (2, "{h.home4}", "{PEER4}")):
    x = socket.socket(f, socket.SOCK_DGRAM); x.bind((s, 0))
    for n in range(3): x.sendto(b"in clear?", (d, 9))
'''
        subprocess.run(['ip', 'netns', 'exec', name, 'python3', '-S', '-c', code], check=True, capture_output=True)
    finally:
        for family in ('ipv4', 'ipv6'):
            w.run('host', 'sysctl', '-qw', f'net.{family}.conf.all.forwarding=0')
        w.run('host', 'ip', 'link', 'del', 'inner', check=False)
        subprocess.run(['ip', 'netns', 'del', name], check=False)


WAYS = {f.__name__: f for f in (by_device, by_device4, free, tcp, ping, raw, to_home, near, packet, forwarded, chosen)}


def left(h, way):
    """Frames in clear at the other end of the access."""
    capture = Capture(h.world, 'access-wifi', 'down')
    try:
        WAYS[way](h)
        h.world.run('host', 'ping', '-6', '-c1', '-W1', '-I', 'wifi', 'ff02::1', check=False)  # all before has passed now
        time.sleep(0.05)
    finally:
        frames = capture.stop()
    return sum(h.is_home(f) for f in frames if f[6:12] == h.mac['host'])


def came(h):
    """Datagrams that reached programs from outside a tunnel: to a socket, and to a raw one."""
    got = []
    socks = [h.world.socket('host', *UDP6), h.world.socket('host', socket.AF_INET, socket.SOCK_DGRAM)]
    udp = struct.pack('!HHHH', 9, PORT, 8 + 4, 0) + b'spof'
    with h.world.socket('access-wifi', socket.AF_PACKET, socket.SOCK_RAW) as router:
        router.bind(('down', 0))
        socks[0].setsockopt(41, 26, 1)  # IPV6_V6ONLY
        for s, source in zip(socks, ('::', '0.0.0.0')):
            s.bind((source, PORT))
            s.settimeout(0.3)
        six = bytearray(h.ip6('2001:db8:ffff::66', h.home6, udp, 17))
        total = sum(struct.unpack(f'!{len(six[8:40]) // 2 + 6}H', bytes(six[8:]))) + 17 + len(udp)
        total = (total & 0xffff) + (total >> 16)
        six[46:48] = struct.pack('!H', ~((total & 0xffff) + (total >> 16)) & 0xffff)
        four = bytearray(h.ip4('203.0.113.66', h.home4, udp))
        four[9] = 17
        total = sum(struct.unpack('!10H', bytes(four[:20])))
        total = (total & 0xffff) + (total >> 16)
        four[10:12] = struct.pack('!H', ~total & 0xffff)
        for ethertype, ip in ((0x86dd, six), (0x0800, four)):
            router.send(h.frame(ethertype, bytes(ip), by='access-wifi'))
        for s in socks:
            try:
                got.append(s.recv(100))
            except socket.timeout:
                pass
            s.close()
    return len(got)


@pytest.fixture
def host():
    with World('outside', WORLD) as w:
        until('it has a home address', w.home)
        until('and one of IPv4', lambda: w.home(family=4))
        h = Host(w)
        h.gateway4 = w.run('host', 'ip', 'route', 'show', 'default').split()[2]
        until('the guard has both', lambda: h.home4 in w.run('host', 'nft', 'list', 'table', 'inet', 'flowmob', check=False))
        yield h


def kill(h):
    os.kill(h.world.pid('host'), signal.SIGKILL)
    h.world.do('stop', node='host')


def flush(h):
    h.world.run('host', 'nft', 'flush', 'ruleset')


def assert_tight(h, but=()):
    assert {way: left(h, way) for way in WAYS if way not in but} == {way: 0 for way in WAYS if way not in but}
    assert came(h) == 0


def test_nothing_in_clear(host):
    assert_tight(host)
    kill(host)
    assert_tight(host)
    flush(host)  # what is left is eBPF on the accesses
    assert_tight(host)


@pytest.mark.long
def test_nothing_in_clear_while_the_table_is_away(host):
    for way in WAYS:
        flush(host)
        assert left(host, way) == 0, way
    flush(host)
    assert came(host) == 0


@pytest.mark.long
def test_nothing_in_clear_after_a_boot(host):
    boot(host.world)
    host.world.run('host', 'ip', 'addr', 'add', f'{host.home6}/128', 'dev', 'lo', 'nodad')
    host.world.run('host', 'ip', 'addr', 'add', f'{host.home4}/32', 'dev', 'lo')
    blind = [way for way in WAYS if left(host, way) == 0]  # nothing guards: else the looks themselves see nothing
    assert (blind, came(host)) == ([], 2)
    guard(host.world)
    assert_tight(host, but=['packet'])  # no packet socket asks nftables; the daemon's eBPF is not there yet
