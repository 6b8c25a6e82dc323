"""What somebody on the way may try: forged and repeated binding updates, forged acknowledgements, user
packets under false addresses, and octets without sense. They are sent from the middle of the world's
network; that nothing changes is seen at the sockets, at the bindings and at the counters.
"""
import contextlib
import os
import random
import socket
import struct
import time

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrRouting, MIP6MH_BA
from scapy.packet import Raw

from world import ANCHOR4, ANCHOR6, PEER6, Call, Capture, World, assert_whole, grown, until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason='network namespaces need root')

WORLD = '''
  peer   { delay = "1ms" }
  access "wifi" { family = "ipv6"      delay = "2ms" }
  access "lte"  { family = "ipv4-nat"  delay = "5ms" }
  host   { default { type = "session-lasting"  via = {"wifi", "lte"} } }
  host2  { default { type = "session-lasting"  via = {"wifi", "lte"} } }
'''
NODES = ('host', 'host2', 'anchor')
BU, BA, MH = 5, 6, 135
STRANGER6, STRANGER4 = '2001:db8:ffff::66', '203.0.113.66'


@pytest.fixture(scope='module')
def world():
    with World('attacks', WORLD) as w:
        until('both hosts are bound over both accesses', lambda: sorted(
            len(b['bids']) for b in w.ask('anchor', 'bindings')['bindings']) == [2, 2])
        yield w


def mh_at(packet):
    """Where the Mobility Header begins in an IPv6 packet; 0: there is none."""
    next_header, at = packet[6], 40
    while next_header in (0, 43, 60) and at + 2 <= len(packet):
        next_header, at = packet[at], at + 8 * (packet[at + 1] + 1)
    return at if next_header == MH else 0


def signalling(frames, kind):
    """The IPv6 packets among the frames that carry this message."""
    packets = [f[14:] for f in frames if f[12:14] == b'\x86\xdd']
    return [p for p in packets if mh_at(p) and p[mh_at(p) + 2] == kind]


@pytest.fixture(scope='module')
def heard(world):
    """The binding updates of a host that was renumbered, oldest first, as somebody on the way hears them."""
    capture = Capture(world, 'anchor', 'eth0')
    before = world.bindings()
    world.do('renumber', access='wifi')
    until('the new care-of addresses are bound', lambda: all(
        len(b[1]) == 2 and b[1] != before[i][1] for i, b in world.bindings().items()))
    time.sleep(0.5)
    packets = signalling(capture.stop(), BU)
    assert packets
    return packets


@pytest.fixture
def same(world, heard):
    """Whatever the test does: bindings stay, daemons live, and the calls of both hosts lose nothing."""
    held, pids = world.bindings(), [world.pid(n) for n in NODES]
    told = {n: (len(world.events(n)), world.counters(n)) for n in NODES}

    def since():
        return {n: (world.events(n)[told[n][0]:], grown(told[n][1], world.counters(n))) for n in NODES}

    with Call(world, rate=100) as one, Call(world, rate=100, port=5006, node='host2') as two:
        time.sleep(0.3)
        yield
        time.sleep(0.3)
        for report in (one.report(), two.report()):
            assert report['sent'] > 20
            assert_whole(report, more=since)
    assert world.bindings() == held
    assert [world.pid(n) for n in NODES] == pids


def registration(world, node='host'):
    """(home address of the registration, care-of address over wifi)"""
    hoa, bids, _ = world.bindings()[f'{node}@example.net']
    return hoa, dict((bid, coa) for bid, coa, _ in bids)[1]


def packed(address):
    return socket.inet_pton(socket.AF_INET6 if ':' in address else socket.AF_INET, address)


