"""Prefixes on demand at a real anchor, asked for by a host written by hand (hand.py) beside a real one: types,
quotas, what survives a restart of the anchor, what an operator's order and a reload do, and what happens to
user packets meanwhile, seen at the peer.
"""
import errno
import itertools
import os
import socket
import subprocess
import threading
import time

import pytest

from hand import FIXED, FOREVER, GRACEFUL, NONPERSISTENT, SESSION, Hand, odp, odp_set
from world import FLOWMOB, PEER6, Call, World, grown, until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason='network namespaces need root')

WORLD = '''
  peer   { delay = "1ms" }
  access "wifi" { family = "ipv6"  delay = "2ms" }
  host   { default { type = "session-lasting"  via = {"wifi"} } }
  host2  { agent = "none" }
'''
ID, HOA, PORT = 'hand@example.net', '2001:db8:a::4a4d', 7007
OTHER_POOL = '2001:db8:1ff::/48'  # of what the world routes to the anchor


def conf(world, *, types='fixed, session-lasting, graceful-replacement', more='', pools=None):
    """Writes the anchor's configuration and lets it read that."""
    file = world.dir / 'anchor/flowmob.conf'
    original = file.with_suffix('.original')
    if not original.exists():
        original.write_text(file.read_text())
    text = original.read_text().rstrip().removesuffix('}')
    if pools is not None:
        at = text.index('pool "homes"')
        text = text[:at] + pools(text[at:text.index('}', at) + 1]) + text[text.index('}', at) + 1:]
    file.write_text(text + f'''
  subscriber "{ID}" {{
    key-file = "{world.dir}/host/anchor.key"
    types = {{{types}}}
    {more}
  }}
}}
''')
    done = world.ask('anchor', 'reload')
    assert 'error' not in done, done


@pytest.fixture(scope='module')
def world():
    with World('leases', WORLD) as w:
        until('the host is bound', lambda: w.home())
        yield w


@pytest.fixture
def hand(world):
    conf(world)
    device = world.accesses()['wifi']['interface']
    h = Hand(world, ID, HOA, world.dir / 'host/anchor.key', device=device)
    h.sequence = getattr(world, 'last_sequence', 0)
    yield h
    for lease in lent(world).values():
        if lease['id'] == ID:
            world.ask('anchor', 'release', prefix=lease['prefix'])
    h.update(odp_set(), lifetime=0, bid=None)
    world.last_sequence = h.sequence
    h.close()


@pytest.fixture
def peer(world):
    """A socket of a correspondent node that knows nothing of all this."""
    s = world.socket('peer', socket.AF_INET6, socket.SOCK_DGRAM)
    s.bind((PEER6, PORT))
    s.settimeout(2)
    yield s
    s.close()


def lent(world):
    return {p['prefix'].removesuffix('/64'): p for p in world.ask('anchor', 'pools', prefixes=True)['prefixes']}


def address(prefix):
    return prefix + '5'


def heard_at(peer, hand, prefix, payload):
    """Did the peer get a datagram from this prefix?"""
    hand.send(address(prefix), PEER6, PORT, payload)
    end = time.monotonic() + 0.6
    while time.monotonic() < end:
        peer.settimeout(max(end - time.monotonic(), 0.01))
        try:
            got, source = peer.recvfrom(2000)
        except OSError:
            break
        if got == payload:
            return source[0] == address(prefix)
    return False


def heard_at_hand(peer, hand, prefix, payload, limit_s=0.6):
    """Did the host get a datagram that the peer sent there?"""
    peer.sendto(payload, (address(prefix), PORT))
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if hand.got(payload):
            return True
        time.sleep(0.02)
    return False


def test_every_type_carries_packets_and_says_what_it_is(world, hand, peer):
    answer = hand.update(odp(1, FIXED), odp(2, SESSION, FOREVER, FOREVER), odp(3, NONPERSISTENT),
                         odp(4, GRACEFUL, 100, 3600), odp_set())
    assert {pid: o['status'] for pid, o in answer.odps.items()} == {1: 0, 2: 0, 3: 131, 4: 0}
    assert answer.set == [1, 2, 4]
    assert answer.odps[4]['valid'] == 130 and answer.odps[2]['valid'] == FOREVER
    for pid in (1, 2, 4):
        prefix = answer.odps[pid]['prefix']
        assert heard_at(peer, hand, prefix, b'up %d' % pid), pid
        assert heard_at_hand(peer, hand, prefix, b'down %d' % pid), pid
    before = world.counters('anchor')
    assert not heard_at(peer, hand, '2001:db8:1fe:1::', b'not mine')
    assert grown(before, world.counters('anchor')).get('inner-source') == 1
    shown = next(b for b in world.ask('anchor', 'bindings')['bindings'] if b['id'] == ID)
    assert {x['pid']: x['type'] for x in shown['leases']} == {1: 'fixed', 2: 'session-lasting',
                                                              4: 'graceful-replacement'}


