#!/usr/bin/python3
"""An anchor whose interface is a physical one: two network cards of the virtual machine, wired to each other,
take the place of the lab's link between anchor and core. By itself the anchor takes XDP there, and tc again
where the driver refuses. Counts are judged, not times. Prints a line for each thing that has to hold.
"""
import json
import os
import pathlib
import re
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / 'netns'))
from world import Call, World, until  # noqa: E402

WORLD = '''
  access "wifi" { family = "ipv6"  delay = "2ms" }
  access "lte"  { family = "ipv4"  delay = "5ms" }
  host   { default { type = "session-lasting"  via = {"wifi", "lte"} } }
'''
ENDS = {
    'anchor': ('eth0', '''link set eth0 up
addr add fe80::2/64 dev eth0 nodad
addr add 192.0.2.1/30 dev eth0
addr add 2001:db8:a::1/128 dev eth0 nodad
route add default via 192.0.2.2
-6 route add default via fe80::1 dev eth0 src 2001:db8:a::1'''),
    'core': ('anchor0', '''link set anchor0 up
addr add fe80::1/64 dev anchor0 nodad
addr add 192.0.2.2/30 dev anchor0
route add 198.51.100.0/25 via 192.0.2.1
-6 route add 2001:db8:a::/64 via fe80::2 dev anchor0
-6 route add 2001:db8:100::/40 via fe80::2 dev anchor0'''),
}
failed = 0


def tell(what, holds, more=''):
    global failed
    failed += not holds
    print(f'ok {what}' if holds else f'FAIL {what}: {more}', flush=True)


def cards():
    return sorted(d.name for d in pathlib.Path('/sys/class/net').iterdir() if (d / 'device').exists())


def wire(world):
    world.run('core', 'ip', 'link', 'del', 'anchor0')
    for card, (node, (name, lines)) in zip(cards(), ENDS.items()):
        os.system(f'ip link set {card} netns flowmob-{world.instance}-{node} name {name}')
        for line in lines.splitlines():
            world.run(node, 'ip', *line.split())


def datapath(world):
    return {i['name']: i['datapath'] for i in world.ask('anchor', 'status')['interfaces']}


def resend(world):
    """Packets that XDP sent back out of the card."""
    return sum(int(n) for n in re.findall(r'xdp_tx: (\d+)', world.run('anchor', 'ethtool', '-S', 'eth0')))


def talk(world, what, during=lambda: None):
    before, counted = resend(world), world.counters('anchor')
    with Call(world, rate=50) as call:
        time.sleep(2)
        for access in ('lte', 'wifi'):
            world.ask('host', 'move', match='udp dport 5004', access=access)
            time.sleep(2)
        during()
        report = call.report()
    after = world.counters('anchor')
    moved = {k: after[k] - counted[k] for k in ('encapsulated', 'decapsulated')}
    tell(f'{what}: a call loses nothing both ways', report['sent'] > 100 and
         (report['lost'], report['duplicated'], report['errors']) == (0, 0, 0) and report['source'] == world.home(), report)
    tell(f'{what}: the anchor counts it', min(moved.values()) >= report['sent'], f'{moved} {report}')
    return report['sent'], resend(world) - before


def program(world):
    link = json.loads(world.run('anchor', 'ip', '-j', '-d', 'link', 'show', 'eth0'))[0].get('xdp', {})
    return link.get('mode'), link.get('prog', {}).get('id')


def refusals(world):
    """Why an interface was left to tc."""
    return [e['reason'] for e in world.events('anchor') if e['event'] == 'xdp-refused' and e['interface'] == 'eth0']


def mtu(world, octets):
    for node, (name, _) in reversed(ENDS.items()):
        world.run(node, 'ip', 'link', 'set', name, 'mtu', octets)


def killed(world):
    was = program(world)
    world.do('kill', node='anchor')
    time.sleep(3)
    until('the next one answers', lambda: datapath(world) == {'eth0': 'xdp'}, 30)
    tell('the next start takes the program that is there', program(world) == was, f'{was} {program(world)}')


def play(world):
    wire(world)
    until('both accesses are bound', lambda: all(a['registered'] for a in world.accesses().values()), 60)
    until('the card is attached', lambda: datapath(world), 30)
    tell('a physical interface gets XDP by itself', datapath(world) == {'eth0': 'xdp'}, datapath(world))
    tell('in its driver', program(world)[0] == 1, program(world))
    sent, back = talk(world, 'XDP', lambda: killed(world))
    tell('it was XDP that sent to the host', back >= sent, f'{back} of {sent}')

    world.ask('anchor', 'down')  # a driver lets nobody raise the MTU while it runs XDP
    until('the anchor has ended', lambda: not (world.dir / 'anchor/run/flowmob.sock').exists() or not answers(world), 30)
    tell('down takes the program away', program(world) == (None, None), program(world))
    world.run('anchor', 'sysctl', '-qw', 'net.ipv4.conf.all.rp_filter=1')
    world.do('start', node='anchor')
    until('the anchor answers', lambda: datapath(world), 60)
    tell('where sources are checked strictly it is tc', datapath(world) == {'eth0': 'tc'}, datapath(world))
    tell('and an event says why', ['rp_filter is strict' in r for r in refusals(world)] == [True], refusals(world))
    world.run('anchor', 'sysctl', '-qw', 'net.ipv4.conf.all.rp_filter=0')
    mtu(world, 9000)
    until('it is tried again', lambda: len(refusals(world)) == 2, 30)
    tell('where the driver refuses it is tc', datapath(world) == {'eth0': 'tc'}, datapath(world))
    tell('and an event says that', 'takes no XDP' in refusals(world)[-1], refusals(world))
    until('both accesses are bound', lambda: all(a['registered'] for a in world.accesses().values()), 60)
    _, back = talk(world, 'tc')
    tell('nothing went by XDP', back == 0, back)
    mtu(world, 1500)
    until('with another MTU XDP is back', lambda: datapath(world) == {'eth0': 'xdp'}, 30)
    tell('with another MTU XDP is back', program(world)[0] == 1, program(world))


def answers(world):
    try:
        return world.ask('anchor', 'ping')
    except OSError:
        return None


def main():
    if len(cards()) != 2:
        print('skip physical: two network cards, wired to each other, are needed')
        return 0
    with World('physical', WORLD) as world:
        try:
            play(world)
        except (AssertionError, OSError, KeyError) as why:
            tell('the world plays', False, f'{type(why).__name__}: {why}')
            print((world.dir / 'anchor/log').read_text()[-2000:])
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