def checksum(octets):
    octets += bytes(len(octets) % 2)
    total = sum(struct.unpack(f'!{len(octets) // 2}H', octets))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def forged(packet, hoa, change=None, source=None):
    """A binding update that was heard, changed, with lengths and checksum that are right again."""
    at = mh_at(packet)
    head, mh = bytearray(packet[:at]), bytearray(packet[at:])
    mh = change(mh) if change else mh
    mh[1] = len(mh) // 8 - 1
    mh[4:6] = bytes(2)
    pseudo = packed(hoa) + bytes(head[24:40]) + struct.pack('!II', len(mh), MH)
    mh[4:6] = struct.pack('!H', checksum(pseudo + bytes(mh)))
    head[4:6] = struct.pack('!H', at - 40 + len(mh))
    head[8:24] = packed(source) if source else head[8:24]
    return bytes(head + mh)


@contextlib.contextmanager
def counted(world, node='anchor'):
    """Fills the dictionary with the counters that moved meanwhile."""
    moved, before = {}, world.counters(node)
    yield moved
    time.sleep(0.4)
    moved.update(grown(before, world.counters(node)))


# --- binding updates ---

def test_a_repeated_binding_update_changes_nothing(world, heard, same):
    with counted(world) as moved:
        world.inject('core', heard * 3)
    assert moved['anchor-binding-updates'] == moved['anchor-old'] == 3 * len(heard)
    assert 'anchor-accepted' not in moved
    assert any(e['event'] == 'replayed' for e in world.events('anchor'))


def set_sequence(mh):
    mh[6:8] = struct.pack('!H', (struct.unpack('!H', mh[6:8])[0] + 9) & 0xffff)
    return mh


def set_lifetime_0(mh):
    mh = set_sequence(mh)
    mh[10:12] = bytes(2)
    return mh


def strip_authenticator(mh):
    """Options up to the authentication option, RFC 4285 §5, then padding."""
    mh, at = set_sequence(mh), 12
    while mh[at] != 9:
        at += 1 if mh[at] == 0 else 2 + mh[at + 1]
    mh = mh[:at]
    left = -len(mh) % 8
    return mh + (bytearray([0] * left) if left < 2 else bytearray([1, left - 2] + [0] * (left - 2)))


FORGERIES = {
    'another sequence number': (set_sequence, None),
    'a de-registration': (set_lifetime_0, None),
    'no authenticator': (strip_authenticator, None),
    'from another care-of address': (set_sequence, STRANGER6),
}


@pytest.mark.parametrize('what', FORGERIES)
def test_a_forged_binding_update_is_refused(world, heard, same, what):
    change, source = FORGERIES[what]
    hoa = registration(world)[0]
    own = [p for p in heard if packed(hoa) in p[40:mh_at(p)]]
    with counted(world) as moved:
        world.inject('core', [forged(p, hoa, change, source) for p in own[-3:]])
    assert moved['anchor-binding-updates'] == len(own[-3:])
    assert 'anchor-accepted' not in moved
    refused = ('anchor-bad-authenticator', 'anchor-no-association', 'anchor-bad-form')
    assert sum(moved.get(k, 0) for k in refused) == len(own[-3:])


def test_the_forgery_alone_is_what_is_refused(world, heard, same):
    """The control: rebuilt without a change, the same octets come out, which the anchor has seen."""
    hoa = registration(world)[0]
    own = [p for p in heard if packed(hoa) in p[40:mh_at(p)]]
    assert [forged(p, hoa) for p in own] == own


# --- acknowledgements ---

@pytest.mark.parametrize('status', [0, 129, 135, 144])
def test_a_forged_acknowledgement_is_not_heeded(world, same, status):
    """From the anchor's address, to the care-of address, with sequence numbers around the right one."""
    hoa, coa = registration(world)
    pid, state = world.pid('host'), world.accesses()['wifi']['state']
    ack = [IPv6(src=ANCHOR6, dst=coa) / IPv6ExtHdrRouting(type=2, addresses=[hoa]) /
           MIP6MH_BA(status=status, seq=seq, mhtime=0 if status == 0 else 225) for seq in range(0, 65536, 331)]
    world.inject('core', ack)
    time.sleep(0.5)
    assert (world.pid('host'), world.accesses()['wifi']['state']) == (pid, state)
    assert not [e for e in world.events('host')
                if e['event'] in ('registration-refused', 'registration-stopped')]