def test_refusals_are_counted_by_reason_and_told_once(world, hand):
    conf(world, types='fixed', more='max-fixed = 1\n max-prefixes = 3\n default-type = fixed')
    before = world.counters('anchor')
    told = len([e for e in world.events('anchor') if e['event'] == 'prefix-refused'])
    for _ in range(3):
        answer = hand.update(odp(1, 0), odp(2, FIXED), odp(3, SESSION), odp(4, FIXED, prefix='2001:db8:100::'))
        assert {pid: o['status'] for pid, o in answer.odps.items()} == {1: 0, 2: 130, 3: 129, 4: 132}
        assert answer.odps[1]['type'] == FIXED
    moved = grown(before, world.counters('anchor'))
    for reason in ('no-resources', 'prohibited', 'not-available'):
        assert moved[f'anchor-prefix-refused-{reason}'] == 3
    news = [e for e in world.events('anchor') if e['event'] == 'prefix-refused'][told:]
    assert sorted((e['status'], e['reason']) for e in news) == [
        (129, 'prohibited'), (130, 'no-resources'), (132, 'prefix-not-available')]
    assert {e['id'] for e in news} == {ID}


def test_an_order_withdraws_at_once(world, hand, peer):
    answer = hand.update(odp(1, FIXED), odp(2, SESSION))
    fixed, session = answer.odps[1]['prefix'], answer.odps[2]['prefix']
    assert heard_at_hand(peer, hand, fixed, b'before')
    asked = hand.refresh_requests()
    done = world.ask('anchor', 'release', prefix=fixed + '/64')
    assert done['released']['id'] == ID and done['released']['type'] == 'fixed'
    before = world.counters('anchor')
    assert not heard_at_hand(peer, hand, fixed, b'after it was withdrawn')
    assert not heard_at(peer, hand, fixed, b'nor from it')
    moved = grown(before, world.counters('anchor'))
    assert moved['inner-destination'] == 1 and moved['inner-source'] == 1
    assert heard_at_hand(peer, hand, session, b'others go on')
    until('the host is asked to refresh', lambda: hand.refresh_requests() > asked)
    told = hand.update().odps  # asks for nothing
    assert told == {1: dict(told[1], status=1, preferred=0, valid=0, prefix=fixed, type=FIXED)}
    assert hand.update(odp(1, FIXED, prefix=fixed)).odps[1]['status'] == 132
    assert lent(world)[fixed]['state'] == 'quarantined'
    assert world.ask('anchor', 'release', prefix=fixed + '/64')['error']['code'] == 'no-such-prefix'
    assert any(e['event'] == 'prefix-withdrawn' for e in world.events('anchor'))


def test_an_order_with_a_time_lets_sockets_finish(world, hand, peer):
    prefix = hand.update(odp(7, SESSION)).odps[7]['prefix']
    said = subprocess.run([FLOWMOB, 'pools', '--release', address(prefix), '--after', '3s'], check=True, text=True,
                          capture_output=True,
                          env=os.environ | {'FLOWMOB_SOCKET': str(world.dir / 'anchor/run/flowmob.sock')}).stdout
    assert said == f'{prefix}/64 of {ID} ends in 3s; new sockets no longer get it\n'
    assert lent(world)[prefix]['state'] == 'ending'
    assert heard_at_hand(peer, hand, prefix, b'still')
    told = hand.update().odps[7]
    assert (told['status'], told['preferred']) == (0, 0) and told['valid'] <= 3
    until('it ends', lambda: lent(world)[prefix]['state'] == 'quarantined', 5)
    assert not heard_at_hand(peer, hand, prefix, b'no more')


