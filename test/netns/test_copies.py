"""Redundant mode: each datagram of a program arrives once, also where it is equal to the one before, and where one
access loses 30 % at random; in both directions. Judged by the programs' own sockets.
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
        copies = w.ask('host', 'flows')['copies']
        assert copies['duplicates'] > COUNT // 2 and copies['late'] == 0
