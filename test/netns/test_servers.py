"""Debian's nginx and sshd, unmodified, on a host with a Fixed address by policy: reached by curl and ssh at the
peer under one address through moves, kills of both daemons and a new start of the host. The hook of a type is
told of that address once, and again when it is another.
"""
import os
import pathlib
import subprocess
import time

import pytest

from world import PEER6, World, until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason='network namespaces need root')

WEB, SSH = 8080, 2222
MOVES = 20
HOOK = '''#!/bin/sh
echo "$FLOWMOB_EVENT $FLOWMOB_TYPE $FLOWMOB_ADDRESS $FLOWMOB_PREFIX" >> {told}
'''
WORLD = '''
  access "wifi" {{ family = "dual"      delay = "2ms" }}
  access "lte"  {{ family = "ipv4-nat"  delay = "5ms" }}
  host {{
    keep-ready = {{"fixed", "graceful-replacement"}}
    type "fixed"                {{ hook = "{hook}" }}
    type "graceful-replacement" {{ hook = "/usr/bin/false" }}
    program "servers" {{ who = {{"program:/usr/sbin/nginx", "program:/usr/sbin/sshd"}}  type = fixed }}
    default {{ type = "session-lasting"  via = {{"wifi", "lte"}} }}
  }}
'''
NGINX = '''user root;
pid {d}/nginx.pid;
error_log {d}/error.log;
events {{ }}
http {{
  access_log {d}/access.log;
  server {{ listen [::]:{web} ipv6only=on; root {d}/www; }}
}}
'''
SSHD = '''Port {ssh}
HostKey {d}/host_key
AuthorizedKeysFile {d}/authorized
StrictModes no
PidFile {d}/sshd.pid
UsePAM no
PermitRootLogin yes
'''


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    d = tmp_path_factory.mktemp('servers')
    for name in ('host_key', 'user_key'):
        subprocess.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', d / name], check=True)
    (d / 'authorized').write_text((d / 'user_key.pub').read_text())
    (d / 'sshd.conf').write_text(SSHD.format(d=d, ssh=SSH))
    (d / 'nginx.conf').write_text(NGINX.format(d=d, web=WEB))
    (d / 'www').mkdir()
    (d / 'www/page').write_text('this is the page')
    (d / 'hook').write_text(HOOK.format(told=d / 'told'))
    (d / 'hook').chmod(0o755)
    os.makedirs('/run/sshd', exist_ok=True)
    return d


class Servers:
    """Both, as processes of the host."""

    def __init__(self, world, files):
        self.list = [world.start('host', '/usr/sbin/nginx', '-c', files / 'nginx.conf', '-g', 'daemon off;',
                                 '-e', files / 'error.log'),
                     world.start('host', '/usr/sbin/sshd', '-D', '-e', '-f', files / 'sshd.conf',
                                 stderr=subprocess.DEVNULL)]
        until('they listen', lambda: all(f':{port} ' in world.run('host', 'ss', '-Htln') for port in (WEB, SSH)))

    def stop(self):
        for p in self.list:
            p.terminate()
            p.wait()


class Session:
    """One ssh connection from the peer, that lives for as long as the test wants it to."""

    def __init__(self, world, files, address):
        self.process = world.start('peer', *ssh(files, address), 'cat', stdin=subprocess.PIPE, bufsize=1)
        self.lines = 0

    def answers(self):
        self.lines += 1
        self.process.stdin.write(f'{self.lines}\n')
        self.process.stdin.flush()
        return self.process.stdout.readline() == f'{self.lines}\n'

    def stop(self):
        self.process.kill()
        self.process.wait()


def ssh(files, address):
    return ['timeout', '60', 'ssh', '-F', 'none', '-p', str(SSH), '-i', str(files / 'user_key'), '-o',
            'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null', '-o', 'LogLevel=ERROR',
            f'root@{address}']


def page(world, address):
    return world.run('peer', 'curl', '-sS', '--max-time', '8', f'http://[{address}]:{WEB}/page', check=False)


def fixed(world):
    return [a['address'] for a in world.ask('host', 'address')['addresses']
            if a['type'] == 'fixed' and a['state'] == 'ready']


