"""The network decides: an anchor's operator moves flows, drains an access and has a policy; a host obeys or
refuses; what is used is counted. Judged by what the accesses carry, by the host's own view and at the peer.
"""
import json
import os
import subprocess
import time

import pytest

from world import FLOWMOB, PEER6, Call, World, assert_whole, until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason='network namespaces need root')

WORLD = '''
  peer   { delay = "1ms" }
  access "wifi" { family = "ipv6"  delay = "2ms" }
  access "lte"  { family = "ipv4-nat"  delay = "3ms" }
  host   {
    rule "final" { match = {"udp dport 6200"}  mode = "active-standby"  via = {"wifi"}  final = yes }
    rule "voice" { match = {"udp dport 6000-6100"}  mode = "active-standby"  via = {"wifi"} }
    default { type = "session-lasting"  via = {"wifi", "lte"} }
  }
'''
POLICY = '''
  access "near" { care-of = {"2001:db8:f000::/48"} }
  access "cell" { care-of = {"203.0.113.0/24"} }
  class "video" { match = {"udp dport 5004"}  via = {"cell", "near"} }
  class "bulk"  { match = {"udp dport 5005"} }
'''
HEADERS = 48  # IPv6 and UDP


class Operator:
    """A world whose anchor an operator works at."""

    def __init__(self, world):
        self.world = world
        self.file = world.dir / 'anchor/flowmob.conf'
        self.original = self.file.read_text()
        self.id = until('both accesses are registered', self.bound)['id']

    def bound(self):
        b = self.world.ask('anchor', 'bindings')['bindings'][0]
        return b if len(b['bids']) == 2 and self.world.home() else None

    def binding(self):
        return self.world.ask('anchor', 'bindings')['bindings'][0]

    def orders(self, kind):
        return [o for o in self.binding()['orders'] if o['kind'] == kind]

    def conf(self, policy='', subscriber=''):
        text = self.original.replace('subscriber "', policy + '\n  subscriber "', 1)
        self.file.write_text(text.replace('types = {', subscriber + '\n    types = {', 1))
        done = self.world.ask('anchor', 'reload')
        assert 'error' not in done, done

    def flowmob(self, *words):
        """Exit code, and the object that was said."""
        env = dict(os.environ, FLOWMOB_SOCKET=str(self.world.dir / 'anchor/run/flowmob.sock'))
        done = subprocess.run(self.world.inside('anchor', FLOWMOB, *words, '--json'), env=env, text=True,
                              capture_output=True, timeout=60)
        return done.returncode, json.loads(done.stdout or done.stderr)

    def move(self, what, access, *more):
        what = ['--match', what] if ' ' in what else [what]
        return self.flowmob('move', *what, access, '--host', self.id, *more)

    def access_of(self, port):
        """Where the host's flow to a port of the peer goes."""
        for f in self.world.ask('host', 'flows')['flows']:
            if f['remote'] == f'[{PEER6}]:{port}':
                return f['access']
        return None

    def names(self, node):
        return [e['event'] for e in self.world.events(node)]


@pytest.fixture(scope='module')
def operator():
    with World('network', WORLD) as w:
        yield Operator(w)


def settled(operator):
    """All that the network ever asked for is gone."""
    until('no order is left', lambda: not operator.binding()['orders'])
    until('no flow binding is left', lambda: not operator.binding()['flows'], 15)


def test_a_move_is_obeyed_in_both_directions(operator):
    with Call(operator.world, rate=200) as call:
        until('it is there', lambda: operator.access_of(5004) == 'wifi')
        code, said = operator.move('udp dport 5004', '2')
        assert (code, said['moved'], said['bid']) == (0, 1, 2), said
        until('the host sends it over lte', lambda: operator.access_of(5004) == 'lte', 3)
        before = [operator.world.octets(a['interface']) for a in operator.world.accesses().values()]
        time.sleep(1)
        after = [operator.world.octets(a['interface']) for a in operator.world.accesses().values()]
        wifi, lte = ([b - a for a, b in zip(*x)] for x in zip(before, after))
        assert min(lte) > 10 * max(wifi), (wifi, lte)  # either direction
        assert_whole(call.report())
        fids = [f['fid'] for f in operator.binding()['flows'] if f['fid'] >= 0x8000]
        for fid in fids:
            code, said = operator.move(str(fid), 'rules')
            assert code == 0, said
        until('it is back', lambda: operator.access_of(5004) == 'wifi', 3)
        assert_whole(call.report())
    assert 'move-obeyed' in operator.names('anchor') and 'network-move' in operator.names('host')
    settled(operator)


