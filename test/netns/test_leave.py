"""The end, and beginnings that are not smooth: `flowmob down` leaves nothing of ours behind; a host with a
wrong key is not bound, and says why; one whose anchor comes later is; daemons that die again and again.
"""
import json
import os
import secrets
import time

import pytest

from world import FLOWMOB, Call, World, assert_whole, grown, until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason='network namespaces need root')

WORLD = '''
  access "wifi" { family = "ipv6"      delay = "2ms" }
  access "lte"  { family = "ipv4-nat"  delay = "5ms" }
  host   { default { type = "session-lasting"  via = {"wifi", "lte"} } }
'''


@pytest.fixture
def world():
    with World('leave', WORLD) as w:
        yield w


def traces(world, node):
    """All that a daemon of ours puts into a machine's network, by the tools of others."""
    found = {
        'rules': world.run(node, 'ip', 'rule') + world.run(node, 'ip', '-6', 'rule'),
        'routes': world.run(node, 'ip', 'route', 'show', 'table', 'all') +
        world.run(node, 'ip', '-6', 'route', 'show', 'table', 'all'),
        'neighbours': world.run(node, 'ip', 'neigh', 'show', 'nud', 'permanent'),
        'sysctl': world.run(node, 'sysctl', '-a', '-r', r'net\.ipv[46]\.conf\.(all|default|wifi|lte|eth0)\.',
                            check=False),
        'nftables': world.run(node, 'nft', 'list', 'ruleset'),
        'links': '',
    }
    for link in json.loads(world.run(node, 'ip', '-j', '-d', 'link')):
        name = link['ifname']
        found['links'] += f'{name} {link["mtu"]} {link.get("linkinfo", {}).get("info_kind", "")}\n'
        found[f'filters of {name}'] = world.run(node, 'tc', 'filter', 'show', 'dev', name, 'ingress',
                                                check=False) + \
            world.run(node, 'tc', 'filter', 'show', 'dev', name, 'egress', check=False)
        found[f'xdp of {name}'] = json.dumps(link.get('xdp'))
    return found


def ours(world, node):
    text = json.dumps(traces(world, node))
    pins = f'/sys/fs/bpf/flowmob-lab/{world.instance}/{node}'
    left = [w for w in ('fm0', 'fm_', '8653', 'proto 86') if w in text]
    return left + (os.listdir(pins) if os.path.isdir(pins) else [])


@pytest.mark.parametrize('node', ['host', 'anchor'])
def test_down_leaves_nothing(world, node):
    assert {'fm0', 'fm_'} <= set(ours(world, node))  # else the look itself is blind
    done = world.run(node, 'env', f'FLOWMOB_SOCKET={world.dir / node / "run/flowmob.sock"}', FLOWMOB, 'down')
    until('the daemon has ended', lambda: not os.path.exists(world.dir / node / 'run/flowmob.sock')
          or not answers(world, node))
    assert ours(world, node) == [], done
    if node == 'host':
        assert world.bindings() == {}


def answers(world, node):
    try:
        return world.ask(node, 'ping')
    except OSError:
        return None


def test_down_leaves_the_machine_as_it_was(world):
    """What stood before the first start stands after the end: the daemon starts and goes once more."""
    world.ask('host', 'down')
    until('the daemon has ended', lambda: not answers(world, 'host'))
    before = traces(world, 'host')
    world.do('start', node='host')
    until('it is bound again', lambda: all(a['registered'] for a in world.accesses().values()))
    world.ask('host', 'down')
    until('the daemon has ended', lambda: not answers(world, 'host'))
    assert traces(world, 'host') == before


