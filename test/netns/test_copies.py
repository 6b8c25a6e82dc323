"""Redundant mode: each datagram of a program arrives once, also where it is equal to the one before, and where one
access loses 30 % at random; in both directions. Judged by the programs' own sockets. TCP and QUIC hand the kernel
large buffers: their segments are cut before they are numbered, so that TCP sees no segment twice.
"""
import os
import socket
import threading
import time

import pytest

from world import PEER4, PEER6, World, until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason='network namespaces need root')

WORLD = '''
  access "wifi" { family = "ipv6"      delay = "10ms"  loss = "30%" }
  access "lte"  { family = "ipv4-nat"  delay = "25ms" }
  host {
    rule "call" { match = {"udp dport 5004"}  mode = redundant  via = {"wifi", "lte"} }
    default { type = "session-lasting"  via = {"wifi", "lte"} }
  }
'''
LARGE = '''
  access "wifi" { family = "ipv6"      delay = "5ms" }
  access "lte"  { family = "ipv4-nat"  delay = "8ms" }
  host { default { type = "session-lasting"  mode = redundant  via = {"wifi", "lte"} } }
'''
SAME, COUNT, EVERY_S = b'the same octets each time', 2000, 0.001


def opened(world, node, family):
    s = world.socket(node, family, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    s.settimeout(1)
    return s


def connected(world, family, to):
    s = opened(world, 'host', family)
    until('the host has an address', lambda: s.connect((to, 5004)) or True)
    return s


def is_known_to_anchor(world):
    """Both care-of addresses, and that the rule's flows take both."""
    return any(len(b['bids']) == 2 and b['flows'] and all(len(f['bids']) == 2 for f in b['flows'])
               for b in world.ask('anchor', 'bindings')['bindings'])


def answer(s, seen):
    """Each datagram goes back as it came."""
    while True:
        try:
            data, whom = s.recvfrom(2048)
        except TimeoutError:
            return
        seen.append(data)
        s.sendto(data, whom)


def hear(s, seen):
    while True:
        try:
            seen.append(s.recv(2048))
        except TimeoutError:
            return


@pytest.mark.parametrize('family, to', [
    pytest.param(socket.AF_INET6, PEER6, id='ipv6'),
    pytest.param(socket.AF_INET, PEER4, id='ipv4', marks=pytest.mark.long),
])
def test_equal_datagrams_arrive_once_each(family, to):
    with World('fmcopies', WORLD) as w:
        peer, host = opened(w, 'peer', family), connected(w, family, to)
        peer.bind(('', 5004))
        until('the anchor makes copies', lambda: is_known_to_anchor(w))
        there, back = [], []
        threads = [threading.Thread(target=answer, args=(peer, there)), threading.Thread(target=hear, args=(host, back))]
        for t in threads:
            t.start()
        start = time.monotonic()
        for i in range(COUNT):
            host.send(SAME)
            time.sleep(max(0, start + (i + 1) * EVERY_S - time.monotonic()))
        for t in threads:
            t.join()
        assert set(there) == set(back) == {SAME}
        assert len(there) == COUNT and len(back) == COUNT
        told = w.ask('host', 'flows')
        copies = told['copies']
        of = [f for f in told['flows'] if f['remote'].endswith(':5004')]
        assert copies['duplicates'] > COUNT // 2 and copies['late'] == 0
        assert len(of) == 1 and all(of[0][k] == n for k, n in copies.items())
        up = w.ask('anchor', 'flows')['flows']
        assert [f['local'] for f in up] == [of[0]['local']] and up[0]['duplicates'] > COUNT // 2


def counted_by_tcp(world, node):
    """Segments that TCP got, and those that it had already."""
    lines = world.run(node, 'nstat', '-asz', 'TcpInSegs', 'TcpExtTCPDSACKOldSent', 'TcpExtTCPDSACKOfoSent').splitlines()
    of = {words[0]: int(words[1]) for words in map(str.split, lines) if words and words[0] != '#kernel'}
    return of['TcpInSegs'], of['TcpExtTCPDSACKOldSent'] + of['TcpExtTCPDSACKOfoSent']


def send_all(s, octets):
    s.sendall(octets)
    s.shutdown(socket.SHUT_WR)


def received(s):
    s.settimeout(10)
    octets = 0
    while part := s.recv(1 << 20):
        octets += len(part)
    return octets


def test_tcp_gets_each_segment_once():
    with World('fmcopies', LARGE) as w:
        probe, listener = connected(w, socket.AF_INET6, PEER6), w.socket('peer', socket.AF_INET6, socket.SOCK_STREAM)
        until('the anchor knows both', lambda: all(len(b['bids']) == 2 for b in w.ask('anchor', 'bindings')['bindings']))
        listener.bind(('', 5004))
        listener.listen(1)
        host = w.socket('host', socket.AF_INET6, socket.SOCK_STREAM)
        host.bind((probe.getsockname()[0], 0))
        host.connect((PEER6, 5004))
        peer = listener.accept()[0]
        for sender, receiver, node in ((host, peer, 'peer'), (peer, host, 'host')):
            before, copies = counted_by_tcp(w, node), w.ask('anchor' if node == 'peer' else 'host', 'counters')['counters']
            sending = threading.Thread(target=send_all, args=(sender, bytes(4 << 20)))
            sending.start()
            assert received(receiver) == 4 << 20
            sending.join()
            after = counted_by_tcp(w, node)
            counters = w.ask('anchor' if node == 'peer' else 'host', 'counters')['counters']
            assert after[0] - before[0] > 2500 and after[1] - before[1] <= 2, f'{node}: {before} {after}'
            assert counters['duplicate'] - copies['duplicate'] > 2500


def test_large_udp_buffers_arrive_once_and_never_visit_the_daemon():
    udp_segment, size, count = 103, 1000, 300
    with World('fmcopies', LARGE) as w:
        peer, host = opened(w, 'peer', socket.AF_INET6), connected(w, socket.AF_INET6, PEER6)
        peer.bind(('', 5004))
        until('the anchor knows both', lambda: all(len(b['bids']) == 2 for b in w.ask('anchor', 'bindings')['bindings']))
        host.send(b'first')
        assert peer.recv(2048) == b'first'
        host.setsockopt(socket.IPPROTO_UDP, udp_segment, size)
        before = w.ask('host', 'counters')['counters']
        seen = []
        hearing = threading.Thread(target=hear, args=(peer, seen))
        hearing.start()
        for i in range(0, count, 10):
            host.send(b''.join(b'%09d ' % n * (size // 10) for n in range(i, i + 10)))
            time.sleep(0.005)
        hearing.join()
        after = w.ask('host', 'counters')['counters']
        assert sorted(int(d[:9]) for d in seen) == list(range(count))
        assert after['to-daemon'] == before['to-daemon']
