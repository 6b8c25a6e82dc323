"""Planned moves, as the first packet on an access whose neighbour cache was just flushed: not one datagram
of 1,000 a second is lost or comes twice, TCP beside it goes on, and other flows stay where they are.
"""
import json
import os
import time

import pytest

from world import PEER6, Call, World, assert_whole, until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason='network namespaces need root')

WORLD = '''
  peer   {{ delay = "1ms" }}
  access "one" {{ family = "{one}"  delay = "2ms" }}
  access "two" {{ family = "{two}"  delay = "5ms" }}
  host   {{ default {{ type = "session-lasting"  via = {{"one", "two"}} }} }}
'''
OTHER_PORT = 5044


def access_of(world, port):
    flows = [f for f in world.ask('host', 'flows')['flows'] if f['remote'].endswith(f':{port}')]
    assert flows, f'no flow to port {port}'
    return flows[0]['access']


def flush(world, access):
    """All that the kernel knows of neighbours there; it says so itself."""
    for family in ('-4', '-6'):
        world.run('host', 'ip', family, 'neigh', 'flush', 'dev', access, 'nud', 'all', check=False)


def move_back_and_forth(world, count):
    for n in range(count):
        access = ('two', 'one')[n % 2]
        flush(world, access)
        for match in ('udp dport 5004', 'tcp dport 5201'):
            answer = world.ask('host', 'move', match=match, access=access)
            assert answer.get('moved', 0) >= 1, answer
        until(f'the call travels over {access}', lambda: access_of(world, 5004) == access, 2)
        time.sleep(0.1)


def play(world, count):
    server = world.start('peer', 'iperf3', '-s', '-1')
    until('iperf3 listens', lambda: ':5201' in world.run('peer', 'ss', '-tln'))
    with Call(world, rate=1000) as call, Call(world, rate=50, port=OTHER_PORT) as other:
        tcp = world.start('host', 'iperf3', '-J', '-6', '-c', PEER6, '-b', '2M', '-t', str(3 + count * 0.3))
        time.sleep(1)
        call.report(), other.report()
        move_back_and_forth(world, count)
        report, beside = call.report(), other.report()
        assert access_of(world, OTHER_PORT) == 'one'
        out = json.loads(tcp.communicate(timeout=120)[0])
    server.kill()
    server.wait()
    assert report['sent'] > 100 * count * 0.9
    assert_whole(report)
    # What stays on the flushed access may lose what is under way in that moment, and no more.
    assert_whole(beside, lost=count // 2)
    assert out['end']['sum_received']['bits_per_second'] > 1.8e6


@pytest.mark.parametrize('one, two', 
    [('ipv6', 'ipv4-nat'), pytest.param('ipv6', 'ipv6', marks=pytest.mark.long),
     pytest.param('ipv4', 'dual', marks=pytest.mark.long)])
def test_ten_moves(one, two):
    with World('flushed', WORLD.format(one=one, two=two)) as world:
        until('both accesses are bound', lambda: all(a['registered'] for a in world.accesses().values()))
        play(world, 10)


@pytest.mark.long
def test_a_hundred_moves():
    with World('flushed', WORLD.format(one='ipv6', two='ipv4-nat')) as world:
        until('both accesses are bound', lambda: all(a['registered'] for a in world.accesses().values()))
        play(world, 100)
