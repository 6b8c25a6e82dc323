"""Steering by many flows, and quotas: judged by the frames that each access carries."""
import os
import socket
import struct
import sys
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


UNEVEN = '''
  access "wifi" { family = "ipv6"  delay = "5ms"   rate = "5mbit"   queue = "200ms" }
  access "lte"  { family = "ipv6"  delay = "10ms"  rate = "20mbit"  queue = "200ms" }
host { default { type = "session-lasting"  mode = load-balancing  via = {"wifi", "lte"} } }'''
SINK = f'''
import socket, threading
s = socket.socket(socket.AF_INET6)
s.bind(("{PEER6}", 7000))
s.listen(64)
print("ready", flush=True)
def take(c):
    while c.recv(1 << 16):
        pass
while True:
    threading.Thread(target=take, args=(s.accept()[0],), daemon=True).start()
'''
FILL = f'''
import socket, threading, time
end = time.time() + 8
def fill():
    with socket.create_connection(("{PEER6}", 7000)) as c:
        c.settimeout(0.5)
        while time.time() < end:
            try:
                c.send(bytes(20000))
            except socket.timeout:
                pass
threads = [threading.Thread(target=fill) for _ in range(24)]
[t.start() for t in threads]
[t.join() for t in threads]
'''


@pytest.mark.long
def test_without_weights_measured_capacity_shares_new_flows():
    """Uploads fill both accesses, of 5 and 20 Mbit/s; then one new flow in five takes the smaller."""
    with World('steer-c', UNEVEN) as w:
        sink = w.start('peer', sys.executable, '-c', SINK)
        try:
            assert sink.stdout.readline() == 'ready\n'
            # how long an empty queue takes must be known before a full one can be seen
            until('round trips to settle', lambda: all(a['rtt_ms'] < 28 for a in w.accesses().values()), 20)
            w.run('host', sys.executable, '-c', FILL)
        finally:
            sink.kill()
        measured = {name: a['capacity_bps'] for name, a in w.accesses().items()}
        assert 3e6 < measured['wifi'] < 7e6 and 14e6 < measured['lte'] < 26e6, measured
        until('calm', lambda: not any(a['congested'] for a in w.accesses().values()), 30)
        sockets = open_sockets(w)
        # a fifth of 200 is 40; weights go in steps of a tenth
        assert 20 <= find_ways(w, sockets).count('wifi') <= 75
        for s in sockets:
            s.close()
