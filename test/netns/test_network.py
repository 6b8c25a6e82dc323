"""The network decides: an anchor's operator moves flows, drains an access and has a policy; a host obeys or
refuses; what is used is counted. Judged by what the accesses carry, by the host's own view and at the peer.
"""
import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import time

import pytest

from world import FLOWMOB, HERE, PEER4, PEER6, Call, World, assert_whole, until

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
NAMES = [x for x in POLICY.split('\n') if x.strip()]
REORDERED = '\n'.join(NAMES[1::-1] + ['  class "first" { match = {"udp dport 7"} }'] +
                      NAMES[:1:-1])
RENAMED = POLICY.replace('"bulk"', '"heap"')
HEADERS = 48  # IPv6 and UDP


class Operator:
    """A world whose anchor an operator works at."""

    def __init__(self, world):
        self.world = world
        self.file = world.dir / 'anchor/flowmob.conf'
        self.by_lab = self.file.read_text()
        self.original = re.sub(r'  access .*\n', '', self.by_lab)  # the tests have names of their own
        self.id = until('both accesses are registered', self.bound)['id']

    def bound(self):
        b = self.world.ask('anchor', 'bindings')['bindings'][0]
        works = all(a['state'] == 'up' for a in self.world.accesses().values())
        return b if len(b['bids']) == 2 and works and self.world.home() else None

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

    def restart(self):
        pid = self.world.pid('anchor')
        self.world.do('kill', node='anchor')
        until('another daemon', lambda: self.world.pid('anchor') != pid, 10)
        until('it knows the host', self.bound, 10)

    def access_of(self, port):
        """Where the host's flow to a port of the peer goes."""
        flows = [f for f in self.world.ask('host', 'flows')['flows'] if f['remote'] == f'[{PEER6}]:{port}']
        return min(flows, key=lambda f: f['age_s'])['access'] if flows else None

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
        until('the host sends it over lte', lambda: operator.access_of(5004) == 'lte')
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
        until('it is back', lambda: operator.access_of(5004) == 'wifi')
        assert_whole(call.report())
    assert 'move-obeyed' in operator.names('anchor') and 'network-move' in operator.names('host')
    settled(operator)


def test_a_lab_names_its_accesses_for_the_operator(operator):
    """As it is before anybody writes a policy: by the scenario's names, also behind the NAT."""
    operator.file.write_text(operator.by_lab)
    assert 'error' not in operator.world.ask('anchor', 'reload')
    assert [b['access'] for b in operator.binding()['bids']] == ['wifi', 'lte']
    with Call(operator.world, rate=100) as call:
        until('it is there', lambda: operator.access_of(5004) == 'wifi')
        code, said = operator.move('udp dport 5004', 'lte')
        assert (code, said['access']) == (0, 'lte'), said
        until('the host sends it over lte', lambda: operator.access_of(5004) == 'lte')
        assert_whole(call.report())
    for fid in [f['fid'] for f in operator.binding()['flows'] if f['fid'] >= 0x8000]:
        assert operator.move(str(fid), 'rules')[0] == 0
    operator.conf()
    settled(operator)


def test_a_move_for_a_while_ends_after_a_restart_too(operator):
    with Call(operator.world, rate=200) as call:
        until('it is there', lambda: operator.access_of(5004) == 'wifi')
        begin = time.monotonic()
        assert operator.move('udp dport 5004', '2', '--for', '5')[0] == 0
        until('the host sends it over lte', lambda: operator.access_of(5004) == 'lte')
        until('the host has registered it', lambda: operator.binding()['flows'])
        operator.restart()
        assert [0 < o['ends_s'] < 5 for o in operator.orders('move')] == [True, True]  # one a family
        assert operator.access_of(5004) == 'lte'
        until('its time is over', lambda: operator.access_of(5004) == 'wifi')
        assert 4.9 < time.monotonic() - begin < 6.5
        assert_whole(call.report())
    settled(operator)


