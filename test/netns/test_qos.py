"""Quality of service: code points of rules on the way to the anchor, judged by what an access carries; rates and
code points of subscribers and classes at an anchor, judged by what arrives.
"""
import json
import os
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor

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


def code_points(frames, port, at=96):
    """Of IPv6 tunnel packets that hold UDP to @port (@at 94: from it): those outside and inside."""
    found = set()
    for f in frames:
        outer, inner = f[14:54], f[54:94]
        if f[12:14] == b'\x86\xdd' and outer[6] == 41 and inner[6] == 17 and f[at:at + 2] == port.to_bytes(2, 'big'):
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


RATES = '''
  access "wifi" { family = "ipv6"  delay = "1ms" }
  host  { default { type = "session-lasting"  via = {"wifi"} } }
  host2 { default { type = "session-lasting"  via = {"wifi"} } }
'''
LENGTH, HEADERS, LIMIT = 1200, 48, 4e6


def datagrams(world, node, port, way, seconds=3):
    """iperf3 sends UDP at twice the limit: bit/s that arrive, as packets inside the tunnel, and what was lost."""
    server = world.start('peer', 'iperf3', '-s', '-1', '-p', port, stdout=subprocess.DEVNULL)
    try:
        until('iperf3 listens', lambda: f':{port}' in world.run('peer', 'ss', '-tln'))
        done = world.run(node, 'iperf3', '-J', '-u', '-c', PEER6, '-p', port, '-b', int(2 * LIMIT), '-l', LENGTH,
                         '-t', seconds, '-B', world.home(node), *(['-R'] if way == 'down' else []))
    finally:
        server.kill()
        server.wait()
    end = json.loads(done)['end']['sum']
    got = end['packets'] - end['lost_packets']
    return got * (LENGTH + HEADERS) * 8 / end['seconds'], end['lost_packets']


class Limited:
    """A world whose anchor limits the first of two hosts."""

    def __init__(self, world):
        self.world = world
        self.file = world.dir / 'anchor/flowmob.conf'
        self.original = self.file.read_text()
        until('both are bound', lambda: len(self.world.ask('anchor', 'bindings')['bindings']) == 2
              and all(world.home(n) for n in ('host', 'host2')))

    def conf(self, subscriber, policy=''):
        text = self.original.replace('subscriber "', policy + '\n  subscriber "', 1)
        self.file.write_text(text.replace('types = {', subscriber + '\n    types = {', 1))
        done = self.world.ask('anchor', 'reload')
        assert 'error' not in done, done
        until('it is in force', self.quality)

    def quality(self):
        return [q for b in self.world.ask('anchor', 'bindings')['bindings'] for q in b['quality']]


@pytest.fixture(scope='module')
def limited():
    with World('qos-rate', RATES) as world:
        yield Limited(world)


@pytest.mark.parametrize('way', ['down', 'up'])
def test_a_subscriber_gets_its_rate_and_another_all(limited, way):
    limited.conf(f'max-rate-{way} = "4mbit"')
    before = limited.quality()[0][f'over_{way}_packets']
    with ThreadPoolExecutor() as pool:
        one = pool.submit(datagrams, limited.world, 'host', 5301, way)
        other = pool.submit(datagrams, limited.world, 'host2', 5302, way)
        (rate, lost), (other_rate, other_lost) = one.result(), other.result()
    assert abs(rate - LIMIT) < 0.05 * LIMIT, rate
    assert other_rate > 1.9 * LIMIT, (other_rate, other_lost)  # a busy machine loses some
    over = limited.quality()[0][f'over_{way}_packets'] - before
    assert abs(over - lost) < 0.05 * lost, (over, lost)  # the last ones nobody misses


def test_whoever_has_one_way_and_no_class_is_counted(limited):
    """The shortest way through the program counts too."""
    text = limited.original.replace('types = {', 'usage = yes\n    types = {', 1)
    limited.file.write_text(text)
    assert 'error' not in limited.world.ask('anchor', 'reload')
    limited.world.ask('anchor', 'usage-reset')
    with limited.world.socket('host', socket.AF_INET6, socket.SOCK_DGRAM) as host, \
            limited.world.socket('peer', socket.AF_INET6, socket.SOCK_DGRAM) as peer:
        host.bind((limited.world.home('host'), 0))
        peer.bind((PEER6, 5306))
        for s in (host, peer):
            s.settimeout(2)
        for _ in range(100):
            host.sendto(b'x' * 100, (PEER6, 5306))
            peer.sendto(*peer.recvfrom(2048))
            host.recv(2048)
    used, = limited.world.ask('anchor', 'usage')['usage']
    assert {used[f'{way}_packets'] for way in ('up', 'down')} == {100}, used
    assert {used[f'{way}_bytes'] for way in ('up', 'down')} == {100 * (100 + HEADERS)}, used


def test_a_class_gets_its_rate_and_other_flows_all(limited):
    limited.conf('class = {"bulk"}',
                 'class "bulk" { match = {"udp dport 5303"}  max-rate-down = "4mbit"  dscp = "le" }')
    capture = Capture(limited.world, 'host', limited.world.accesses()['wifi']['interface'])
    with ThreadPoolExecutor() as pool:
        one = pool.submit(datagrams, limited.world, 'host', 5303, 'down')
        other = pool.submit(datagrams, limited.world, 'host', 5304, 'down')
        (rate, lost), (other_rate, other_lost) = one.result(), other.result()
    frames = capture.stop()
    assert abs(rate - LIMIT) < 0.05 * LIMIT, rate
    assert other_rate > 1.9 * LIMIT, (other_rate, other_lost)  # a busy machine loses some
    assert code_points(frames, 5303, 94) == {(LE, 0)} and code_points(frames, 5304, 94) == {(0, 0)}
    quality, = limited.quality()
    assert quality['class'] == 'bulk' and abs(quality['over_down_packets'] - lost) < 0.1 * lost, quality


def test_fragments_outside_are_no_way_around():
    with World('qos-narrow', RATES.replace('delay', 'mtu = 1280  delay')) as world:
        limited = Limited(world)
        limited.conf('max-rate-up = "4mbit"')
        rate, lost = datagrams(world, 'host', 5305, 'up')
        assert abs(rate - LIMIT) < 0.1 * LIMIT, rate
        over = limited.quality()[0]['over_up_packets']
        assert abs(over - lost) < 0.1 * lost, (over, lost)
        counters = world.ask('anchor', 'counters')['counters']
        assert counters['outer-fragment'] > lost, counters