def test_a_wrong_key_is_not_bound_and_told(world):
    world.ask('host', 'down')
    until('the binding is gone', lambda: world.bindings() == {} and not answers(world, 'host'))
    key = world.dir / 'host/anchor.key'
    right = key.read_text()
    world.do('reload', node='anchor')
    until('it has read the right one', lambda: [e for e in world.events('anchor') if e['event'] == 'reloaded'])
    key.write_text(f'256 hmac-sha256-128 {secrets.token_hex(32)}\n')
    before = world.counters('anchor')
    world.do('start', node='host')
    said = until('the anchor says why', lambda: [
        e for e in world.events('anchor') if e['event'] == 'bad-authenticator'])
    assert 'host@example.net' in json.dumps(said)
    until('the host says why', lambda: [e for e in world.events('host') if e['event'] in (
        'registration-stopped', 'registration-refused', 'bad-authenticator')])
    moved = grown(before, world.counters('anchor'))
    assert moved['anchor-bad-authenticator'] > 0 and 'anchor-accepted' not in moved
    assert world.bindings() == {}
    assert not any(a['registered'] for a in world.accesses().values())
    assert 'compare key-file on both ends' in (world.dir / 'anchor/log').read_text()
    key.write_text(right)
    world.do('reload', node='host')
    until('with the right key it is bound', world.bindings)


def test_an_anchor_that_comes_later(world):
    world.ask('host', 'down')
    until('the binding is gone', lambda: world.bindings() == {} and not answers(world, 'host'))
    world.ask('anchor', 'down')
    until('the anchor has ended', lambda: not answers(world, 'anchor'))
    world.do('start', node='host')
    time.sleep(3)
    assert not any(a['registered'] for a in world.accesses().values())
    world.do('start', node='anchor')
    until('it is bound', lambda: all(a['registered'] for a in world.accesses().values()), 20)
    with Call(world, rate=100) as call:
        time.sleep(0.5)
        report = call.report()
    assert report['source'] == world.home()
    assert_whole(report)


@pytest.mark.parametrize('count', [2, pytest.param(20, marks=pytest.mark.long)])
def test_daemons_that_are_killed_again_and_again(world, count):
    """SIGKILL under 1,000 datagrams a second: none of a flow that has a path is lost, and no address changes."""
    home, held = world.home(), world.bindings()
    with Call(world, rate=1000) as call:
        time.sleep(0.5)
        for n in range(count):
            world.do('kill', node=('host', 'anchor')[n % 2])  # the lab starts it again after 100 ms
            time.sleep(1)
            until('both answer', lambda: answers(world, 'host') and answers(world, 'anchor'), 20)
        report = call.report()
    assert report['sent'] > 500 * count
    assert_whole(report)
    assert world.home() == home
    until('the bindings are as they were', lambda: world.bindings() == held)


def test_temporary_addresses_go_with_nonpersistent(tmp_path):
    """RFC 8981 where an access makes its own addresses; what somebody has set stays, and all is as before after it."""
    def setting(world, device, value=None, name='use_tempaddr'):
        return world.run('host', 'sysctl', '-n', *(
            ['-w'] if value is not None else []),
            f'net.ipv6.conf.{device}.{name}' + (f'={value}' if value is not None else '')).strip()

    with World('leave', '''
  access "wifi" { family = "ipv6"  delay = "2ms" }
  access "lte"  { family = "ipv6"  delay = "2ms" }
  access "dsl"  { family = "ipv6"  delay = "2ms" }
  host   { default { type = "nonpersistent"  via = {"wifi", "lte", "dsl"} } }
''') as world:
        assert [setting(world, d) for d in ('wifi', 'lte', 'dsl')] == ['0', '0', '0']
        setting(world, 'dsl', 1)
        for d in ('wifi', 'dsl'):
            setting(world, d, 1, 'accept_ra')
        until('it is on', lambda: setting(world, 'wifi') == '2', 4)
        world.do('kill', node='host')  # the next run puts back what this one did
        until('it runs again', lambda: answers(world, 'host'))
        assert [setting(world, d) for d in ('wifi', 'lte', 'dsl')] == ['2', '0', '1']
        world.ask('host', 'down')
        until('the daemon has ended', lambda: not answers(world, 'host'))
        assert [setting(world, d) for d in ('wifi', 'lte', 'dsl')] == ['0', '0', '1']