def test_a_rule_of_the_host_refuses_it(operator):
    with Call(operator.world, rate=100, port=6004) as call:
        until('it is there', lambda: operator.access_of(6004) == 'wifi')
        code, said = operator.move('udp dport 6004', '2')
        assert (code, said['error']['code']) == (1, 'refused-by-host'), said
        assert operator.access_of(6004) == 'wifi'
        for node, event in (('anchor', 'move-refused'), ('host', 'network-move-refused')):
            assert {e['status'] for e in operator.world.events(node) if e['event'] == event} == {129}
        code, said = operator.move('udp dport 6004', '2', '--administrative')
        assert code == 0, said
        until('the operator insists', lambda: operator.access_of(6004) == 'lte')
        assert_whole(call.report())
    code, said = operator.move('udp dport 6200', '2', '--administrative')
    assert (code, said['error']['code']) == (1, 'refused-by-host'), said  # final
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
        until('the host obeys', lambda: operator.access_of(5004) == 'lte')
        assert {o['state'] for o in operator.orders('class')} == {'held'}
        counters = operator.world.counters('anchor')
        assert counters['anchor-update-notifications'] == counters['anchor-update-notifications-acknowledged'] > 0
        operator.conf(POLICY.replace('{"cell", "near"}', '{"near"}'), 'class = {"video"}')
        until('another policy', lambda: operator.access_of(5004) == 'wifi')
        assert_whole(call.report())
    operator.conf()
    settled(operator)


@pytest.mark.parametrize('port, insists, access', [(6004, 'no', 'wifi'), (6004, 'yes', 'lte'), (6200, 'yes', 'wifi')],
                         ids=['a rule wins', 'the operator insists', 'a final rule wins'])
def test_a_policy_meets_rules_of_the_host(operator, port, insists, access):
    clash = f'  class "clash" {{ match = {{"udp dport {port}"}}  via = {{"cell"}}  administrative = {insists} }}\n'
    with Call(operator.world, rate=100, port=port) as call:
        until('it is there', lambda: operator.access_of(port) == 'wifi')
        operator.conf(POLICY + clash, 'class = {"clash"}')
        until('the host has taken it', lambda: {o['state'] for o in operator.orders('class')} == {'held'})
        time.sleep(0.5)
        lte = operator.world.accesses()['lte']['interface']
        before = operator.world.octets(lte)
        time.sleep(0.5)
        carried = [b - a for a, b in zip(before, operator.world.octets(lte))]  # either direction
        assert operator.access_of(port) == access
        assert min(carried) > 40 * 200 if access == 'lte' else max(carried) < 20 * 200, carried
        assert_whole(call.report())
    operator.conf()
    settled(operator)


def test_a_drain_moves_all_and_is_undone(operator):
    operator.conf(POLICY)
    with Call(operator.world, rate=200) as call:
        until('it is there', lambda: operator.access_of(5004) == 'wifi')
        code, said = operator.flowmob('drain', 'near')
        drain, = said['drains']
        # it moves all but what its final rule holds there, and that is told
        assert (code, drain['hosts'], drain['refused'], drain['access']) == (1, 1, 1, 'near'), said
        assert {o['state'] for o in operator.orders('drain')} == {'held'}  # it did not only look so
        until('the flow left', lambda: operator.access_of(5004) == 'lte')
        operator.restart()
        assert operator.flowmob('drain')[1]['drains'][0]['access'] == 'near'  # over a restart
        code, said = operator.flowmob('drain', 'near', '--undo')
        assert (code, said['drains']) == (0, []), said
        until('it is back', lambda: operator.access_of(5004) == 'wifi')
        assert_whole(call.report())
    operator.conf()
    settled(operator)


def write_rules(operator, last, match=f'dst {PEER6} dport 5004'):
    """10,000 rules of which the call's flow, or @match, fits line 7,777 only, of the class @last."""
    lines = [f'film ip6 udp dst 2001:db8:{0xa000 + n % 4096:x}:{n:x}::/64 dport {1000 + n % 5000}' for n in range(10000)]
    lines[7776] = f'{last} udp {match}'
    lines[8000] = 'talk udp dport 5004'  # not the first that fits
    file = operator.world.dir / 'anchor/operator.rules'
    file.write_text('# CLASS MATCH\n\n' + '\n'.join(lines) + '\n')
    operator.conf(f'''{POLICY}  rules = "{file}"
  class "film" {{ via = {{"cell", "near"}} }}
  class "talk" {{ via = {{"near"}} }}''', 'class = {"film", "talk"}\n    usage = yes')


