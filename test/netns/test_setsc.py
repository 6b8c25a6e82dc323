"""setsc() in a world: what the peer sees of each type, from C, static C and Python; what goes with it, what does
not; and what a program is told where there is no daemon, no answer, no right.
"""
import contextlib
import errno
import ipaddress
import json
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time

import pytest

from world import FLOWMOB, PEER6, ROOT, World, until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason='network namespaces need root')

BUILD = FLOWMOB.parent.parent
HERE = pathlib.Path(__file__).resolve().parent
FIXED, SESSION, NONPERSISTENT, GRACEFUL = 1, 2, 3, 4
NAMES = {1: 'fixed', 2: 'session-lasting', 3: 'nonpersistent', 4: 'graceful-replacement'}
PORT = 5009
WORLD = '''
  access "wifi" { family = "ipv6"  delay = "2ms" }
  access "lte"  { family = "ipv6"  delay = "4ms" }
  host { default { via = {"wifi", "lte"} } }
  host2 { default { via = {"wifi", "lte"} }  type "fixed" { allow = {"user:nobody"} } }
'''


def tell_what_is_seen(world):
    """At the peer: each datagram and each connection is answered with the address it came from."""
    udp = world.socket('peer', socket.AF_INET6, socket.SOCK_DGRAM)
    tcp = world.socket('peer', socket.AF_INET6, socket.SOCK_STREAM)
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    for s in (udp, tcp):
        s.bind(('::', PORT))
    tcp.listen(64)

    def datagrams():
        while True:
            back = udp.recvfrom(100)[1]
            udp.sendto(back[0].encode(), back)

    def connections():
        while True:
            one, back = tcp.accept()
            one.sendall(back[0].encode())
            one.close()

    for serve in (datagrams, connections):
        threading.Thread(target=serve, daemon=True).start()


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    top = tmp_path_factory.mktemp('clients')
    for name, how in (('c', [f'-L{BUILD}/lib', '-lflowmob']), ('static', ['-static', f'{BUILD}/lib/libflowmob.a'])):
        subprocess.run(['gcc', '-D_GNU_SOURCE', f'-I{ROOT}/include', HERE / 'setsc_client.c', '-o', top / name, *how],
                       check=True)
    with World('setsc', WORLD) as w:
        w.clients = {'c': [top / 'c'], 'static': [top / 'static'],
                     'python': ['/usr/bin/python3', HERE / 'setsc_client.py']}
        until('the hosts are bound', lambda: len(w.ask('anchor', 'bindings')['bindings']) == 2)
        tell_what_is_seen(w)
        yield w


def command(world, node, client, *words):
    return [FLOWMOB, 'lab', 'exec', '--instance', world.instance, node, '--', *world.clients[client], *map(str, words)]


def environment():
    return dict(os.environ, LD_LIBRARY_PATH=f'{BUILD}/lib')


def ask(world, kind, how='none', *more, client='python', node='host'):
    """One run of a client; what it told, in one."""
    done = subprocess.run(command(world, node, client, kind, how, PEER6, PORT, *more), text=True, timeout=30,
                          capture_output=True, env=environment())
    assert done.returncode == 0, done.stderr
    told = {}
    for line in done.stdout.splitlines():
        told |= json.loads(line)
    return told


@contextlib.contextmanager
def standing(world, kind, how, *more, node='host'):
    """A client that goes on; each next() is what it tells next."""
    child = subprocess.Popen(command(world, node, 'python', kind, how, PEER6, PORT, *more), text=True,
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment())
    try:
        yield child, (json.loads(line) for line in child.stdout)
    finally:
        child.kill()
        child.wait()


def leases(world, kind):
    """The prefixes of a type that the anchor has given out."""
    return [ipaddress.ip_network(x['prefix']) for b in world.ask('anchor', 'bindings')['bindings']
            for x in b['leases'] if x['type'] == NAMES[kind]]


def is_of_type(world, address, kind):
    if kind == NONPERSISTENT:
        return address in [a['care_of_address'] for a in world.accesses().values()]
    return any(ipaddress.ip_address(address) in prefix for prefix in leases(world, kind))


@pytest.mark.parametrize('kind', NAMES, ids=NAMES.get)
@pytest.mark.parametrize('how', ['connect', 'sendto', 'tcp'])
@pytest.mark.parametrize('client', ['c', 'static', 'python'])
def test_the_peer_sees_an_address_of_the_type(world, client, how, kind):
    told = ask(world, kind, how, client=client)
    assert told['result'] == 0, told
    assert told['seen'] == told['source']
    assert is_of_type(world, told['source'], kind), (told, world.ask('anchor', 'bindings'))


@pytest.mark.parametrize('kind', NAMES, ids=NAMES.get)
@pytest.mark.parametrize('how', ['bind', 'wildcard'])
def test_it_may_be_bound_afterwards(world, how, kind):
    told = ask(world, kind, how)
    assert told.get('seen') == told['source'], told


