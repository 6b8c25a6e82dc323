"""`flowmob explain` beside what packets really do: of each kind of flow it names the rule, the source address
and the accesses by which the flow then leaves.
"""
import contextlib
import os
import socket
import time

import pytest

from world import PEER4, PEER6, World, until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason='network namespaces need root')

WORLD = '''
  access "wifi" { family = "dual"      delay = "2ms" }
  access "lte"  { family = "ipv4-nat"  delay = "5ms"  mtu = 1400 }
  host {
    rule "twice" { match = {"udp dport 5004-5005", "dscp ef"}  mode = redundant  via = {"wifi", "lte"} }
    rule "cheap" { match = {"udp dport 6000"}  via = {"lte"}  hold-back = yes }
    rule "spread" { match = {"udp dport 6001"}  mode = load-balancing  weights = {"wifi=70", "lte=30"} }
    default { type = "session-lasting"  via = {"wifi", "lte"} }
  }
'''
CASES = [  # protocol, destination, port, rule, accesses
    ('udp', PEER6, 5004, 'twice', ['wifi', 'lte']),
    ('udp', PEER4, 5005, 'twice', ['wifi', 'lte']),
    ('udp', PEER6, 6000, 'cheap', ['lte']),
    ('udp', PEER6, 7000, 'default', ['wifi']),
    ('tcp', PEER6, 5004, 'default', ['wifi']),
]


@pytest.fixture(scope='module')
def world():
    with World('explain', WORLD) as w:
        until('both accesses are bound', lambda: all(a['registered'] for a in w.accesses().values()))
        yield w


def endpoint(address, port):
    return f'[{address}]:{port}' if ':' in address else f'{address}:{port}'


def decisive(answer):
    return [r['rule'] for r in answer['rules'] if r['decides']]


@contextlib.contextmanager
def open_flow(world, proto, address, port):
    """A socket of the host, connected to one that listens at the peer."""
    kind = (socket.AF_INET6 if ':' in address else socket.AF_INET,
            socket.SOCK_DGRAM if proto == 'udp' else socket.SOCK_STREAM)
    with world.socket('peer', *kind) as sink, world.socket('host', *kind) as s:
        sink.bind((address, port))
        if proto == 'tcp':
            sink.listen()
        s.settimeout(5)
        s.connect((address, port))
        yield s


@pytest.mark.parametrize('proto,address,port,rule,accesses', CASES)
def test_what_it_says_comes_true(world, proto, address, port, rule, accesses):
    said = world.ask('host', 'explain', proto=proto, remote=endpoint(address, port))
    assert (decisive(said), said['accesses'], said['mobile']) == ([rule], accesses, True)
    assert said['type'] == 'session-lasting' and 1280 <= said['mtu_bytes'] < 1500
    with open_flow(world, proto, address, port) as s:
        if proto == 'udp':
            before = {d: world.octets(d)[0] for d in ('wifi', 'lte')}
            for _ in range(40):
                s.send(bytes(900))
                time.sleep(0.005)
            after = {d: world.octets(d)[0] for d in before}
            assert [d for d in before if after[d] - before[d] > 36000] == accesses
        assert s.getsockname()[0] == said['source_address']
        flow = until('it is listed', lambda: [
            f for f in world.ask('host', 'flows')['flows'] if f['remote'] == endpoint(address, port) and
            f['proto'] == proto])[0]
        live = world.ask('host', 'explain', flow=str(flow['id']))
        assert (decisive(live), live['accesses'], live['id']) == ([rule], accesses, flow['id'])
        assert live['local'] == flow['local'] and live['history'] == []


def test_a_moved_flow_says_so_and_its_history(world):
    with open_flow(world, 'udp', PEER6, 7001) as s:
        s.send(b'x')
        flow = until('it is listed', lambda: [
            f for f in world.ask('host', 'flows')['flows'] if f['remote'] == endpoint(PEER6, 7001)])[0]
        assert world.ask('host', 'move', flow=str(flow['id']), access='lte')['moved'] == 1
        s.send(b'x')
        live = until('it has gone there', lambda: [
            a for a in [world.ask('host', 'explain', flow=str(flow['id']))] if a['accesses'] == ['lte']])[0]
    assert decisive(live) == ['moved'] and live['moves'] == 1
    assert [(e['event'], e['reason'], e['access']) for e in live['history']] == [('flow-moved', 'command', 'lte')]


def test_what_does_not_go_through_the_tunnel(world):
    router = world.accesses()['wifi']['care_of_address'].rsplit(':', 1)[0] + ':99'
    said = world.ask('host', 'explain', proto='tcp', remote=endpoint(router, 80))
    assert said['mobile'] is False and said['access'] == 'wifi' and 'rules' not in said
    assert said['source_address'] == world.accesses()['wifi']['care_of_address']


@pytest.mark.parametrize('about,code', [
    ({'flow': '4711'}, 'no-such-flow'), ({'flow': 'x'}, 'no-such-flow'), ({}, 'bad-request'),
    ({'proto': 'icmp', 'remote': '[::1]:1'}, 'bad-request'), ({'proto': 'tcp', 'remote': '2001:db8::1:80'}, 'bad-request'),
    ({'proto': 'tcp', 'remote': '[2001:db8::1]:65536'}, 'bad-request'), ({'proto': 'tcp', 'remote': '[]:1'}, 'bad-request'),
    ({'proto': 'tcp', 'remote': ':1'}, 'bad-request'), ({'proto': 'tcp', 'remote': '[:1'}, 'bad-request')])
def test_what_it_refuses(world, about, code):
    assert world.ask('host', 'explain', **about)['error']['code'] == code


def why(answer, rule):
    return next(r['why'] for r in answer['rules'] if r['rule'] == rule)


def test_it_tells_shares_and_hold_back(world):
    said = world.ask('host', 'explain', proto='udp', remote=endpoint(PEER6, 6000))
    assert why(said, 'cheap').endswith('; hold-back: flows that go to a nearer access keep their order')
    said = world.ask('host', 'explain', proto='udp', remote=endpoint(PEER6, 6001))
    assert decisive(said) == ['spread'] and '70 wifi, 30 lte take new flows' in why(said, 'spread')


def test_it_tells_of_a_move(world):
    with open_flow(world, 'udp', PEER6, 7003) as s:
        s.send(b'x')
        flow = until('it is listed', lambda: [
            f for f in world.ask('host', 'flows')['flows'] if f['remote'] == endpoint(PEER6, 7003)])[0]
        world.ask('host', 'move', flow=str(flow['id']), access='lte', for_s=100)
        until('the anchor knows', lambda: why(
            world.ask('host', 'explain', flow=str(flow['id'])), 'moved').endswith('; the anchor keeps to it'))
        said = world.ask('host', 'explain', flow=str(flow['id']))
        assert decisive(said) == ['moved'] and '; it goes there with its next packet' in why(said, 'moved')
        s.send(b'x')
        said = world.ask('host', 'explain', flow=str(flow['id']))
        assert said['accesses'] == ['lte'] and 'next packet' not in why(said, 'moved')
        assert why(said, 'moved').startswith('moved to lte by flowmob move, for 9')