def test_one_of_ten_thousand_rules_leads_a_flow(operator):
    """The host sends by wifi and is not asked; what comes to it takes the access of the class."""
    wifi, lte = (operator.world.accesses()[a]['interface'] for a in ('wifi', 'lte'))

    def came():
        """Octets that wifi and lte brought in half a second."""
        before = [operator.world.octets(i)[1] for i in (wifi, lte)]
        time.sleep(0.5)
        return [operator.world.octets(i)[1] - b for i, b in zip((wifi, lte), before)]

    operator.flowmob('usage', '--reset')
    with Call(operator.world, rate=200) as call:
        until('it is there', lambda: operator.access_of(5004) == 'wifi')
        write_rules(operator, 'film')
        until('rule 7,777 leads it', lambda: came()[1] > 10 * came()[0])
        assert operator.access_of(5004) == 'wifi'
        said = operator.flowmob('status')[1]['rules']
        assert (said['rules'], said['memory_bytes'] < 10_000_000) == (10001, True), said
        assert 0 < said['fitting'] <= said['asked'] < 100, said  # once for a flow, not for a packet
        write_rules(operator, 'talk')
        until('another class', lambda: came()[0] > 10 * came()[1])
        time.sleep(1.2)  # what a program remembers of a flow's class is a second old at most
        write_rules(operator, 'film')
        until('and back', lambda: came()[1] > 10 * came()[0])
        assert operator.flowmob('drain', 'cell')[0] == 0
        until('its access is drained', lambda: came()[0] > 10 * came()[1])
        assert operator.flowmob('drain', 'cell', '--undo')[0] == 0
        until('and open again', lambda: came()[1] > 10 * came()[0])
        operator.restart()
        until('another daemon says the same', lambda: came()[1] > 10 * came()[0])
        write_rules(operator, '-')
        until('no class: where it comes from', lambda: came()[0] > 10 * came()[1])
        assert_whole(call.report())
    used = {(u['access'], u['class']): u for u in operator.flowmob('usage', operator.id)[1]['usage']}
    assert used['cell', 'film']['down_packets'] > 100 and used['near', 'film']['up_packets'] > 100, used
    assert used['near', 'talk']['down_packets'] > 50, used
    operator.flowmob('usage', '--reset')
    operator.conf()
    settled(operator)


@pytest.mark.long
def test_a_full_access_sheds(operator):
    limited = POLICY.replace('{"2001:db8:f000::/48"}', '{"2001:db8:f000::/48"}  rate-limit = 100kbit')
    operator.conf(limited.replace('{"cell", "near"}', '{"near", "cell"}'), 'class = {"video"}')
    with Call(operator.world, rate=200) as call:
        until('the class is there', lambda: operator.access_of(5004) == 'wifi')
        until('another tenth each second', lambda: operator.access_of(5004) == 'lte', 20)
        assert_whole(call.report())
    until('with nothing to carry it comes back', lambda: {o['bid'] for o in operator.orders('class')} == {1}, 40)
    operator.conf()
    settled(operator)


def test_too_many_flows_shed(operator):
    """What is above flow-limit goes elsewhere, a tenth of the subscribers each second; all datagrams arrive."""
    limited = POLICY.replace('{"2001:db8:f000::/48"}', '{"2001:db8:f000::/48"}  flow-limit = 4')
    operator.conf(limited.replace('{"cell", "near"}', '{"near", "cell"}'), 'class = {"video"}')
    with contextlib.ExitStack() as stack:
        few = [stack.enter_context(Call(operator.world, rate=20, port=5004))]
        until('the class is there', lambda: {o['bid'] for o in operator.orders('class')} == {1})
        socks = [stack.enter_context(operator.world.socket('host', socket.AF_INET6, socket.SOCK_DGRAM)) for _ in range(6)]
        for s in socks:
            s.bind((operator.world.home(), 0))
            s.connect((PEER6, 5004))
        lte = operator.world.accesses()['lte']['interface']

        def has_left():
            for s in socks:
                s.send(b'00000000')
            return operator.access_of(5004) == 'lte'

        time.sleep(2)
        assert operator.access_of(5004) == 'wifi'  # one flow is not too many
        until('all go elsewhere', has_left, 25)
        before = operator.world.octets(lte)
        until('they are carried there, either way', lambda: not has_left() or min(
            b - a for a, b in zip(before, operator.world.octets(lte))) > 1000)
        assert operator.access_of(5004) == 'lte'
        assert_whole(few[0].report())
    assert {'move-obeyed'} <= set(operator.names('anchor'))
    operator.conf()
    settled(operator)


def test_a_host_registers_again_when_it_is_asked(operator):
    def lives():
        return [b['lifetime_s'] for b in operator.binding()['bids']]

    until('its life has run for a while', lambda: max(lives()) < 898, 5)
    before, since = lives(), len(operator.world.events('host'))
    code, said = operator.flowmob('bindings', '--renew', operator.id)
    assert code == 0, said
    until('it has all its life again', lambda: min(lives()) > max(before))
    events = operator.world.events('host')[since:]
    assert 'registered' in {e['event'] for e in events}, events
    assert operator.flowmob('bindings', '--renew', 'nobody@example.net')[1]['error']['code'] == 'no-such-host'


