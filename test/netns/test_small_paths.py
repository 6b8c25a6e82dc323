"""Paths behind the first hop that pass less than the host's interface says: 1400 octets, with the routers'
word about it and without. TCP both ways and datagrams that fit must get through.
"""
import json
import os
import subprocess
import time

import pytest

from world import PEER6, Call, World, assert_whole, until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason='network namespaces need root')

WORLD = '''
  peer   {{ delay = "2ms" }}
  access "one" {{ family = "{family}"  delay = "5ms"  rate = "50mbit"  mtu = 1400  {more} }}
  host   {{ default {{ type = "session-lasting"  via = {{"one"}} }} }}
'''


def transfer(world, *more):
    """Four seconds of TCP; octets a second that arrived."""
    server = world.start('peer', 'iperf3', '-s', '-1')
    try:
        until('iperf3 listens', lambda: ':5201' in world.run('peer', 'ss', '-tln'))
        done = subprocess.run(world.inside('host', 'iperf3', '-J', '-6', '-c', PEER6, '-t', '4', '-b', '5M',
                                           '--connect-timeout', '3000', *more),
                              capture_output=True, text=True, timeout=60)
        return json.loads(done.stdout)['end']['sum_received']['bits_per_second']
    finally:
        server.kill()
        server.wait()


LONG = [(family, icmp) for family in ('ipv6', 'ipv4', 'ipv4-nat') for icmp in ('told by routers', 'nobody tells')]
SHORT = [LONG.pop(1)]


@pytest.mark.parametrize('family, icmp', SHORT + [pytest.param(*x, marks=pytest.mark.long) for x in LONG])
def test_everything_gets_through(family, icmp):
    more = 'icmp = "drop"' if icmp == 'nobody tells' else ''
    with World('small-path', WORLD.format(family=family, more=more)) as world:
        with Call(world, rate=50, size=1300) as call:
            time.sleep(1)
            report = call.report()
            # One may be too big for the while in which the path's size is searched.
            assert report['sent'] > 20
            assert_whole(report, lost=int(icmp == 'nobody tells'))
        assert transfer(world) > 4e6
        assert transfer(world, '-R') > 4e6


def found(world):
    """The size that probes found, as the daemon tells it."""
    return [e['mtu'] for e in world.events('host') if e['event'] == 'path-mtu' and e.get('reason') == 'probes']


@pytest.mark.parametrize('family', ['ipv6', pytest.param('ipv4-nat', marks=pytest.mark.long)])
def test_datagrams_that_are_too_big_are_cut_by_their_senders(family):
    """What probes find is known at the anchor too: the peer is told, as by a router, and sends fragments."""
    with World('small-path', WORLD.format(family=family, more='icmp = "drop"')) as world:
        sizes = until('the size is found', lambda: found(world), 15)
        assert 1390 <= sizes[-1] <= 1400
        time.sleep(0.5)
        with Call(world, rate=50, size=1400) as call:
            time.sleep(1)
            assert_whole(call.report(), lost=10)
            time.sleep(1)
            report = call.report()
            assert report['sent'] > 20
            assert_whole(report)


@pytest.mark.long
@pytest.mark.parametrize('way', ['up', 'down'])
@pytest.mark.parametrize('family', ['ipv6', 'ipv4-nat'])
def test_a_connection_outlives_that_its_path_shrinks_in_silence(family, way):
    with World('shrinks', WORLD.replace('mtu = 1400', '').format(family=family, more='icmp = "drop"')) as world:
        server = world.start('peer', 'iperf3', '-s', '-1')
        until('iperf3 listens', lambda: ':5201' in world.run('peer', 'ss', '-tln'))
        client = world.start('host', 'iperf3', '-J', '-6', '-c', PEER6, '-t', '50', '-b', '2M',
                             *(['-R'] if way == 'down' else []))
        time.sleep(3)
        world.do('set', access='one', mtu='1400')
        out = json.loads(client.communicate(timeout=90)[0])
        server.kill()
        server.wait()
    rates = [i['sum']['bits_per_second'] for i in out['intervals']]
    assert 'error' not in out and min(rates[-4:]) > 1.5e6, rates
