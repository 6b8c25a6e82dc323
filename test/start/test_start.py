"""doc/start.md, done word by word: its files, its commands, and the flow that survives."""
import ipaddress
import json
import os
import pathlib
import re
import subprocess
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEXT = (ROOT / 'doc/start.md').read_text()
BLOCK = re.compile(r'^```(\w+)([^\n]*)\n(.*?)^```$', re.M | re.S)


def blocks():
    """Return [(language, {on, file}, text)] of the document, in order."""
    return [(lang, dict(w.split('=', 1) for w in info.split()), text) for lang, info, text in BLOCK.findall(TEXT)]


def test_the_configurations_have_at_most_eight_lines():
    files = [(info, text) for lang, info, text in blocks() if 'file' in info]
    assert [info['on'] for info, _ in files] == ['anchor', 'host']
    assert all(text.count('\n') <= 8 for _, text in files)


def follow(world):
    """Do what the document says. A systemctl line is for the machine whose file came before it."""
    last, said = None, {}
    for lang, info, text in blocks():
        if 'file' in info:
            last = world.machines[info['on']]
            last.sh(f'cat >{info["file"]}', input=text)
        elif 'systemctl enable --now flowmobd' in text:
            last.start_daemon(world.cgroup)
        elif 'on' in info:
            said[text] = world.machines[info['on']].sh(text)
            if 'flowmob key' in text:
                carry_key(world, said[text])
    return said


def carry_key(world, said):
    """The command that `flowmob key` prints for the anchor."""
    command = re.search(r'^  \(umask 077; .*\)$', said, re.M).group()
    world.anchor.sh(command)
    subscriber = re.search(r'^  (subscriber .*)$', said, re.M).group(1)
    assert subscriber in TEXT, 'what flowmob key prints is what the document shows'


def flow_on(machine, port):
    flows = json.loads(machine.sh('flowmob flows --json'))['flows']
    return next((f for f in flows if f['remote'].endswith(f':{port}')), None)


def wait_for(what, timeout_s=5):
    end = time.monotonic() + timeout_s
    while not (found := what()):
        assert time.monotonic() < end, 'it did not come in time'
        time.sleep(0.05)
    return found


@pytest.mark.skipif(os.getuid() != 0, reason='only root makes namespaces')
def test_from_two_bare_machines_to_a_flow_that_survives(world):
    try:
        said = follow(world)
        assert any('bound' in text for command, text in said.items() if command.endswith('flowmob\n'))
        survive(world)
    except (AssertionError, subprocess.TimeoutExpired):
        print('anchor:\n' + world.anchor.log() + 'host:\n' + world.host.log())
        raise


def survive(world):
    world.host.sh('flowmob wait --for access=wifi; flowmob wait --for access=lte')
    server = world.peer.start('python3', 'test/start/echo.py', 'serve', '2001:db8:ffff::1', '7', stdout=subprocess.PIPE)
    server.stdout.readline()
    asker = world.host.start('python3', 'test/start/echo.py', 'ask', '2001:db8:ffff::1', '7', '6',
                             stdout=subprocess.PIPE, text=True)
    flow = wait_for(lambda: flow_on(world.host, 7))
    assert flow['access'] == 'wifi'
    time.sleep(1)
    world.host.sh(f'flowmob move {flow["id"]} lte')
    wait_for(lambda: flow_on(world.host, 7)['access'] == 'lte')
    time.sleep(1)
    world.core.sh('ip link set lte down')
    wait_for(lambda: flow_on(world.host, 7)['access'] == 'wifi')
    out, _ = asker.communicate(timeout=20)
    seen = json.loads(out)
    print(seen)
    assert seen['repeated'] == 0 and len(seen['sources']) == 1
    assert ipaddress.ip_address(seen['sources'][0]) in ipaddress.ip_network('2001:db8:100::/40')
    assert seen['sent'] - seen['received'] <= 20 and seen['gap_ms'] <= 300
    world.host.sh('flowmob down')
    assert world.host.sh('ip -o link show fm0 2>&1 || true').count('does not exist') == 1
