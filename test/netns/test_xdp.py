"""The anchor's programs in XDP: which interfaces have them, that packets really go by them both ways, and that
tc does what XDP cannot: an interface whose driver refuses it, and one that could not send its packets on.
"""
import json
import os
import re
import time

import pytest

from world import Call, Capture, World, assert_whole, grown, until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason='network namespaces need root')

WORLD = '''
  access "wifi" { family = "ipv6"      delay = "2ms" }
  access "lte"  { family = "ipv4-nat"  delay = "5ms" }
  host   { default { type = "session-lasting"  via = {"wifi", "lte"} } }
'''
SIDE6, HOMES = '2001:db8:fffe::', '2001:db8:100::/40'


@pytest.fixture(scope='module')
def world():
    """A second peer address is reached by a link of its own, so that packets cross the anchor."""
    with World('xdp', WORLD) as w:
        w.run('anchor', 'ip', 'link', 'add', 'side', 'index', '201', 'type', 'veth', 'peer', 'name', 'side', 'index', '202',
              'netns', f'flowmob-{w.instance}-peer')
        for node, number in (('anchor', 1), ('peer', 2)):
            w.run(node, 'ip', 'link', 'set', 'side', 'up')
            w.run(node, 'ip', 'addr', 'add', f'{SIDE6}{number}/64', 'dev', 'side', 'nodad')
            gro(w, node, 'side', 'on')
            w.run(node, 'ethtool', '-K', 'side', 'tx', 'off')
        w.run('peer', 'ip', '-6', 'rule', 'add', 'from', f'{SIDE6}2', 'table', '7')
        w.run('peer', 'ip', '-6', 'route', 'add', HOMES, 'via', f'{SIDE6}1', 'dev', 'side', 'table', '7')
        gro(w, 'core', 'anchor0', 'on')
        yield w


def gro(world, node, device, how):
    world.run(node, 'ethtool', '-K', device, 'gro', how)


def configure(world, datapath):
    """What the anchor says of its interfaces after a reload."""
    conf = world.dir / 'anchor/flowmob.conf'
    text = re.sub(r'\n  datapath = .*', '', conf.read_text())
    conf.write_text(text.replace('anchor {', f'anchor {{\n  datapath = {datapath}', 1))
    assert 'reloaded' in world.ask('anchor', 'reload')
    return until('it is attached', lambda: interfaces(world))


def interfaces(world):
    return {i['name']: i['datapath'] for i in world.ask('anchor', 'status')['interfaces']}


def attached(world):
    """What the kernel says of the same: how, and the number of the program."""
    found = {}
    for link in json.loads(world.run('anchor', 'ip', '-j', '-d', 'link')):
        if 'xdp' in link:
            found[link['ifname']] = (link['xdp']['mode'], link['xdp']['prog']['id'])
    return found


def sent_by_xdp(world):
    """Packets that XDP sent on, by the device that they came by: back out of it, or by another."""
    sums = {}
    for device in ('eth0', 'side'):
        text = world.run('anchor', 'ethtool', '-S', device)
        for kind, n in re.findall(r'rx_queue_\d+_xdp_(tx|redirect): (\d+)', text):
            sums[f'{device} {kind}'] = sums.get(f'{device} {kind}', 0) + int(n)
    return sums


def is_unpacked(frame, mac):
    """A datagram of the call that came in without a tunnel: XDP was there before the capture."""
    return frame[:6] == mac and frame[12:14] == b'\x86\xdd' and frame[20] == 17 and frame[56:58] == b'\x13\x8c'


def talk(world, to='2001:db8:ffff::1', events=()):
    """A call that moves to the other access and back. Return how many datagrams it sent, and what XDP did."""
    link = json.loads(world.run('anchor', 'ip', '-j', 'link', 'show', 'eth0'))[0]
    mac = bytes.fromhex(link['address'].replace(':', ''))
    before, capture = sent_by_xdp(world), Capture(world, 'anchor', 'eth0')
    counted = world.counters('anchor')
    with Call(world, rate=500, to=to) as call:
        time.sleep(0.3)
        for access in ('lte', 'wifi'):
            world.ask('host', 'move', match='udp dport 5004', access=access)
            time.sleep(0.5)
        for event in events:
            event()
            time.sleep(0.7)
        report = call.report()
    assert report['source'] == world.home()
    assert report['sent'] > 400
    assert_whole(report, more=lambda: grown(counted, world.counters('anchor')))
    moved = grown(counted, world.counters('anchor'))
    assert min(moved['encapsulated'], moved['decapsulated']) >= report['sent']
    did = grown(before, sent_by_xdp(world))
    did['unpacked'] = sum(is_unpacked(f, mac) for f in capture.stop())
    return report['sent'], did


