"""`flowmob check` in worlds that are well and in worlds that are not; the handover it makes of a flow of its
own, seen from outside, leaves nothing behind.
"""
import json
import os
import subprocess
import sys
import time

import pytest

from world import FLOWMOB, PEER4, PEER6, World, until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason='network namespaces need root')

WORLD = '''
  access "wifi" { family = "ipv6"      delay = "5ms" }
  access "lte"  { family = "ipv4-nat"  delay = "15ms" }
  host   { default { type = "session-lasting"  via = {"wifi", "lte"} } }
'''
RESOLVER = f'''
import select, socket
sockets = []
for family, address in ((socket.AF_INET6, '{PEER6}'), (socket.AF_INET, '{PEER4}')):
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.bind((address, 53))
    sockets.append(s)
print('ready', flush=True)
while True:
    for s in select.select(sockets, [], [])[0]:
        q, source = s.recvfrom(512)
        s.sendto(q[:2] + bytes((0x81, 0x80)) + q[4:], source)
'''


@pytest.fixture
def world():
    with World('check', WORLD) as w:
        until('the paths are known', lambda: all(a['state'] == 'up' and a['rtt_ms'] for a in w.accesses().values()))
        yield w


def check(world, *words):
    """Exit code, rows by access and check, what was said beside it."""
    env = dict(os.environ, FLOWMOB_SOCKET=str(world.dir / 'host/run/flowmob.sock'))
    done = subprocess.run([FLOWMOB, 'check', *words, '--json'], env=env, text=True, capture_output=True,
                          timeout=30)
    rows = json.loads(done.stdout)['checks'] if done.stdout else []
    return done.returncode, {(r['access'], r['check']): r for r in rows}, done.stderr


def faults(rows):
    return [r for r in rows.values() if r['ok'] is False]


def rtt_ms(world, access):
    return world.accesses()[access]['rtt_ms'] or 0


def test_a_world_that_is_well(world):
    until('the round trips are measured', lambda: 10 <= rtt_ms(world, 'wifi') < rtt_ms(world, 'lte'))
    code, rows, _ = check(world)
    assert (code, faults(rows)) == (0, [])
    assert rows['wifi', 'ipv4']['detail'] == 'none' and rows['lte', 'ipv6']['detail'] == 'none'
    assert rows['wifi', 'ipv6']['detail'] == world.accesses()['wifi']['care_of_address']
    assert (rows['wifi', 'nat']['udp'], rows['lte', 'nat']['udp']) == (False, True)
    assert rows['wifi', 'path-mtu']['mtu_bytes'] == 1500
    assert rows['wifi', 'round-trip']['rtt_ms'] >= 10 and rows['lte', 'round-trip']['rtt_ms'] >= 30
    for name in ('wifi', 'lte'):
        assert rows[name, 'dns']['ok'] is None and rows[name, 'dns']['detail'] == 'none configured'
        assert rows[name, 'portal']['ok'] is None


def test_name_servers_are_asked_over_each_access(world):
    (world.dir / 'host/resolv.conf').write_text(f'nameserver {PEER4}\nnameserver {PEER6}\n')
    resolver = world.start('peer', sys.executable, '-c', RESOLVER)
    assert resolver.stdout.readline() == 'ready\n'
    code, rows, _ = check(world)
    resolver.kill()
    resolver.wait()
    assert (code, faults(rows)) == (0, [])
    assert (rows['wifi', 'dns']['server'], rows['lte', 'dns']['server']) == (PEER6, PEER4)
    assert 10 <= rows['wifi', 'dns']['rtt_ms'] < 1000 and 30 <= rows['lte', 'dns']['rtt_ms'] < 1000
    begin = time.monotonic()
    code, rows, _ = check(world)
    assert code == 1 and time.monotonic() - begin < 5
    assert rows['wifi', 'dns']['ok'] is False and PEER4 in rows['wifi', 'dns']['detail']


def test_an_access_that_is_gone(world):
    world.do('link-down', access='lte')
    until('the daemon has seen it', lambda: world.accesses()['lte']['state'] == 'off')
    code, rows, _ = check(world)
    assert code == 1 and rows['lte', 'link']['ok'] is False and rows['wifi', 'link']['ok'] is True
    for words, said in ((('wifi', 'lte'), 'access-down'), (('lte', 'wifi'), 'access-down'),
                        (('wifi', 'dsl'), 'no-such-access'), (('wifi', 'wifi'), 'bad-request')):
        code, rows, error = check(world, '--handover', *words)
        assert (code, rows) == (1, {}) and json.loads(error)['error']['code'] == said


def standing(world):
    """What a handover must leave as it was."""
    anchor = world.ask('anchor', 'bindings')['bindings'][0]
    return world.bindings(), anchor['flows'], world.ask('host', 'flows')['flows']


def test_a_handover_there_and_back(world):
    before, sent = standing(world), {d: world.octets(d)[0] for d in ('wifi', 'lte')}
    code, rows, _ = check(world, '--handover', 'wifi', 'lte')
    carried = {d: world.octets(d)[0] - sent[d] for d in sent}
    assert code == (1 if faults(rows) else 0)
    there, back = rows['lte', 'handover'], rows['wifi', 'handover']
    assert (there['from'], there['to'], back['from'], back['to']) == ('wifi', 'lte', 'lte', 'wifi')
    for leg in (there, back):
        # 0 on a machine that has time; the lab's links lose packets when they do not get the processor
        assert leg['sent'] == 100 and leg['lost'] < 40 and 0 < leg['gap_ms'] < 2000
    # 100 requests of 64 octets and three headers went by lte, more by wifi; probes are 5 of 100 octets a second
    assert carried['lte'] > 90 * 124 and carried['wifi'] > 120 * 104
    assert standing(world) == before


def test_a_handover_onto_an_access_that_loses_all(world):
    """It is found out: packets are lost, or the access is known as down before the end. All is put back."""
    before = standing(world)
    world.do('cut', access='lte')
    code, rows, _ = check(world, '--handover', 'wifi', 'lte')
    assert code == 1
    handovers = [r for (_, what), r in rows.items() if what == 'handover']
    assert any(r['ok'] is False for r in handovers)
    assert all(r.get('lost', 100) > 0 for r in handovers if r['access'] == 'lte')
    world.do('restore', access='lte')
    until('it is bound again', lambda: world.bindings() == before[0], 20)
    assert standing(world)[1:] == before[1:]


def test_a_client_that_goes_leaves_no_handover_behind(world):
    before = standing(world)
    env = dict(os.environ, FLOWMOB_SOCKET=str(world.dir / 'host/run/flowmob.sock'))
    client = subprocess.Popen([FLOWMOB, 'check', '--handover', 'wifi', 'lte'], env=env)
    until('the flow is there', lambda: world.ask('host', 'flows')['flows'])
    assert check(world)[0] == 1  # one at a time
    client.kill()
    client.wait()
    until('all is as before', lambda: standing(world) == before)
    until('the next check is let in, and all is well', lambda: check(world)[0] == 0)