@pytest.mark.parametrize('kind', NAMES, ids=NAMES.get)
def test_a_server_is_reached_at_it(world, kind):
    port = 6000 + kind
    child = subprocess.Popen(command(world, 'host', 'python', kind, 'listen', PEER6, port), text=True,
                             stdout=subprocess.PIPE, env=environment())
    try:
        source = json.loads(child.stdout.readline())['source']
        assert json.loads(child.stdout.readline()) == {'listens': True}
        with world.socket('peer', socket.AF_INET6, socket.SOCK_STREAM) as s:
            s.settimeout(5)
            s.connect((source, port))
            assert s.recv(10) == b'hello'
    finally:
        child.kill()
        child.wait()


@pytest.mark.parametrize('order', [[], ['type-first']], ids=['flags-first', 'type-first'])
@pytest.mark.parametrize('flags', [0x0004, 0x0001, 0x0402], ids=['care-of', 'temporary', 'home-public'])
def test_the_type_beats_flags_of_rfc_5014(world, flags, order):
    told = ask(world, SESSION, 'connect', f'flags={flags}', *order)
    assert told['result'] == 0 and told['seen'] == told['source']
    assert is_of_type(world, told['source'], SESSION)


def test_sockets_share_an_address_unless_they_want_a_fresh_one(world):
    with standing(world, SESSION, 'watch') as (_, first):
        shared = next(first)['source']
        assert ask(world, SESSION, 'connect')['seen'] == shared
        fresh = ask(world, SESSION, 'connect', 'fresh')
        assert (fresh['result'], fresh['seen']) == (0, fresh['source'])
        assert ipaddress.ip_network(fresh['source'] + '/64', False) != ipaddress.ip_network(shared + '/64', False)
        own = ask(world, SESSION, 'connect', 'life=60')
        assert (own['lifetime'], own['result'], own['seen']) == (0, 0, own['source'])
        assert own['source'] not in (shared, fresh['source'])


def test_a_type_that_is_none(world):
    for kind in (0, 5, -1):
        told = ask(world, kind, 'connect')
        assert (told['result'], told['errno']) == (-1002, 'EINVAL')
        assert told['seen']


def test_policy_of_the_host_says_no(world):
    told = ask(world, FIXED, 'connect', node='host2')
    assert (told['result'], told['errno']) == (-1002, 'EACCES'), told
    assert told.get('seen'), 'the socket goes on without'
    assert ask(world, SESSION, 'connect', node='host2')['result'] == 0


def test_the_move_of_one_flow_is_told_to_who_watches_its_socket(world):
    with standing(world, SESSION, 'watch') as (_, other), standing(world, SESSION, 'moved') as (_, says):
        assert next(other)['source'] == next(says)['source']  # the same address, another socket
        local = next(says)['connected']
        access, _ = next(says)['access'], next(other)
        to = 'lte' if access == 'wifi' else 'wifi'
        flow = until('the flow is known', lambda: [
            f for f in world.ask('host', 'flows')['flows'] if f['local'] == local])[0]['id']
        assert world.ask('host', 'move', flow=flow, access=to, for_s=2)['moved'] == 1
        assert (event := next(says))['change'] == 5 and event['access'] == to, event
        assert (event := next(says))['change'] == 5 and event['access'] == access, event  # the order is over
        world.do('link-down', access=access)  # the first thing that the other one hears
        try:
            assert (event := next(other))['change'] == 5 and event['access'] == to, event
        finally:
            world.do('restore', access=access)
            until('the access is back', lambda: world.accesses()[access]['state'] == 'up')


def test_a_handover_is_told(world):
    with standing(world, SESSION, 'watch') as (_, says):
        source = next(says)['source']
        state = next(says)
        assert (state['change'], state['type'], state['error'], state['source']) == (1, SESSION, 0, source)
        access = state['access']
        world.do('link-down', access=access)
        try:
            event = next(says)
            assert event['change'] == 5 and event['access'] not in ('', access), event
            assert event['source'] == source
        finally:
            world.do('restore', access=access)
            until('the access is back', lambda: world.accesses()[access]['state'] == 'up')


def test_a_graceful_replacement_address_of_its_own_has_an_heir(world):
    """After a handover a new prefix is there already for the next socket of that user that wants a fresh one."""
    with standing(world, GRACEFUL, 'watch', 'fresh') as (_, says):
        source = next(says)['source']
        access = next(says)['access']
        world.do('link-down', access=access)
        try:
            event = next(e for e in says if e['change'] == 3)
            assert event['source'] == source and 0 < event['life_s'] <= 30, event
            assert event['replacement'] not in (source, '::')
            assert ask(world, GRACEFUL, 'connect')['seen'] != event['replacement'], 'it is not for all'
            assert ask(world, GRACEFUL, 'connect', 'fresh')['seen'] == event['replacement']
            assert ask(world, GRACEFUL, 'connect', 'fresh')['seen'] != event['replacement'], 'nor twice'
        finally:
            world.do('restore', access=access)
            until('the access is back', lambda: world.accesses()[access]['state'] == 'up')


