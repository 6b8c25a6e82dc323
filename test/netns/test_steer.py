"""Steering by many flows, and quotas: judged by the frames that each access carries."""
import os
import socket
import struct
import time

import pytest

from world import PEER6, Capture, World, until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason='network namespaces need root')

ACCESSES = '''
  access "wifi" { family = "ipv6"  delay = "2ms" }
  access "lte"  { family = "ipv6"  delay = "5ms" }
'''
BALANCED = ACCESSES + '''host { default { type = "session-lasting"  mode = load-balancing
  weights = {"wifi=70", "lte=30"}  via = {"wifi", "lte"} } }'''
FLOWS = 200
MARK = b'which way does it go'


def find_ways(world, sockets):
    """The access that one datagram of each socket takes, by what the devices carry."""
    sink = world.socket('peer', socket.AF_INET6, socket.SOCK_DGRAM)
    sink.bind((PEER6, 9))  # else its errors would carry the mark back
    captures = {name: Capture(world, 'host', name) for name in ('wifi', 'lte')}
    for n, s in enumerate(sockets):
        s.sendto(MARK + struct.pack('!H', n), (PEER6, 9))
        if n % 20 == 19:
            time.sleep(0.01)
    time.sleep(0.3)
    ways = {}
    for name, capture in captures.items():
        for frame in capture.stop():
            at = frame.find(MARK)
            if at >= 0:
                n = struct.unpack_from('!H', frame, at + len(MARK))[0]
                assert n not in ways or ways[n] == name, f'datagram {n} went over both'
                ways[n] = name
    sink.close()
    assert len(ways) == len(sockets), f'{len(sockets) - len(ways)} datagrams left by no access'
    return [ways[n] for n in range(len(sockets))]


def open_sockets(world):
    sockets = [world.socket('host', socket.AF_INET6, socket.SOCK_DGRAM) for _ in range(FLOWS)]
    home = world.home()
    for s in sockets:
        s.bind((home, 0))
    return sockets


def test_weights_share_flows_and_a_change_moves_none():
    with World('steer-w', BALANCED) as w:
        sockets = open_sockets(w)
        first = find_ways(w, sockets)
        # 70 % of 200 is 140; the standard deviation of a fair hash is 6.5
        assert 110 <= first.count('wifi') <= 170, first.count('wifi')

        conf = w.dir / 'host/flowmob.conf'
        conf.write_text(conf.read_text().replace('wifi=70', 'wifi=10').replace('lte=30', 'lte=90'))
        w.do('reload', node='host')
        assert find_ways(w, sockets) == first
        later = open_sockets(w)
        assert find_ways(w, later).count('lte') >= 160

        w.do('link-down', access='wifi')
        until('the host to see it', lambda: w.accesses()['wifi']['state'] == 'off')
        assert set(find_ways(w, sockets)) == {'lte'}

        w.do('restore', access='wifi')
        until('wifi to be back', lambda: w.accesses()['wifi']['state'] == 'up')
        time.sleep(2.5)
        assert set(find_ways(w, sockets)) == {'lte'}, 'what left a dead access came back by itself'
        for s in sockets + later:
            s.close()


QUOTA = ACCESSES + '''host {
  access "wifi" { quota = "1M/month@12" }
  default { type = "session-lasting"  via = {"wifi", "lte"} }
}'''


def load(world, octets):
    """Fills an access with about so many octets of datagrams."""
    with world.socket('host', socket.AF_INET6, socket.SOCK_DGRAM) as s:
        for n in range(octets // 1000):
            s.sendto(bytes(900), (PEER6, 9))
            if n % 20 == 19:
                time.sleep(0.01)


def used(world):
    return world.accesses()['wifi']['quota_used_bytes']


@pytest.mark.long
def test_a_quota_counts_what_the_interface_carries_over_restarts():
    with World('steer-q', QUOTA) as w:
        # until the first look nothing counts
        until('a first look', lambda: used(w) > 0)
        base = sum(w.octets('wifi')) - used(w)
        load(w, 500000)
        until('half of it to count', lambda: used(w) > 500000)
        assert w.accesses()['wifi']['quota_used_percent'] < 80

        before = w.pid('host')
        w.do('kill', node='host')
        load(w, 100000)  # also while no daemon counts
        until('another daemon', lambda: w.pid('host') != before)
        until('what went by meanwhile', lambda: abs(sum(w.octets('wifi')) - base - used(w)) < 20000)

        load(w, 250000)
        until('80 percent to be told', lambda: [e for e in w.events('host') if e['event'] == 'quota'])
        load(w, 300000)
        until('the other access', lambda: w.ask('host', 'status')['last_handover']['reason'] == 'quota')
        told = [e['reason'] for e in w.events('host') if e['event'] == 'quota']
        assert told == ['80 percent used', 'used up']
        sockets = [w.socket('host', socket.AF_INET6, socket.SOCK_DGRAM) for _ in range(5)]
        assert set(find_ways(w, sockets)) == {'lte'}

        w.do('clock-jump', node='host', by='40d')
        until('a new period', lambda: used(w) < 500000)
        until('wifi again', lambda: w.ask('host', 'status')['last_handover']['to'] == 'wifi')
        for s in sockets:
            s.close()
