"""Rules with on-none = block for what leaves outside the tunnel: with a daemon, without one, and after a boot before
the first start. Judged by the frames that the access carries.
"""
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest

from world import FLOWMOB, PEER6, Capture, World, setns, until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason='network namespaces need root')

COPY = pathlib.Path(f'/tmp/flowmob-block-{os.getpid()}')  # a program file of its own
NOBODY = 65534
WORLD = '''
  access "wifi" { family = "ipv6"  delay = "1ms" }
  access "lte"  { family = "dual"  delay = "2ms" }
  host {
    rule "unit" { match = {"unit secret*.scope"}      via = {"lte"}  on-none = "block" }
    rule "user" { match = {"user nobody udp dport 7001"}  via = {"lte"}  on-none = "block" }
    %s
    default { type = "session-lasting"  via = {"wifi", "lte"} }
  }
'''
# Sends some datagrams: from the access itself, as a program does that has no home address; "home": from that.
SENDER = '''
import os, socket, sys
os.setuid(int(sys.argv[3]))
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
if sys.argv[5] != 'home':
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b'wifi')
for n in range(5):
    try:
        s.sendto(sys.argv[4].encode(), (sys.argv[1], int(sys.argv[2])))
    except PermissionError:
        pass  # what the program drops is refused at once
'''


def cgroups(world):
    roots = (pathlib.Path(x) for x in ('/sys/fs/cgroup', '/sys/fs/cgroup/unified'))
    return next(x for x in roots if (x / 'cgroup.procs').exists()) / 'flowmob-lab' / world.instance / 'host'


def open_world(name, rules=''):
    return World(name, WORLD % rules)


@pytest.fixture
def world():
    with open_world('block') as w:
        until('it has a home address', w.home)
        yield w


def join(world, cgroup):
    """For Popen: into a cgroup below the host's, made where it is not there, and into its namespace."""
    where = cgroups(world) / cgroup
    where.mkdir(parents=True, exist_ok=True)

    def go():
        (where / 'cgroup.procs').write_text(str(os.getpid()))
        setns(world.netns('host'))
    return go


def seen(world, *senders, way='wifi'):
    """What such programs send, is it seen on the access? (cgroup, user, port, program), all at once. @way: "home":
    it is sent from the home address, and seen in the tunnel."""
    capture = Capture(world, 'host', 'wifi')
    marks, running = [], []
    try:
        for cgroup, uid, port, program in senders:
            marks.append(os.urandom(12).hex().encode())
            running.append(subprocess.Popen([program, '-S', '-c', SENDER, PEER6, str(port), str(uid), marks[-1], way],
                                            preexec_fn=join(world, cgroup)))
        assert [p.wait(20) for p in running] == [0] * len(running)
        time.sleep(0.1)  # the capture reads on
    finally:
        frames = capture.stop()
    return [any(m in f for f in frames) for m in marks]


def leaves(world, cgroup='other.scope', uid=0, port=7000, program=sys.executable, way='wifi'):
    return seen(world, (cgroup, uid, port, program), way=way)[0]


def assert_blocks(world, more='secret-1.scope'):
    own = sys.executable
    assert seen(world, ('secret-1.scope', 0, 7000, own), ('secret-1.scope/below/it', 0, 7000, own), (more, 0, 7000, own),
                ('other.scope', NOBODY, 7001, own)) == [False] * 4
    assert seen(world, ('other.scope', 0, 7000, own), ('secret-1.service', 0, 7000, own),
                ('other.scope', NOBODY, 7002, own)) == [True] * 3


def assert_open(world):
    assert seen(world, ('secret-1.scope', 0, 7000, sys.executable), ('other.scope', NOBODY, 7001, sys.executable)) \
        == [True] * 2


def files(world):
    pins = pathlib.Path('/sys/fs/bpf/flowmob-lab') / world.instance / 'host'
    return ['-c', world.dir / 'host/flowmob.conf', '--state', world.dir / 'host/state', '--pin', pins, '--cgroup',
            cgroups(world)], pins


def guard(world):
    world.run('host', FLOWMOB.parent / 'flowmobd', '--guard', *files(world)[0])


def kill(world):
    """The event `kill` would start it again."""
    os.kill(world.pid('host'), signal.SIGKILL)
    world.do('stop', node='host')


def boot(world):
    """What a new start of the machine leaves: files."""
    world.do('stop', node='host')
    for device in ('wifi', 'lte'):
        world.run('host', 'tc', 'qdisc', 'del', 'dev', device, 'clsact', check=False)
    world.run('host', 'ip', 'link', 'del', 'fm0')
    world.run('host', 'nft', 'flush', 'ruleset')
    for pin in files(world)[1].iterdir():
        pin.unlink()
    for family in ('-4', '-6'):
        for rule in world.run('host', 'ip', family, 'rule').splitlines():
            if int(rule.split(':')[0]) not in (0, 32766, 32767):
                world.run('host', 'ip', family, 'rule', 'del', 'pref', rule.split(':')[0])


def test_while_the_daemon_runs_and_the_access_is_gone(world):
    world.do('link-down', access='lte')
    assert_blocks(world)
    assert world.counters('host')['rule-block-outside'] >= 15


def test_a_reload_brings_and_takes_rules(world):
    conf = world.dir / 'host/flowmob.conf'
    text = conf.read_text()
    conf.write_text(text.replace('on-none = block', 'on-none = wait').replace('on-none = "block"', 'on-none = wait'))
    world.do('reload', node='host')
    until('nothing blocks any more', lambda: leaves(world, 'secret-1.scope'))
    assert_open(world)
    assert not list(files(world)[1].glob('*block_*'))
    conf.write_text(text)
    world.do('reload', node='host')
    until('it blocks again', lambda: not leaves(world, 'secret-1.scope'))
    assert_blocks(world)