def exchange(world, port, n, size):
    """Sends so many datagrams to the peer and takes as many back."""
    echo = world.start('peer', sys.executable, str(HERE / 'call.py'), 'echo', PEER6, port)
    try:
        assert echo.stdout.readline() == 'ready\n'
        with world.socket('host', socket.AF_INET6, socket.SOCK_DGRAM) as s:
            s.settimeout(5)
            s.bind((world.home(), 0))
            s.connect((PEER6, port))
            for _ in range(n):
                s.send(b'x' * size)
                assert len(s.recv(65536)) == size
    finally:
        echo.kill()
        echo.wait()


def test_usage_is_what_was_sent(operator):
    sent = {'video': (5004, 200, 160), 'bulk': (5005, 100, 1000), None: (7000, 50, 20)}
    operator.conf(POLICY, 'class = {"video", "bulk"}\n    usage = yes')
    until('the class is obeyed', lambda: {o['state'] for o in operator.orders('class')} == {'held'})
    operator.flowmob('usage', '--reset')
    for port, n, size in sent.values():
        exchange(operator.world, port, n, size)
    operator.restart()
    used = {u['class']: u for u in operator.flowmob('usage', operator.id)[1]['usage']}
    assert {k: u['access'] for k, u in used.items()} == {'video': 'cell', 'bulk': 'near', None: 'near'}
    for name, (_, n, size) in sent.items():
        u = used[name]
        assert (u['up_packets'], u['down_packets']) == (n, n), used
        assert u['up_bytes'] == u['down_bytes'] == n * (size + HEADERS), used
    exchange(operator.world, 5005, 10, 100)
    taken = {u['class']: u for u in operator.flowmob('usage', operator.id, '--reset')[1]['usage']}
    assert taken['bulk']['up_packets'] == 110 and taken['video'] == used['video']
    assert operator.flowmob('usage', operator.id)[1]['usage'] == []
    operator.conf()


IP_MTU_DISCOVER, IP_PMTUDISC_DONT = 10, 0


def answered(world, family, size, n, port=5005):
    """How many of n datagrams of the host came back from the peer; either may be cut on its way."""
    came = 0
    with world.socket('host', family, socket.SOCK_DGRAM) as host, world.socket('peer', family, socket.SOCK_DGRAM) as peer:
        for s in (host, peer):
            s.settimeout(0.3)
            if family == socket.AF_INET:
                s.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT)
        host.bind((world.home(family=4 if family == socket.AF_INET else 6), 0))
        peer.bind(('', port))
        for _ in range(n):
            host.sendto(b'x' * size, (PEER4 if family == socket.AF_INET else PEER6, port))
            try:
                peer.sendto(*peer.recvfrom(65536))
                came += len(host.recv(65536)) == size
            except socket.timeout:
                pass
    return came


@pytest.mark.parametrize('family, size', [
    (socket.AF_INET, 1400),   # outside: the daemons cut, the kernels put together
    (socket.AF_INET6, 3000),  # inside: later fragments have no ports
], ids=['outside', 'inside'])
def test_fragments_are_used_too(operator, family, size):
    operator.conf(POLICY, 'class = {"bulk"}\n    usage = yes')
    operator.world.do('set', access='wifi', mtu=1400)
    until('sizes are known', lambda: answered(operator.world, family, size, 3) == 3, 20)
    operator.flowmob('usage', '--reset')
    assert answered(operator.world, family, size, 50) == 50
    counters = operator.world.counters('anchor')
    operator.world.do('set', access='wifi', mtu=1500)
    used, = operator.flowmob('usage', operator.id)[1]['usage']
    assert (used['access'], used['class']) == ('near', 'bulk'), used
    for way in ('up', 'down'):
        n = used[f'{way}_packets']
        if family == socket.AF_INET:
            assert (n, used[f'{way}_bytes']) == (50, 50 * (size + 28)), used
            assert counters[f'slow-{"reassembled" if way == "up" else "fragmented"}'] >= 50, counters
        else:  # each with its headers: IPv6 and the one of fragments
            assert n >= 100 and used[f'{way}_bytes'] == 50 * (size + 8) + n * 48, used
    operator.flowmob('usage', '--reset')
    operator.conf()


def test_fragments_obey_ten_thousand_rules(operator):
    """Those that the daemon cuts and puts together are of the class that the rules say."""
    family, size = socket.AF_INET, 1400
    write_rules(operator, 'talk', f'dst {PEER4} dport 5005')
    operator.world.do('set', access='wifi', mtu=1400)
    until('sizes are known', lambda: answered(operator.world, family, size, 3) == 3, 20)
    operator.flowmob('usage', '--reset')
    assert answered(operator.world, family, size, 50) == 50
    operator.world.do('set', access='wifi', mtu=1500)
    used, = operator.flowmob('usage', operator.id)[1]['usage']
    assert (used['access'], used['class'], used['up_packets'], used['down_packets']) == ('near', 'talk', 50, 50), used
    operator.flowmob('usage', '--reset')
    operator.conf()


