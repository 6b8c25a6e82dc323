"""Sockets that ask for an address by type (RFC 8653), plain Python ones, with real daemons: what the peer sees as
source, what comes back when it is not there yet or refused, what stays after kill -9, what is given back.
"""
import collections
import ipaddress
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from world import FLOWMOB, HERE, PEER4, PEER6, World, until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason='network namespaces need root')

FIXED, LASTING, NONPERSISTENT, GRACEFUL = 1, 2, 3, 4
WORLD = '''
  access "wifi" { family = "dual"      delay = "2ms" }
  access "lte"  { family = "ipv4-nat"  delay = "5ms" }
  host { default { type = "session-lasting"  via = {"wifi", "lte"} } }
'''
PORT = 5000


class Programs:
    """A program in the host that opens sockets as it is told: test/netns/sockets.py."""

    def __init__(self, world, node='host'):
        self.process = subprocess.Popen(
            [FLOWMOB, 'lab', 'exec', '--instance', world.instance, node, '--', sys.executable, HERE / 'sockets.py'],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, do, **c):
        self.process.stdin.write(json.dumps({'do': do, **c}) + '\n')
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def open(self, name, kind_of, kind='udp', **c):
        c.setdefault('to', (PEER4 if c.get('family') == 4 else PEER6, PORT))
        return self('open', name=name, type=kind_of, kind=kind, **c)

    def kill(self):
        # the lab's own process has become the program
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


class Peer:
    """What the correspondent sees: sources of datagrams by their text; it answers each."""

    def __init__(self, world):
        self.seen = collections.defaultdict(set)
        self.sockets = []
        for family, address in ((socket.AF_INET6, PEER6), (socket.AF_INET, PEER4)):
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                s = world.socket('peer', family, kind)
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                s.bind((address, PORT))
                self.sockets.append(s)
                if kind == socket.SOCK_STREAM:
                    s.listen()
                    threading.Thread(target=self.accept, args=(s,), daemon=True).start()
                else:
                    threading.Thread(target=self.datagrams, args=(s,), daemon=True).start()

    def datagrams(self, s):
        while True:
            text, back = s.recvfrom(4096)
            self.seen[text.decode()].add(back[0])
            s.sendto(text, back)

    def accept(self, s):
        while True:
            c, back = s.accept()
            threading.Thread(target=self.stream, args=(c, back), daemon=True).start()

    def stream(self, c, back):
        try:
            while text := c.recv(4096):
                self.seen[text.decode()].add(back[0])
                c.sendall(text)
        except OSError:
            pass  # ended by a reset
        c.close()

    def source_of(self, text):
        return until(f'the peer got "{text}"', lambda: self.seen.get(text))


@pytest.fixture(scope='module')
def world():
    with World('sockets', WORLD) as w:
        until('both accesses are bound', lambda: all(a['registered'] for a in w.accesses().values()))
        w.peer = Peer(w)
        yield w


@pytest.fixture
def programs(world):
    p = Programs(world)
    yield p
    p.kill()


def leases(world):
    return {(l['pid'], l['type'], l['prefix']) for b in world.ask('anchor', 'bindings')['bindings'] for l in b['leases']
            if l['pid'] != 0}


def is_released(world, address):
    return not any(ipaddress.ip_address(address) in ipaddress.ip_network(prefix) for _, _, prefix in leases(world))


def row_of(world, address):
    return next(a for a in world.ask('host', 'address')['addresses'] if a['address'] == address)


CASES = [(t, how) for t in (FIXED, LASTING, NONPERSISTENT, GRACEFUL) for how in
         ({'kind': 'udp'}, {'kind': 'udp', 'sendto': True}, {'kind': 'tcp'}, {'kind': 'udp', 'bind_first': True},
          {'kind': 'tcp', 'bind_first': True})]