def is_reached(world, files, address):
    """By new connections to both, and the servers saw the peer."""
    assert page(world, address) == 'this is the page'
    assert world.run('peer', *ssh(files, address), 'echo', '$SSH_CONNECTION').split()[::2] == [PEER6, address]
    assert fixed(world) == [address]


def told(files):
    try:
        return [line.split() for line in (files / 'told').read_text().splitlines()]
    except FileNotFoundError:
        return []


def wipe(world):
    """What a new start of the machine takes away: devices, rules, routes, eBPF; --state stays."""
    world.run('host', 'ip', 'link', 'del', 'fm0')
    for family in ('-4', '-6'):
        world.run('host', 'ip', family, 'rule', 'flush')
        world.run('host', 'ip', family, 'rule', 'add', 'from', 'all', 'lookup', 'main', 'pref', 32766)
    for access in world.accesses_known:
        world.run('host', 'tc', 'qdisc', 'del', 'dev', access, 'clsact', check=False)
    for path in pathlib.Path(f'/sys/fs/bpf/flowmob-lab/{world.instance}/host').rglob('*'):
        if path.is_file():
            path.unlink()


@pytest.fixture(scope='module')
def world(files):
    with World('servers', WORLD.format(hook=files / 'hook')) as w:
        until('the host is bound', lambda: all(a['registered'] for a in w.accesses().values()))
        until('it has a Fixed address', lambda: fixed(w))
        w.accesses_known = [a['interface'] for a in w.accesses().values()]
        yield w


def test_a_hook_that_fails_is_told(world):
    failed = until('it is told', lambda: [e for e in world.events('host') if e['event'] == 'hook-failed'])
    assert {(e['type'], e['hook'], e['reason']) for e in failed} == {
        ('graceful-replacement', '/usr/bin/false', 'exit code 1')}


def test_one_address_through_everything(world, files):
    address, = fixed(world)
    servers = Servers(world, files)
    is_reached(world, files, address)
    session = Session(world, files, address)
    assert session.answers()
    for i in range(MOVES):
        to = ('lte', 'wifi')[i % 2]
        assert world.ask('host', 'move', match=f'tcp sport {SSH}', access=to)['moved'] >= 1
        assert session.answers() and page(world, address) == 'this is the page', f'move {i} to {to}'
    for node in ('anchor', 'host'):
        before = world.pid(node)
        world.do('kill', node=node)
        until(f'{node} is back', lambda: world.pid(node) != before)
        assert session.answers(), node
        is_reached(world, files, address)
    session.stop()
    servers.stop()
    world.do('stop', node='host')
    wipe(world)
    assert page(world, address) == ''
    world.do('start', node='host')
    until('the host is back', lambda: fixed(world))
    servers = Servers(world, files)
    until('it is reached again', lambda: page(world, address) == 'this is the page')
    is_reached(world, files, address)
    servers.stop()


def test_the_hook_is_told_once_and_of_each_change(world, files):
    address, = fixed(world)
    until('it was told', lambda: told(files))
    assert [(x[0], x[1], x[2]) for x in told(files)] == [('assigned', 'fixed', address)]
    prefix = told(files)[0][3]
    world.ask('anchor', 'release', prefix=prefix)
    until('it was told of both', lambda: len(told(files)) >= 3)
    time.sleep(0.5)
    other, = fixed(world)
    assert other != address
    assert sorted(x[:3] for x in told(files)[1:]) == [['assigned', 'fixed', other], ['released', 'fixed', address]]
    assert told(files)[1 if told(files)[1][0] == 'released' else 2][3] == prefix
    servers = Servers(world, files)
    is_reached(world, files, other)
    servers.stop()


@pytest.mark.long
def test_a_hook_that_does_not_end_is_ended(tmp_path):
    hook = tmp_path / 'hook'
    hook.write_text(f'#!/bin/sh\necho $$ >> {tmp_path}/pids\nsleep 100\n')
    hook.chmod(0o755)
    with World('hanging', f'''
      access "wifi" {{ family = "ipv6" }}
      host {{ type "session-lasting" {{ hook = "{hook}" }}  default {{ via = {{"wifi"}} }} }}
    ''') as world:
        until('it is told', lambda: [e for e in world.events('host') if e['event'] == 'hook-failed' and
                                     e['reason'] == 'did not end within 30 s'], 40)
        assert not os.path.exists(f'/proc/{(tmp_path / "pids").read_text().split()[0]}')
