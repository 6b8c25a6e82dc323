"""Quality of service: code points of rules on the way to the anchor, judged by what an access carries."""
import os
import socket

import pytest

from world import PEER6, Capture, World, until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason='network namespaces need root')

MARKING = '''
  access "wifi" { family = "ipv6"  delay = "1ms" }
  host {
    rule "call" { match = {"udp dport 5004"}  via = {"wifi"}  dscp = "ef" }
    rule "bulk" { match = {"udp dport 5005"}  via = {"wifi"}  dscp = "le" }
    default { type = "session-lasting"  via = {"wifi"} }
  }
'''
EF, LE, AF41 = 46, 1, 34


def code_points(frames, port):
    """Of IPv6 tunnel packets that hold UDP to @port: those outside and inside."""
    found = set()
    for f in frames:
        outer, inner = f[14:54], f[54:94]
        if f[12:14] == b'\x86\xdd' and outer[6] == 41 and inner[6] == 17 and f[96:98] == port.to_bytes(2, 'big'):
            found.add(tuple((h[0] << 4 & 0xF0 | h[1] >> 4) >> 2 for h in (outer, inner)))
    return found


def frames_of(capture):
    return [f for _, f in list(capture.frames)]


def test_a_rule_marks_outside_and_leaves_the_packet_inside():
    with World('qos-mark', MARKING) as world:
        home = until('it has a home address', world.home)
        capture = Capture(world, 'host', world.accesses()['wifi']['interface'])
        for port in (5004, 5005, 5006):
            with world.socket('host', socket.AF_INET6, socket.SOCK_DGRAM) as s:
                s.bind((home, 0))
                s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, AF41 << 2)
                for _ in range(3):
                    s.sendto(b'marked', (PEER6, port))
        until('all were carried', lambda: len(code_points(frames_of(capture), 5006)) > 0)
        frames = capture.stop()
        assert code_points(frames, 5004) == {(EF, AF41)}
        assert code_points(frames, 5005) == {(LE, AF41)}
        assert code_points(frames, 5006) == {(AF41, AF41)}
        rules = {r['rule']: r['dscp'] for r in world.ask('host', 'policy', do='show')['rules']}
        assert rules == {'call': 'ef', 'bulk': 'le', 'default': None}