@pytest.mark.parametrize('kind_of,how', CASES, ids=lambda x: x if isinstance(x, int) else '-'.join(map(str, x.values())))
def test_the_peer_sees_an_address_of_that_type(world, programs, kind_of, how):
    name = f'{kind_of} {sorted(how.items())}'
    o = programs.open(name, kind_of, **how)
    assert o['errno'] is None and o['ready'] and o['type'] == kind_of and not o['failed']
    text = f'sendto {name}' if how.get('sendto') else f'first {name}'
    assert world.peer.source_of(text) == {o['option_address']}
    again = {'to': (PEER6, PORT)} if how.get('sendto') else {}
    assert programs('send', name=name, text=f'again {name}', **again)['errno'] is None
    assert world.peer.source_of(f'again {name}') == {o['option_address']}
    row = row_of(world, o['option_address'])
    assert row['type'] == ['', 'fixed', 'session-lasting', 'nonpersistent', 'graceful-replacement'][kind_of]
    assert row['sockets'] >= 1
    if kind_of == NONPERSISTENT:
        assert o['option_address'] == world.accesses()['wifi']['care_of_address'] and row['access'] == 'wifi'


def test_one_process_with_all_four(world, programs):
    said = {t: programs.open(f'all-{t}', t) for t in (FIXED, LASTING, NONPERSISTENT, GRACEFUL)}
    sources = {t: world.peer.source_of(f'first all-{t}') for t in said}
    assert all(sources[t] == {said[t]['source']} for t in said)
    assert len({s for t in sources for s in sources[t]}) == 4
    again = programs.open('again', FIXED)
    assert again['source'] == said[FIXED]['source'] and again['agains'] == 0


def test_what_is_not_there_yet_says_eagain_then_comes(world, programs):
    o = programs.open('own', LASTING, own=True)
    assert o['errno'] is None and o['agains'] >= 1
    assert o['source'] != world.home()
    assert {a['own'] for a in world.ask('host', 'address')['addresses'] if a['address'] == o['source']} == {True}


def test_who_asks_for_nothing_keeps_what_it_had(world, programs):
    home = world.home()
    programs.open('own', LASTING, own=True)
    programs('make', name='nothing', kind='udp')
    o = programs('open', name='nothing', kind='udp', type=0, to=(PEER6, PORT))
    assert o['source'] == home and not o['ready'] and o['type'] == 0


def test_names_of_programs_stand_beside_an_address(world, programs):
    o = programs.open('a', FIXED, kind='tcp')
    row = row_of(world, o['source'])
    assert [p['pid'] for p in row['programs']] == [programs.process.pid] and row['programs'][0]['name'].startswith('python')


def test_ipv4_has_what_there_is(world, programs):
    home4, o = world.home(family=4), programs.open('four', LASTING, family=4)
    assert o['source'] == home4 and world.peer.source_of('first four') == {home4}
    near = programs.open('near', NONPERSISTENT, family=4)
    assert near['errno'] is None and near['source'] not in (home4, '0.0.0.0')
    refused = programs.open('no', FIXED, family=4, limit_s=5)
    assert refused['errno'] == 'EADDRNOTAVAIL' and programs('look', name='no')['error'] == 'EPROTONOSUPPORT'


def test_the_last_close_gives_it_back_after_ten_seconds(world, programs):
    a, b = programs.open('a', GRACEFUL, own=True), programs.open('b', LASTING, own=True, kind='tcp')
    assert not is_released(world, a['source']) and not is_released(world, b['source'])
    begin = time.monotonic()
    programs('close', name='a')
    programs('close', name='b')
    while time.monotonic() < begin + 8.5:
        assert not is_released(world, a['source']) and not is_released(world, b['source'])
        time.sleep(0.25)
    until('both are released', lambda: is_released(world, a['source']) and is_released(world, b['source']), 6)
    assert a['source'] not in [x['address'] for x in world.ask('host', 'address')['addresses']]


@pytest.mark.long
def test_killed_programs_hold_nothing(world):
    p = Programs(world)
    o = p.open('a', LASTING, own=True)
    p.kill()
    until('it is released', lambda: is_released(world, o['source']), 16)


@pytest.mark.long
def test_an_orphan_holds_its_address(world, programs):
    """Closed with data that the peer does not take: the kernel goes on sending from the address."""
    with world.socket('peer', socket.AF_INET6, socket.SOCK_STREAM) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.bind((PEER6, 5001))
        s.listen()
        o = programs.open('a', LASTING, own=True, kind='tcp', to=(PEER6, 5001))
        peer, _ = s.accept()
        programs('send', name='a', text='x' * 60000)
        programs('close', name='a')
        time.sleep(13)
        assert not is_released(world, o['source']), 'released under a socket that still sends'
        while peer.recv(65536):
            pass
        peer.close()
    until('it is released', lambda: is_released(world, o['source']), 25)