def test_virtual_interfaces_are_left_to_tc(world):
    assert configure(world, 'auto') == {'eth0': 'tc', 'side': 'tc'}
    assert attached(world) == {}
    assert talk(world)[1] == {'unpacked': 0}


def test_a_call_goes_by_xdp_both_ways(world):
    """By one interface: what comes for the host is sent back out by the driver that it came by."""
    assert configure(world, 'xdp') == {'eth0': 'xdp', 'side': 'xdp'}
    assert {mode for mode, _ in attached(world).values()} == {1}  # in the driver
    sent, did = talk(world)
    assert did['eth0 tx'] >= sent and did['unpacked'] >= sent and 'side redirect' not in did


def test_it_crosses_the_anchor_by_xdp(world):
    configure(world, 'xdp')
    sent, did = talk(world, f'{SIDE6}2')
    assert did['side redirect'] >= sent and did['unpacked'] >= sent


def test_a_device_that_takes_no_frames_gets_them_by_tc(world):
    """Without GRO at its other end a veth loses what is redirected to it, without a word."""
    gro(world, 'core', 'anchor0', 'off')
    try:
        assert configure(world, 'tc') == {'eth0': 'tc', 'side': 'tc'}
        assert configure(world, 'xdp') == {'eth0': 'xdp', 'side': 'xdp'}
        for to in (f'{SIDE6}2', '2001:db8:ffff::1'):
            sent, did = talk(world, to)
            assert did.pop('unpacked') >= sent and did == {}
    finally:
        gro(world, 'core', 'anchor0', 'on')


def test_a_driver_that_refuses_leaves_it_to_tc(world):
    """A veth takes no XDP while its other end sends packets larger than a page."""
    configure(world, 'tc')
    for node in ('anchor', 'peer'):
        world.run(node, 'ip', 'link', 'set', 'side', 'mtu', '9000')
    try:
        assert configure(world, 'xdp') == {'eth0': 'xdp', 'side': 'tc'}
        assert list(attached(world)) == ['eth0']
        said = [e for e in world.events('anchor') if e['event'] == 'xdp-refused']
        assert [(e['interface'], e['datapath']) for e in said] == [('side', 'tc')] and 'takes no XDP' in said[0]['reason']
        sent, did = talk(world, f'{SIDE6}2')
        assert did.pop('unpacked') >= sent and did == {}
    finally:
        for node in ('peer', 'anchor'):  # its own MTU is what the anchor hears of
            world.run(node, 'ip', 'link', 'set', 'side', 'mtu', '1500')
    until('with a smaller MTU it is taken', lambda: interfaces(world) == {'eth0': 'xdp', 'side': 'xdp'})


def test_reloads_and_kills_lose_nothing(world):
    """XDP comes, stays when its daemon is killed, is adopted by the next one, and goes."""
    configure(world, 'tc')
    was = {}

    def killed():
        was.update(attached(world))
        world.do('kill', node='anchor')

    def again():
        until('the next one answers', lambda: interfaces(world))

    talk(world, events=(lambda: configure(world, 'xdp'), killed, again))
    assert set(was) == {'eth0', 'side'} and attached(world) == was
    talk(world, events=(lambda: configure(world, 'tc'),))
    assert attached(world) == {}


def test_down_takes_xdp_away(world):
    configure(world, 'xdp')
    assert len(attached(world)) == 2
    world.ask('anchor', 'down')
    until('it is gone', lambda: attached(world) == {})
    pins = f'/sys/fs/bpf/flowmob-lab/{world.instance}/anchor'
    assert not os.path.exists(pins) or os.listdir(pins) == []