def test_a_rule_of_the_host_refuses_it(operator):
    with Call(operator.world, rate=100, port=6004) as call:
        until('it is there', lambda: operator.access_of(6004) == 'wifi')
        code, said = operator.move('udp dport 6004', '2')
        assert (code, said['error']['code'], said['error']['status']) == (1, 'refused-by-host', 129), said
        assert operator.access_of(6004) == 'wifi'
        assert 'move-refused' in operator.names('anchor') and 'network-move-refused' in operator.names('host')
        code, said = operator.move('udp dport 6004', '2', '--administrative')
        assert code == 0, said
        until('the operator insists', lambda: operator.access_of(6004) == 'lte', 3)
        assert_whole(call.report())
    code, said = operator.move('udp dport 6200', '2', '--administrative')
    assert (code, said['error']['status']) == (1, 129), said  # final
    for fid in [f['fid'] for f in operator.binding()['flows'] if f['fid'] >= 0x8000]:
        assert operator.move(str(fid), 'rules')[0] == 0
    settled(operator)


def test_what_is_not_there_is_said(operator):
    assert operator.move('udp dport 5004', '7')[1]['error']['code'] == 'access-down'
    assert operator.move('4711', '2')[1]['error']['code'] == 'no-such-flow'
    assert operator.flowmob('move', '1', '2', '--host', 'x')[1]['error']['code'] == 'no-such-host'
    assert operator.flowmob('drain', 'nowhere')[1]['error']['code'] == 'no-such-access'
    assert operator.flowmob('usage', operator.id)[1]['error']['code'] == 'not-counted'


def test_a_class_goes_where_the_policy_says(operator):
    operator.conf(POLICY, 'class = {"video"}')
    with Call(operator.world, rate=200) as call:
        until('the host obeys', lambda: operator.access_of(5004) == 'lte', 3)
        assert {o['state'] for o in operator.orders('class')} == {'held'}
        counters = operator.world.counters('anchor')
        assert counters['anchor-update-notifications'] == counters['anchor-update-notifications-acknowledged'] > 0
        operator.conf(POLICY.replace('{"cell", "near"}', '{"near"}'), 'class = {"video"}')
        until('another policy', lambda: operator.access_of(5004) == 'wifi', 3)
        assert_whole(call.report())
    operator.conf()
    settled(operator)


def test_a_drain_moves_all_and_is_undone(operator):
    operator.conf(POLICY)
    with Call(operator.world, rate=200) as call:
        until('it is there', lambda: operator.access_of(5004) == 'wifi')
        code, said = operator.flowmob('drain', 'near')
        drain, = said['drains']
        assert (code, drain['hosts'], drain['left'], drain['access']) == (0, 1, 1, 'near'), said
        until('the flow left', lambda: operator.access_of(5004) == 'lte', 3)
        pid = operator.world.pid('anchor')
        operator.world.do('kill-daemon', node='anchor')
        until('another daemon', lambda: operator.world.pid('anchor') != pid, 10)
        assert operator.flowmob('drain')[1]['drains'][0]['access'] == 'near'  # over a restart
        code, said = operator.flowmob('drain', 'near', '--undo')
        assert (code, said['drains']) == (0, []), said
        until('it is back', lambda: operator.access_of(5004) == 'wifi', 5)
        assert_whole(call.report())
    operator.conf()
    settled(operator)


def test_usage_is_what_was_sent(operator):
    operator.conf(POLICY, 'class = {"video", "bulk"}  usage = yes')
    until('the class is obeyed', lambda: {o['state'] for o in operator.orders('class')} == {'held'}, 3)
    operator.flowmob('usage', '--reset')
    with Call(operator.world, rate=200, size=160) as video, \
            Call(operator.world, rate=100, size=160, port=5005) as bulk, \
            Call(operator.world, rate=50, size=160, port=7000) as other:
        time.sleep(1.5)
        pid = operator.world.pid('anchor')
        operator.world.do('kill-daemon', node='anchor')
        until('another daemon', lambda: operator.world.pid('anchor') != pid, 10)
        time.sleep(0.5)
        sent = {}
        for name, call in (('video', video), ('bulk', bulk), (None, other)):
            call.call.stdin.write('stop\n')
            call.call.stdin.flush()
            report = json.loads(call.call.stdout.readline())
            assert_whole(report | {'dropped_by_machine': 0})
            sent[name] = report['sent']
    used = {u['class']: u for u in operator.flowmob('usage', operator.id)[1]['usage']}
    assert {k: u['access'] for k, u in used.items()} == {'video': 'cell', 'bulk': 'near', None: 'near'}
    for name, n in sent.items():
        assert (used[name]['up_packets'], used[name]['down_packets']) == (n, n), (name, used)
        assert used[name]['up_bytes'] == used[name]['down_bytes'] == n * (160 + HEADERS)
    taken = operator.flowmob('usage', operator.id, '--reset')[1]['usage']
    assert {u['class']: u for u in taken} == used
    assert operator.flowmob('usage', operator.id)[1]['usage'] == []
    operator.conf()