def test_sockets_and_addresses_outlive_the_daemon(world, programs):
    before = {t: programs.open(f'k{t}', t, own=t == LASTING) for t in (FIXED, LASTING, NONPERSISTENT, GRACEFUL)}
    old = world.pid('host')
    os.kill(old, signal.SIGKILL)
    for t in before:  # with nobody there
        assert programs('send', name=f'k{t}', text=f'dead k{t}')['errno'] is None
        assert world.peer.source_of(f'dead k{t}') == {before[t]['source']}
    assert programs.open('new', FIXED)['source'] == before[FIXED]['source']
    world.do('start', node='host')
    until('the daemon is there again', lambda: world.pid('host') != old, 15)
    until('bound', lambda: all(a['registered'] for a in world.accesses().values()))
    time.sleep(13)  # longer than an address lives that nobody has
    for t in before:
        assert programs('send', name=f'k{t}', text=f'back k{t}')['errno'] is None
        assert world.peer.source_of(f'back k{t}') == {before[t]['source']}
        assert row_of(world, before[t]['source'])['sockets'] >= 1
    assert programs.open('newer', GRACEFUL)['source'] == before[GRACEFUL]['source']
    programs('close', name=f'k{LASTING}')
    until('it is released', lambda: is_released(world, before[LASTING]['source']), 16)


def test_who_waits_hears_of_it(world, programs):
    programs('make', name='w', kind='udp', type=GRACEFUL, own=True)
    programs('sc', name='w', op='wait', **{'as': 'wait'})
    said = programs('hear', name='wait')
    assert (said['kind'], said['error'], said['type']) == ('state', 0, GRACEFUL)
    assert programs('look', name='w')['option_address'] == said['address']
    programs('make', name='n', kind='udp')
    programs('sc', name='n', op='wait', **{'as': 'nothing'})
    assert programs('hear', name='nothing')['error'] == 'EINVAL'


def test_who_watches_hears_of_another_path_and_of_a_loss(world, programs):
    o = programs.open('w', LASTING, own=True)
    programs('sc', name='w', op='watch', **{'as': 'watch'})
    said = programs('hear', name='watch')
    assert (said['kind'], said['address'], said['access'], said['life_s']) == ('state', o['source'], 'wifi', 2**32 - 1)
    world.do('link-down', access='wifi')
    try:
        said = programs('hear', name='watch')
        assert (said['kind'], said['access']) == ('path', 'lte')
    finally:
        world.do('restore', access='wifi')
    until('wifi is back', lambda: world.accesses()['wifi']['registered'])
    programs('hear', name='watch', limit_s=8)
    prefix = next(p for _, _, p in leases(world) if ipaddress.ip_address(o['source']) in ipaddress.ip_network(p))
    assert 'error' not in world.ask('anchor', 'release', prefix=prefix)
    said = until('it is told of the loss', lambda: [x for x in [programs('hear', name='watch')] if x['kind'] == 'lost'])[0]
    assert (said['error'], said['address']) == ('ENETRESET', o['source'])
    assert programs('read', name='w')['errno'] == 'ECONNABORTED'  # who waits for data learns too
    assert programs('send', name='w', text='after')['errno'] in ('ENETRESET', 'EDESTADDRREQ')
    assert [e for e in world.events('host') if e['event'] == 'address-lost' and e['address'] == o['source']]


def test_a_handover_replaces_a_graceful_address(world, programs):
    """The old one lives for its grace, new sockets get the new one, who watches is told of both."""
    old = programs.open('old', GRACEFUL)
    programs('sc', name='old', op='watch', **{'as': 'watch'})
    assert programs('hear', name='watch')['kind'] == 'state'
    world.do('link-down', access='wifi')
    try:
        told = {x['kind']: x for x in [programs('hear', name='watch', limit_s=8) for _ in range(3)]}
        assert set(told) == {'path', 'replaced', 'grace'}
        new = programs.open('new', GRACEFUL)
        assert new['source'] == told['replaced']['other'] != old['source']
        assert 0 < told['grace']['life_s'] <= 30 and told['grace']['address'] == old['source']
        assert programs('send', name='old', text='in its grace')['errno'] is None
        assert world.peer.source_of('in its grace') == {old['source']}
        assert row_of(world, old['source'])['state'] == 'deprecated'
    finally:
        world.do('restore', access='wifi')
    assert programs('hear', name='watch', limit_s=40)['kind'] in ('lost', 'path', 'replaced')
    until('wifi is back', lambda: world.accesses()['wifi']['registered'])