def test_while_the_daemon_is_dead(world):
    assert not leaves(world, 'secret-0.scope')
    kill(world)
    assert_blocks(world)
    world.do('start', node='host')
    until('the daemon is back', world.home)
    assert_blocks(world)
    world.ask('host', 'down')
    until('nothing blocks any more', lambda: leaves(world, 'secret-1.scope'))
    assert_open(world)


def test_after_a_boot_before_the_first_start(world):
    boot(world)
    assert_open(world)  # else the looks themselves are blind
    guard(world)
    assert_blocks(world, 'secret-2.scope')  # a cgroup that is made afterwards
    guard(world)
    assert_blocks(world)
    conf = world.dir / 'host/flowmob.conf'
    text = conf.read_text()
    conf.write_text(text + 'nonsense {\n')
    with pytest.raises(subprocess.CalledProcessError):
        guard(world)
    assert_blocks(world)
    conf.write_text(text)
    world.do('start', node='host')
    until('the daemon runs', world.home)
    assert_blocks(world)


@pytest.mark.long
def test_what_only_the_daemon_knows_is_closed(world):
    shutil.copy(os.path.realpath(sys.executable), COPY)
    rules = f'''rule "program" {{ match = {{"program {COPY} udp dport 7003"}}  via = {{"lte"}}  on-none = "block" }}
                rule "domain"  {{ match = {{"domain example.org udp dport 7004"}}  via = {{"lte"}}  on-none = "block" }}'''
    try:
        with open_world('block-known', rules) as w:
            until('it has a home address', w.home)
            assert not leaves(w, program=COPY, port=7003)
            until('the program was judged', lambda: leaves(w, port=7003))
            assert leaves(w, port=7004)
            kill(w)
            until('its heart is known to have stopped', lambda: not leaves(w, port=7003))
            assert not leaves(w, port=7004) and not leaves(w, program=COPY, port=7003)
            assert leaves(w, port=7005)
            w.do('start', node='host')
            until('the daemon is back', w.home)
            until('it is known again', lambda: leaves(w, port=7003) and leaves(w, port=7004))
    finally:
        COPY.unlink()


@pytest.mark.long
def test_in_the_tunnel_too():
    """The data path knows who sends from the daemon's verdict: before there is one, and of destinations' names while
    the daemon is dead, what a rule that blocks may mean does not go by other accesses."""
    shutil.copy(os.path.realpath(sys.executable), COPY)
    rules = f'''rule "open"    {{ match = {{"udp dport 7006"}}  via = {{"wifi"}} }}
                rule "program" {{ match = {{"program {COPY} udp dport 7003-7006"}}  via = {{"lte"}}  on-none = "block" }}
                rule "domain"  {{ match = {{"domain example.org udp dport 7004"}}  via = {{"lte"}}  on-none = "block" }}'''
    own = sys.executable
    try:
        with open_world('block-inside', rules) as w:
            until('it has a home address', w.home)
            w.do('link-down', access='lte')
            until('lte is gone', lambda: not w.accesses()['lte']['registered'])
            assert seen(w, ('secret-8.scope', 0, 7000, own), ('a.scope', 0, 7003, COPY), ('a.scope', NOBODY, 7001, own),
                        way='home') == [False] * 3
            assert seen(w, ('b.scope', 0, 7000, own), ('b.scope', 0, 7006, COPY), way='home') == [True] * 2
            until('it is judged', lambda: leaves(w, 'b.scope', port=7003, way='home'))
            assert leaves(w, 'b.scope', port=7004, way='home')
            kill(w)
            time.sleep(3.2)  # its silence is noticed
            COPY.rename(f'{COPY}-2')
            shutil.copy(os.path.realpath(sys.executable), COPY)  # a file that nobody has judged
            assert seen(w, ('c.scope', 0, 7003, COPY), ('c.scope', 0, 7004, own), ('secret-9.scope', 0, 7000, own),
                        ('c.scope', NOBODY, 7001, own), way='home') == [False] * 4
            assert seen(w, ('c.scope', 0, 7000, COPY), ('b.scope', 0, 7003, own), ('c.scope', 0, 7006, COPY),
                        ('c.scope', NOBODY, 7002, own), way='home') == [True] * 4
    finally:
        COPY.unlink(missing_ok=True)
        pathlib.Path(f'{COPY}-2').unlink(missing_ok=True)


@pytest.mark.long
def test_in_a_pid_namespace(world):
    """As in a container: units and users are judged as ever; words by program are refused, and say why."""
    conf = world.dir / 'host/flowmob.conf'
    kill(world)
    words = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc', FLOWMOB.parent / 'flowmobd', '--run',
             world.dir / 'host/run', *files(world)[0]]
    daemon = world.start('host', *words, stderr=subprocess.DEVNULL)
    try:
        until('it has a home address', world.home)
        assert_blocks(world)
        assert until('a unit that is not blocked is judged', lambda: leaves(world))
    finally:
        daemon.kill()
        daemon.wait()
    conf.write_text(conf.read_text().replace('rule "user"', 'rule "program" { match = {"program /bin/true"} }\nrule "user"'))
    done = subprocess.run(world.inside('host', *words), text=True, capture_output=True, timeout=20)
    assert done.returncode == 2 and 'pid namespace' in done.stderr, done