def test_graceful_replacement_is_told_and_new_sockets_get_the_new_address(world):
    with standing(world, GRACEFUL, 'watch') as (_, says):
        source = next(says)['source']
        access = next(says)['access']
        world.do('link-down', access=access)
        try:
            event = next(e for e in says if e['change'] == 3)
            assert event['source'] == source and 0 < event['life_s'] <= 30, event
            assert event['replacement'] not in (source, '::')
            assert ask(world, GRACEFUL, 'connect')['seen'] == event['replacement']
        finally:
            world.do('restore', access=access)
            until('the access is back', lambda: world.accesses()[access]['state'] == 'up')


def test_many_callers_share_one_request(world):
    """Twenty at once, while nobody has the type yet: one lease serves them."""
    until('no lease of the type', lambda: not leases(world, FIXED), 20)
    callers = [subprocess.Popen(command(world, 'host', 'python', FIXED, 'watch', PEER6, PORT), text=True,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment())
               for _ in range(20)]
    try:
        told = [json.loads(c.stdout.readline()) for c in callers]
        assert {t['result'] for t in told} == {0}
        assert len({t['source'] for t in told}) == 1
        assert len(leases(world, FIXED)) == 1
    finally:
        for c in callers:
            c.kill()
            c.wait()


def test_the_daemon_dies_during_a_wait(world):
    world.do('stop', node='anchor')
    try:
        with standing(world, SESSION, 'connect', 'fresh', 'timeout=9000') as (child, says):
            time.sleep(0.5)
            world.do('kill', node='host')
            time.sleep(0.5)
            world.do('start', node='anchor')
            told = next(says)
            assert (told['result'], told['errno']) == (0, 0), told
            assert next(says)['seen'] == told['source']
    finally:
        world.lab('do', 'start', 'node=anchor', check=False)


def test_an_operator_takes_an_address_away(world):
    """The socket is told, hears ENETRESET, and its old address is no source any more; a new one gets another."""
    with standing(world, SESSION, 'watch', 'fresh') as (child, says):
        source = next(says)['source']
        assert next(says)['error'] == 0
        prefix = str(ipaddress.ip_network(source + '/64', False))
        world.run('anchor', 'env', f'FLOWMOB_SOCKET={world.dir}/anchor/run/flowmob.sock', FLOWMOB, 'pools',
                  '--release', prefix)
        event = next(e for e in says if e['change'] == 4)
        assert (event['source'], event['error']) == (source, errno.ENETRESET), event
        child.stdin.close()
        told = next(e for e in says if 'result' in e)
        assert (told['result'], told['errno']) == (-1002, 'ENETRESET')
    assert ask(world, SESSION, 'connect', 'fresh')['seen'] != source


def test_without_waiting(world):
    told = ask(world, SESSION, 'start', 'fresh')
    assert told['took_ms'] < 20, told
    assert told['early'] == [-1002, 'EAGAIN'] or told['early'][0] == 0, told  # a slow machine asks late
    assert told['result'] == 0 and told['seen'] == told['source']


def test_a_dead_anchor_ends_at_the_deadline(world):
    until('the share has room again',
          lambda: len(world.ask('host', 'address')['addresses']) < 4, 30)
    world.do('stop', node='anchor')
    try:
        told = ask(world, SESSION, 'none', 'fresh', 'timeout=700')
        assert (told['result'], told['errno']) == (-1002, 'ETIMEDOUT'), told
        assert 650 <= told['took_ms'] < 1300
    finally:
        world.do('start', node='anchor')
        until('the anchor is back', lambda: ask(world, SESSION, 'connect', 'fresh')['result'] == 0, 20)


def test_closing_a_socket_ends_its_wait(world):
    until('earlier sockets have given their address back',
          lambda: not [a for a in world.ask('host', 'address')['addresses'] if a['type'] == 'fixed'], 30)
    world.do('stop', node='anchor')
    try:
        for more in ((), ('fresh',)):
            told = ask(world, FIXED, 'closed', *more)
            assert not told['early'] and told['woken'] and told['took_ms'] < 500, told
            assert (told['result'], told['errno']) == (-1002, 'EBADF'), told
    finally:
        world.do('start', node='anchor')
        until('the anchor is back', lambda: ask(world, SESSION, 'connect', 'fresh')['result'] == 0, 20)


def test_a_daemon_that_hangs_ends_at_its_deadline(world):
    """Its own, 5 s, which nobody but eBPF can tell; the caller gave none."""
    pid = world.pid('host')
    os.kill(pid, signal.SIGSTOP)
    try:
        told = ask(world, FIXED, 'none', 'fresh')
        assert (told['result'], told['errno']) == (-1002, 'ETIMEDOUT'), told
        assert 4500 <= told['took_ms'] < 7000, told
    finally:
        os.kill(pid, signal.SIGCONT)
    until('it is itself again', lambda: ask(world, SESSION, 'connect', 'fresh')['result'] == 0, 20)


def test_without_a_daemon(world):
    """Last: addresses that are there go on; others are refused at once, and the socket is usable."""
    world.do('stop', node='host')
    told = ask(world, SESSION, 'connect', 'fresh')
    assert (told['result'], told['errno']) == (-1001, 'ECONNREFUSED'), told
    assert told['took_ms'] < 100 and told.get('seen')