def test_ten_thousand_rules_count_over_one_access(operator):
    """There is nothing to lead, and yet each packet is of its class, both ways."""
    write_rules(operator, 'talk', f'dst {PEER6} dport 5005')
    operator.world.do('link-down', access='lte')
    until('one access is left', lambda: len(operator.binding()['bids']) == 1)
    operator.flowmob('usage', '--reset')
    with Call(operator.world, rate=200, port=5005):
        time.sleep(2)
    operator.world.do('restore', access='lte')
    used = {u['class']: u for u in operator.flowmob('usage', operator.id)[1]['usage']}
    for way in ('up_packets', 'down_packets'):  # the first ones, until the daemon has answered, have none
        assert used['talk'][way] > 300 and used.get(None, {way: 0})[way] < 40, used
    operator.flowmob('usage', '--reset')
    operator.conf()
    settled(operator)


def test_thousands_of_flows_ask_at_once(operator):
    """More than the daemon answers in one turn: the others follow at once, not when the next one asks."""
    write_rules(operator, 'talk', f'dst {PEER6} dport 5005')
    until('it is counted', lambda: operator.flowmob('status')[1]['rules'])
    before = operator.flowmob('status')[1]['rules']['asked']
    with operator.world.socket('host', socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_UDP) as s:
        s.bind((operator.world.home(), 0))
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_CHECKSUM, 6)
        for port in range(20000, 22000):
            s.sendto(port.to_bytes(2, 'big') + (5005).to_bytes(2, 'big') + b'\0\x08\0\0', (PEER6, 0))
    time.sleep(0.5)
    assert operator.flowmob('status')[1]['rules']['asked'] - before >= 2000
    operator.conf()
    settled(operator)


def test_usage_is_kept_where_many_more_are_counted(operator):
    """The map of counters has room for twice those that a start knows of, in steps: another start makes a larger one."""
    operator.conf(POLICY, 'class = {"video", "bulk"}\n    usage = yes')
    operator.flowmob('usage', '--reset')
    with Call(operator.world, rate=200, port=5005):
        time.sleep(1)
        key = re.search('key-file = "[^"]*"', operator.original).group()
        more = ''.join(f'  subscriber "more{i}@example.net" {{ {key}  usage = yes }}\n' for i in range(40))
        operator.conf(more + POLICY, 'class = {"video", "bulk"}\n    usage = yes')
        operator.restart()
        time.sleep(1.5)  # the counters of before are taken over a second time
    used, = (u for u in operator.flowmob('usage', operator.id)[1]['usage'] if u['class'] == 'bulk')
    assert abs(used['up_packets'] - used['down_packets']) <= 2 and used['up_packets'] > 300, used
    operator.flowmob('usage', '--reset')
    operator.conf()


def test_usage_follows_the_names(operator):
    """Blocks in another order, at a reload and at a restart, under traffic: counts stay with their names."""
    given = 'class = {"video", "bulk"}\n    usage = yes'
    operator.conf(POLICY, given)
    until('the class is obeyed', lambda: {o['state'] for o in operator.orders('class')} == {'held'})
    operator.flowmob('usage', '--reset')
    with Call(operator.world, rate=200), Call(operator.world, rate=200, port=5005):
        for policy in (REORDERED, POLICY, REORDERED):
            time.sleep(1.2)  # what a program remembers of a flow is a second old at most
            operator.conf(policy, given)
        operator.restart()
        time.sleep(1.2)
        operator.file.write_text(operator.file.read_text().replace(REORDERED, POLICY))
        operator.restart()
        time.sleep(1.2)
        operator.conf(RENAMED, given.replace('bulk', 'heap'))
        time.sleep(1.2)
    used = {(u['access'], u['class']): u for u in operator.flowmob('usage', operator.id)[1]['usage']
            if u['class'] or u['up_packets'] > 10}  # at the end ICMPv6 says that nobody listens any more
    assert set(used) == {('cell', 'video'), ('near', 'bulk'), ('near', 'heap')}, used
    video = used['cell', 'video']
    assert abs(video['up_packets'] - video['down_packets']) <= 2 and video['up_packets'] > 1200, used
    assert used['near', 'bulk']['up_packets'] + used['near', 'heap']['up_packets'] > 1200, used
    operator.flowmob('usage', '--reset')
    operator.conf()