def test_what_is_lent_survives_a_restart_of_the_anchor(world, hand, peer):
    answer = hand.update(odp(1, FIXED), odp(2, FIXED), odp(3, SESSION), odp(4, SESSION))
    prefix = {pid: o['prefix'] for pid, o in answer.odps.items()}
    hand.update(odp(2, FIXED, 0, 0), odp(4, SESSION, 0, 0))  # one reserved, one that rests
    states = {p: lent(world)[prefix[p]]['state'] for p in prefix}
    assert states == {1: 'leased', 2: 'reserved', 3: 'leased', 4: 'quarantined'}
    world.do('restart', node='anchor')
    until('it is back', lambda: world.ask('anchor', 'ping'))
    assert {p: lent(world)[prefix[p]]['state'] for p in prefix} == states
    assert 80000 < lent(world)[prefix[4]]['rest_s'] <= 86400
    assert heard_at_hand(peer, hand, prefix[1], b'fixed, after a restart')
    assert heard_at_hand(peer, hand, prefix[3], b'session, after a restart')
    answer = hand.update(odp(9, FIXED), odp_set())  # the host lost its PIDs
    assert answer.odps[9]['prefix'] in (prefix[1], prefix[2])
    assert lent(world)[prefix[3]]['state'] == 'quarantined'


def test_pools_come_and_go_by_reload(world, hand, peer):
    old = hand.update(odp(1, SESSION)).odps[1]['prefix']
    conf(world, pools=lambda homes: homes + f'\n  pool "more" {{ prefix = "{OTHER_POOL}" }}')
    assert [p['name'] for p in world.ask('anchor', 'pools')['pools']] == ['homes', 'more']
    with Call(world, rate=200) as call:  # of the real host, whose pool goes away
        conf(world, pools=lambda homes: f'pool "more" {{ prefix = "{OTHER_POOL}" }}')
        new = hand.update(odp(2, SESSION)).odps[2]['prefix']
        assert new.startswith('2001:db8:1ff:')
        for prefix in (old, new):
            assert heard_at(peer, hand, prefix, b'up in ' + prefix.encode())
            assert heard_at_hand(peer, hand, prefix, b'down in ' + prefix.encode())
        assert hand.update(odp(1, SESSION, prefix=old)).odps[1]['status'] == 0  # it is renewed
        time.sleep(0.3)
        report = call.report()
    assert report['lost'] == 0 or report['dropped_by_machine'], report
    world.do('restart', node='anchor')
    until('it is back', lambda: world.ask('anchor', 'ping'))
    assert heard_at_hand(peer, hand, old, b'old pool, after a restart')
    assert hand.update(odp(1, SESSION, 0, 0)).odps[1]['status'] == 1
    assert hand.update(odp(3, SESSION, prefix=old)).odps[3]['status'] == 132
    until('its route goes', lambda: old not in world.run('anchor', 'ip', '-6', 'route', 'show', 'dev', 'fm0'), 15)
    conf(world)
    assert [p['name'] for p in world.ask('anchor', 'pools')['pools']] == ['homes']


def test_a_type_that_is_taken_away_runs_out(world, hand, peer):
    prefix = hand.update(odp(1, SESSION, 2, 3)).odps[1]['prefix']
    conf(world, types='fixed', more='default-type = fixed')
    assert hand.update(odp(1, SESSION, prefix=prefix)).odps[1]['status'] == 129
    assert heard_at_hand(peer, hand, prefix, b'it goes on')
    until('it ends', lambda: lent(world)[prefix]['state'] == 'quarantined', 6)


def test_the_networks_limits_come_by_reload(world, hand):
    assert hand.update(odp(1, SESSION, limit=9000)).odps[1]['limit'] == 9000
    asked = hand.refresh_requests()
    conf(world, more='lifetime = 10m\n byte-limit = 5K')
    until('the host is asked to refresh', lambda: hand.refresh_requests() > asked)
    told = hand.update().odps[1]
    assert told['status'] == 0 and told['limit'] == 5000 and 500 < told['preferred'] <= 600
    renewed = hand.update(odp(1, SESSION, limit=100)).odps[1]
    assert renewed['limit'] == 100 and renewed['preferred'] <= 600 and renewed['valid'] == 3600


def test_a_host_without_care_of_address_is_unreachable(world, hand, peer):
    prefix = hand.update(odp(1, SESSION)).odps[1]['prefix']
    hand.update(lifetime=0)  # its only care-of address goes, the lease stays
    assert lent(world)[prefix]['state'] == 'leased'
    before = world.counters('anchor')
    with world.socket('peer', socket.AF_INET6, socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.IPPROTO_IPV6, 25, 1)  # IPV6_RECVERR: passing errors too
        s.connect((address(prefix), PORT))
        s.settimeout(2)
        s.send(b'anybody?')
        with pytest.raises(OSError) as error:
            s.recv(10)
    assert error.value.errno == errno.EHOSTUNREACH  # ICMPv6 1/3
    assert grown(before, world.counters('anchor'))['slow-unreachable'] == 1
    hand.update()
    assert heard_at_hand(peer, hand, prefix, b'reachable again')