# --- user packets ---

@pytest.fixture
def listener(world):
    """What arrives at the peer's UDP port 5999."""
    with world.socket('peer', socket.AF_INET6, socket.SOCK_DGRAM) as s:
        s.bind((PEER6, 5999))
        s.settimeout(0.5)
        yield s


def arrived(s):
    got = set()
    try:
        while True:
            got.add(s.recv(100))
    except socket.timeout:
        return got


def carried(outer, inner_source, text):
    return IPv6(src=outer, dst=ANCHOR6) / IPv6(src=inner_source, dst=PEER6) / \
        UDP(sport=4000, dport=5999) / Raw(text)


def test_only_the_owner_sends_from_a_home_address(world, same, listener):
    one, two = registration(world)[1], registration(world, 'host2')[1]
    packets = {
        b'right': carried(one, world.home('host'), b'right'),
        b'another host': carried(one, world.home('host2'), b'another host'),
        b'a stranger': carried(STRANGER6, world.home('host'), b'a stranger'),
        b'no lease': carried(two, '2001:db8:100::1', b'no lease'),
        b'no home': carried(two, '2001:db8:ffff::99', b'no home'),
    }
    with counted(world) as moved:
        world.inject('core', [p for p in packets.values() for _ in range(10)])
        assert arrived(listener) == {b'right'}
    reasons = ('care-of-address', 'outer-source', 'inner-source')
    assert sum(moved.get(k, 0) for k in reasons) == 40, moved


def test_udp_counts_only_from_where_the_host_is_seen(world, same, listener):
    """RFC 5555 §4.3: the NAT's address and port are part of the registration."""
    _, bids, _ = world.bindings()['host@example.net']
    coa, port = next((coa, port) for bid, coa, port in bids if bid == 2)

    def packet(source, source_port, text):
        return IP(src=source, dst=ANCHOR4) / UDP(sport=source_port, dport=4191) / \
            IPv6(src=world.home(), dst=PEER6) / UDP(sport=4001, dport=5999) / Raw(text)

    with counted(world) as moved:
        world.inject('core', [packet(coa, port, b'right')] * 10 +
                     [packet(coa, port ^ 1, b'another port')] * 10 +
                     [packet(STRANGER4, port, b'another address')] * 10)
        assert arrived(listener) == {b'right'}
    assert sum(moved.get(k, 0) for k in ('care-of-address', 'outer-source', 'nat-port')) == 20, moved


# --- octets without sense ---

def garbage(chance, source):
    """Datagrams to port 4191: nothing at all, noise, and noise behind a head that looks right."""
    heads = [b'', b'\x60', b'\x45', b'\x60\0\0\0\0\x10\x87\x40', b'\x60\0\0\0\0\x08\x3a\x40', b'\x45\0\0\x20']
    body = chance.choice(heads) + chance.randbytes(chance.choice([0, 1, 8, 39, 40, 60, 300, 1200]))
    return bytes(IP(src=source, dst=ANCHOR4) / UDP(sport=chance.choice([4191, 1, 40000]), dport=4191) / Raw(body))


def test_ten_thousand_datagrams_of_noise_do_no_harm(world, same):
    chance, coa = random.Random(1), world.bindings()['host@example.net'][1][1][1]
    packets = [garbage(chance, chance.choice([STRANGER4, coa])) for _ in range(500)]
    world.inject('core', packets)  # whatever is made at the first time is made
    memory = world.memory_kb('anchor')
    with counted(world) as moved:
        for _ in range(20):
            world.inject('core', packets)
    assert world.memory_kb('anchor') - memory < 1024
    assert sum(moved.values()) >= 8000, moved
    assert moved.get('malformed', 0) + moved.get('truncated', 0) > 0
    assert 'anchor-accepted' not in moved