def test_octets_end_an_address_for_new_sockets(world, programs):
    o = programs.open('a', LASTING, lifetime_bytes=20000)
    assert row_of(world, o['source'])['own'] and row_of(world, o['source'])['state'] == 'ready'
    for _ in range(40):
        programs('send', name='a', text='x' * 1000)
    until('it is not for new sockets', lambda: row_of(world, o['source'])['state'] == 'deprecated', 5)
    assert programs('send', name='a', text='still here')['errno'] is None
    assert world.peer.source_of('still here') == {o['source']}


def test_an_address_of_an_access_never_leaves_by_another(world, programs):
    o = programs.open('near', NONPERSISTENT)
    world.do('link-down', access='wifi')
    try:
        until('wifi is down', lambda: world.accesses()['wifi']['state'] in ('off', 'down'))
        before = world.octets('lte')[0]
        assert programs('send', name='near', text='x' * 1000)['errno'] in (
            'ENETUNREACH', 'EHOSTUNREACH', 'ENETRESET', 'EADDRNOTAVAIL', 'ENETDOWN')
        assert world.octets('lte')[0] - before < 1000
    finally:
        world.do('restore', access='wifi')
    until('wifi is back', lambda: world.accesses()['wifi']['registered'])
    assert o['source']


def start_random(world, seed):
    return subprocess.Popen(
        [FLOWMOB, 'lab', 'exec', '--instance', world.instance, 'host', '--', sys.executable, HERE / 'sockets_random.py',
         str(seed), PEER6, str(PORT)], stdout=subprocess.PIPE, text=True)


@pytest.mark.long
def test_many_programs_that_are_killed_leak_nothing_and_lose_nothing(world):
    r, lost = random.Random(7), []
    running = [start_random(world, seed) for seed in range(8)]
    for seed in range(100, 116):
        time.sleep(0.6)
        victim = running.pop(r.randrange(len(running)))
        victim.kill()
        lost.append(victim.communicate()[0])
        running.append(start_random(world, seed))
    for p in running:
        p.kill()
        lost.append(p.communicate()[0])
    assert ''.join(lost) == ''
    until('no socket is counted any more', lambda: all(a['sockets'] == 0 for a in world.ask('host', 'address')['addresses']))
    until('all leases but the default are given back', lambda: len(leases(world)) == 1, 40)


OLD = '''
  access "wifi" { family = "ipv6"  delay = "2ms" }
  host { anchor "home" { vendor-id = 4711 }  default { type = "session-lasting" } }
'''


def test_an_anchor_without_types_has_one_address(request):
    """Digest §14.7: it skips our option, as one of another vendor: its home address is session-lasting."""
    with World('sockets-old', OLD) as w:
        until('bound', lambda: all(a['registered'] for a in w.accesses().values()))
        request.addfinalizer((p := Programs(w)).kill)
        for kind_of in (FIXED, GRACEFUL):
            o = p.open(f'o{kind_of}', kind_of)
            assert o['errno'] == 'EADDRNOTAVAIL' and p('look', name=f'o{kind_of}')['error'] == 'EPROTONOSUPPORT'
        p('make', name='own', kind='udp', type=LASTING, own=True)
        p('sc', name='own', op='wait', **{'as': 'wait'})
        assert p('hear', name='wait')['error'] == 'EPROTONOSUPPORT'
        near = p.open('near', NONPERSISTENT)
        assert near['source'] == w.accesses()['wifi']['care_of_address']
        assert p.open('lasting', LASTING)['source'] == w.home()


def test_down_leaves_nothing(world):
    """Last in this file: it takes the host's part away."""
    programs = Programs(world)
    programs.open('a', FIXED)
    world.ask('host', 'down')
    until('the socket is gone', lambda: not (world.dir / 'host/run/sc.sock').exists())
    rules = world.run('host', 'ip', 'rule') + world.run('host', 'ip', '-6', 'rule')
    assert 'proto 86' not in rules and '87' not in rules
    assert programs('make', name='later', kind='udp', type=LASTING)['errno'] is None
    assert not programs('look', name='later')['ready']
    programs.kill()
