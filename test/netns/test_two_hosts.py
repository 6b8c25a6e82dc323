"""Two hosts of one anchor talk to each other through it, one over IPv6, one over UDP/IPv4 behind a NAT:
datagrams both ways without loss while both move, and bulk TCP, whose large segments are cut on the way.
"""
import json
import os
import subprocess
import time

import pytest

from world import Call, World, assert_whole, until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason='network namespaces need root')

WORLD = '''
  access "wifi" { family = "ipv6"      delay = "2ms"  rate = "200mbit" }
  access "lte"  { family = "ipv4-nat"  delay = "4ms"  rate = "200mbit" }
  host   { default { type = "session-lasting"  via = {"wifi", "lte"} } }
  host2  { default { type = "session-lasting"  via = {"lte", "wifi"} } }
'''


@pytest.fixture(scope='module')
def world():
    with World('two-hosts', WORLD) as w:
        until('both hosts are bound over both accesses', lambda: sorted(
            len(b['bids']) for b in w.ask('anchor', 'bindings')['bindings']) == [2, 2])
        yield w


@pytest.mark.parametrize('family', [6, 4])
def test_datagrams_while_both_move(world, family):
    with Call(world, rate=500, to=world.home('host2', family), at='host2') as call:
        time.sleep(0.5)
        for access, other in (('lte', 'wifi'), ('wifi', 'lte')) * 2:
            world.ask('host', 'move', match='udp dport 5004', access=access)
            world.ask('host2', 'move', match='udp sport 5004', access=other)
            time.sleep(0.4)
        report = call.report()
    assert report['source'] == world.home('host', family)
    assert report['sent'] > 500
    assert_whole(report)


@pytest.mark.parametrize('way', ['up', 'down'])
@pytest.mark.parametrize('family', [6, 4])
def test_bulk_of_large_segments(world, family, way):
    to = world.home('host2', family)
    server = world.start('host2', 'iperf3', '-s', '-1')
    try:
        until('iperf3 listens', lambda: ':5201' in world.run('host2', 'ss', '-tln'))
        done = subprocess.run(world.inside('host', 'iperf3', '-J', '-c', to, '-t', '2',
                                           *(['-R'] if way == 'down' else [])),
                              capture_output=True, text=True, timeout=60)
    finally:
        server.kill()
        server.wait()
    assert json.loads(done.stdout)['end']['sum_received']['bits_per_second'] > 40e6