def test_packets_wait_for_a_host_between_two_registrations(world, hand, peer):
    """Break before make: in the order in which they came, none twice; one subscriber's share, and no more."""
    prefix = hand.update(odp(1, SESSION)).odps[1]['prefix']
    hand.update(lifetime=0)
    before = world.counters('anchor')
    heard = len(hand.frames())
    for i in range(300):
        peer.sendto(b'held %06d' % i, (address(prefix), PORT))
    until('they wait', lambda: world.counters('anchor')['held-now'] == 256)
    hand.update()
    until('they came', lambda: hand.got(b'held 000255'), 2)
    time.sleep(0.3)
    came = [int(f[-6:]) for f in hand.frames()[heard:] if f[20] == 41 and b'held ' in f]  # and no ICMP error
    assert came == list(range(256))
    more = grown(before, world.counters('anchor'))
    assert (more['held-dropped-share'], more.get('held-dropped-old', 0), more.get('held-dropped-full', 0),
            more.get('slow-unreachable', 0)) == (44, 0, 0, 0)


def test_no_packet_overtakes_those_that_waited(world, hand, peer):
    """The same while the peer goes on sending: what comes when the host is back stays behind what waited."""
    prefix = hand.update(odp(1, SESSION)).odps[1]['prefix']
    before = world.counters('anchor')
    heard, end = len(hand.frames()), threading.Event()

    def send():
        for i in itertools.count():
            if end.wait(0.003):
                return
            peer.sendto(b'under way %06d' % i, (address(prefix), PORT))
    thread = threading.Thread(target=send)
    thread.start()
    time.sleep(0.2)
    for _ in range(5):
        hand.update(lifetime=0)
        time.sleep(0.3)
        hand.update()
        time.sleep(0.1)
    end.set()
    thread.join()
    time.sleep(0.3)
    came = [int(f[-6:]) for f in hand.frames()[heard:] if f[20] == 41 and b'under way ' in f]
    assert sorted(came) == list(range(max(came) + 1)) and came[-1] > 300, len(came)
    overtaken = sum(n < max(came[:i]) for i, n in enumerate(came) if i)
    more = grown(before, world.counters('anchor'))
    # Between the last look at the queue and the new path there are microseconds: one each time, at most.
    assert overtaken <= 5, overtaken
    assert more['held-released'] > 200 and not [k for k in more if k.startswith('held-dropped')], more


def test_a_host_of_old_has_its_home_address(world, hand, peer):
    """Digest §14.7: plain RFC 6275, no BID, no prefix option; its home address is in its subscriber block."""
    hand.hoa = '2001:db8:1fe:7::5'
    conf(world, more=f'home-address = "{hand.hoa}"')
    answer = hand.update(bid=None)
    assert (answer.status, answer.odps, answer.set) == (0, {}, None)
    assert heard_at(peer, hand, '2001:db8:1fe:7::', b'up, as of old')
    assert heard_at_hand(peer, hand, '2001:db8:1fe:7::', b'down, as of old')
    world.do('restart', node='anchor')
    until('it is back', lambda: world.ask('anchor', 'ping'))
    assert heard_at_hand(peer, hand, '2001:db8:1fe:7::', b'down, after a restart')
    assert hand.update(bid=None, lifetime=0).status == 0
    assert not heard_at_hand(peer, hand, '2001:db8:1fe:7::', b'de-registered')
    hand.hoa = HOA
    hand.update()


def test_a_real_host_that_loses_its_prefix_gets_another(world, hand):
    had = world.home()
    conf(world)
    world.ask('anchor', 'release', prefix=had)
    got = until('another address', lambda: next(
        (a['address'] for a in world.ask('host', 'address')['addresses']
         if a['type'] == 'session-lasting' and a['address'] and ':' in a['address'] and a['address'] != had), None), 10)
    with Call(world, rate=100) as call:
        time.sleep(0.5)
        report = call.report()
    assert report['source'] == got and report['sent'] > 20 and report['lost'] == 0
