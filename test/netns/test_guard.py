"""The guard of home prefixes: an nftables table that stands without daemon, fm0 and eBPF. A host is played that
has just booted: nothing of ours is there but what the last run kept beside its store.
"""
import os
import socket

import pytest

from world import FLOWMOB, PEER6, Capture, World, until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason='network namespaces need root')

WORLD = '''
  access "wifi" { family = "ipv6"  delay = "1ms" }
  access "lte"  { family = "dual"  delay = "2ms" }
  host   { default { type = "session-lasting"  via = {"wifi", "lte"} } }
'''
PORT = 5016


@pytest.fixture
def world():
    with World('guard', WORLD) as w:
        until('it has a home address', w.home)
        until('the guard has it', lambda: w.home().rsplit('::', 1)[0].split(':')[3] in table(w))
        yield w


def table(world):
    return world.run('host', 'nft', 'list', 'table', 'inet', 'flowmob', check=False)


def boot(world):
    """What a new start of the machine leaves: files."""
    world.do('stop', node='host')
    for device in ('wifi', 'lte'):
        world.run('host', 'tc', 'qdisc', 'del', 'dev', device, 'clsact', check=False)
    world.run('host', 'ip', 'link', 'del', 'fm0')
    world.run('host', 'nft', 'flush', 'ruleset')
    for family in ('-4', '-6'):
        for rule in world.run('host', 'ip', family, 'rule').splitlines():
            if int(rule.split(':')[0]) not in (0, 32766, 32767):
                world.run('host', 'ip', family, 'rule', 'del', 'pref', rule.split(':')[0])


def guard(world):
    world.run('host', FLOWMOB.parent / 'flowmobd', '--guard', '-c', world.dir / 'host/flowmob.conf', '--state',
              world.dir / 'host/state', '--pin', world.dir / 'pins')  # no rule of it blocks: nothing is pinned


def leaves(world, home):
    """Is a datagram from the home address seen on the access?"""
    capture = Capture(world, 'host', 'wifi')
    try:
        with world.socket('host', socket.AF_INET6, socket.SOCK_DGRAM) as s:
            s.bind((home, 0))
            for n in range(5):
                try:
                    s.sendto(b'in clear', (PEER6, PORT))
                except PermissionError:  # what nftables drops where it is sent
                    pass
        world.run('host', 'ping', '-6', '-c1', '-W1', PEER6)  # whatever was sent before has passed now
    finally:
        frames = capture.stop()
    return any(b'in clear' in f for f in frames)


def comes(world, home):
    """Does a datagram to the home address that no tunnel brought reach a program?"""
    with world.socket('host', socket.AF_INET6, socket.SOCK_DGRAM) as s, \
            world.socket('access-wifi', socket.AF_INET6, socket.SOCK_DGRAM) as router:
        s.bind((home, PORT))
        s.settimeout(0.5)
        for n in range(3):
            router.sendto(b'untunnelled', (home, PORT))
        try:
            return s.recv(100) == b'untunnelled'
        except socket.timeout:
            return False


def counted(world, name):
    return int(world.run('host', 'nft', 'list', 'counter', 'inet', 'flowmob', name).split('packets ')[1].split()[0])


def test_after_a_boot_nothing_passes_outside(world):
    home = world.home()
    boot(world)
    world.run('host', 'ip', 'addr', 'add', f'{home}/128', 'dev', 'wifi', 'nodad')
    near = world.run('host', 'ip', '-6', '-o', 'addr', 'show', 'dev', 'wifi', 'scope', 'link').split()[3].split('/')[0]
    world.run('access-wifi', 'ip', '-6', 'route', 'add', f'{home}/128', 'via', near, 'dev', 'down')
    assert leaves(world, home) and comes(world, home)  # else the looks themselves are blind
    guard(world)
    assert not leaves(world, home) and not comes(world, home)
    assert counted(world, 'left-outside') >= 5 and counted(world, 'came-outside') == 3
    guard(world)  # once more: as it was, and the counters go on
    assert counted(world, 'came-outside') == 3
    assert not comes(world, home)


def test_a_flushed_ruleset_is_put_back(world):
    before = table(world)
    world.run('host', 'nft', 'flush', 'ruleset')
    until('the table is back', lambda: table(world))
    assert table(world).count('\n') == before.count('\n')
    assert [e for e in world.events('host') if e['event'] == 'guard-trouble']


def test_without_a_file_a_boot_changes_nothing(world):
    world.ask('host', 'down')
    until('the table is gone', lambda: not table(world))
    assert not (world.dir / 'host/state/guard').exists()
    guard(world)
    assert not table(world)


@pytest.mark.parametrize('broken', ['nonsense\n', 'include "/etc/passwd"\n', '2001:db8:1::/63\n', '2001:db8:1::/64'])
def test_a_broken_file_closes_until_the_daemon_starts(world, broken):
    boot(world)
    access = world.run('host', 'ip', '-6', '-o', 'addr', 'show', 'dev', 'wifi', 'scope', 'global').split()[3]
    (world.dir / 'host/state/guard').write_text(broken)
    with pytest.raises(Exception, match='returned non-zero exit status 1'):
        guard(world)
    ping = ('ping', '-6', '-c1', '-W1', '-I', access.split('/')[0], PEER6)
    assert 'ttl=' not in world.run('host', *ping, check=False)
    assert counted(world, 'left-outside') >= 1
    world.do('start', node='host')
    until('the daemon knows better', lambda: 'ttl=' in world.run('host', *ping, check=False))
    assert 'home64' in table(world)
