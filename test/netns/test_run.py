"""`flowmob run`: a program that knows nothing of types gets an address of one, and so do its children; judged
by the address that the peer sees. Policy names types for programs, and refuses some.
"""
import json
import os
import shutil
import signal
import socket
import subprocess
import sys

import pytest

from world import FLOWMOB, PEER4, PEER6, World, until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason='network namespaces need root')

WORLD = '''
  access "wifi" { family = "dual"      delay = "2ms" }
  access "lte"  { family = "ipv4-nat"  delay = "5ms" }
  host {
    type "fixed" { allow = {"user:root"} }
    type "graceful-replacement" { allow = {"user:nobody"} }
    program "by user" { who = {"user:daemon"}  type = fixed }
    program "by name" { who = {"program:/usr/bin/perl"}  type = fixed }
    default { type = "session-lasting"  via = {"wifi", "lte"} }
  }
'''
PORT = 7007
# A program that asks for nothing: a datagram from itself, one from a child, one from a port of its own.
PROGRAM = f'''
import os, socket, sys
def say(word, *bound):
    family = socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET
    s = socket.socket(family, socket.SOCK_DGRAM)
    if bound:
        s.bind(bound)
    s.connect((sys.argv[1], {PORT}))
    s.send(word)
say(b'self')
if os.fork() == 0:
    say(b'child')
    os._exit(0)
os.wait()
if ':' in sys.argv[1]:
    say(b'port', '::', 7300)
'''


@pytest.fixture(scope='module')
def world():
    with World('run', WORLD) as w:
        until('the host is bound', lambda: all(a['registered'] for a in w.accesses().values()))
        until('addresses are there', lambda: {'session-lasting', 'fixed'} <= set(addresses(w)))
        yield w


def addresses(world):
    """IPv6 addresses on the host, by type."""
    found = {}
    for a in world.ask('host', 'address')['addresses']:
        if a['address'] and ':' in a['address'] and a['state'] == 'ready':
            found.setdefault(a['type'], set()).add(a['address'])
    return found


def run(world, *words, check=True):
    return subprocess.run([FLOWMOB, 'lab', 'exec', 'host', '--instance', world.instance, '--', *map(str, words)],
                          check=check, text=True, capture_output=True, timeout=30)


def heard(world, command, peer=PEER6, n=3):
    """Runs a command; returns where the datagrams that reach the peer come from, by their text."""
    family = socket.AF_INET6 if ':' in peer else socket.AF_INET
    with world.socket('peer', family, socket.SOCK_DGRAM) as s:
        s.bind((peer, PORT))
        s.settimeout(5)
        run(world, *command)
        seen = {}
        for _ in range(n):
            text, source = s.recvfrom(100)
            seen[text.decode().strip()] = source[0]
        return seen


@pytest.mark.parametrize('kind', ['fixed', 'session-lasting', 'nonpersistent'])
def test_a_program_and_its_child_get_the_type(world, kind):
    seen = heard(world, [FLOWMOB, 'run', '--type', kind, '--', sys.executable, '-c', PROGRAM, PEER6])
    assert len(set(seen.values())) == 1 and set(seen) == {'self', 'child', 'port'}
    assert set(seen.values()) <= addresses(world)[kind]


def test_the_accesses_address_is_seen_without_a_tunnel(world):
    before = world.octets('wifi')[0]
    seen = heard(world, [FLOWMOB, 'run', '--type', 'nonpersistent', '--', sys.executable, '-c', PROGRAM, PEER4],
                 peer=PEER4, n=2)
    assert set(seen) == {'self', 'child'} and world.octets('wifi')[0] > before


def test_via_is_an_address_and_an_access_of_its_own(world):
    shared = addresses(world)['session-lasting']
    many = PROGRAM + "\nfor _ in range(200): say(b'x' * 1000)"
    before = {d: world.octets(d)[0] for d in ('wifi', 'lte')}
    seen = heard(world, [FLOWMOB, 'run', '--type', 'session-lasting', '--via', 'lte', '--', sys.executable, '-c', many, PEER6])
    assert len(set(seen.values())) == 1 and not set(seen.values()) & shared
    until('all have left', lambda: world.octets('lte')[0] - before['lte'] > 200_000)
    assert world.octets('wifi')[0] - before['wifi'] < 10_000  # not even its first packets
    until('its address is given back', lambda: addresses(world)['session-lasting'] == shared, 25)


def test_policy_gives_a_type_to_a_program(world):
    """Each start in a cgroup of its own, as units are started: one socket each, and only the first may come too early."""
    one = f'IO::Socket::IP->new(PeerHost => "{PEER6}", PeerPort => {PORT}, Type => SOCK_DGRAM)->send("n$ARGV[0]")'
    start = f"""own=$(awk '$3 == "cgroup2" {{ print $2; exit }}' /proc/mounts)$(sed -n 's/^0:://p' /proc/self/cgroup)
for i in 1 2 3 4; do
    mkdir "$own/fresh$i" && sh -c 'echo $$ > "$0/cgroup.procs"; exec perl -MIO::Socket::IP -e "$1" $2' \
        "$own/fresh$i" '{one}' $i
    rmdir "$own/fresh$i"; sleep 0.5
done"""
    seen = heard(world, ['sh', '-c', start], n=4)
    assert {seen['n2'], seen['n3'], seen['n4']} <= addresses(world)['fixed'], seen


def test_a_program_that_becomes_another_is_judged_by_what_it_was(world):
    """The daemon looks when perl, which policy names, runs in place of the one that asked: that one has no type by it."""
    ask = f"""import os, socket, time
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.sendto(b'first', ('{PEER6}', {PORT}))
os.execv('/usr/bin/perl', ['perl', '-e', 'print "on\\n"; $| = 1; sleep 3'])"""
    again = f"import socket; socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).sendto(b'n', ('{PEER6}', {PORT}))"
    own = os.path.realpath(shutil.copy(os.path.realpath(sys.executable), '/var/tmp/fm-becomes'))  # nobody judged it yet
    daemon = world.pid('host')
    try:
        os.kill(daemon, signal.SIGSTOP)
        changed = subprocess.Popen([FLOWMOB, 'lab', 'exec', 'host', '--instance', world.instance, '--', own, '-c', ask],
                                   stdout=subprocess.PIPE)
        assert changed.stdout.readline() == b'on\n'
        os.kill(daemon, signal.SIGCONT)
        changed.wait()
        seen = heard(world, [own, '-c', again], n=1)
        assert not set(seen.values()) & addresses(world)['fixed'], seen
    finally:
        os.kill(daemon, signal.SIGCONT)
        os.unlink(own)


BY_USER = 'program "by user" { who = {"user:daemon"}  type = fixed }'  # before it nothing is known by the unit alone
BY_UNIT = WORLD.replace(BY_USER, '').replace('who = {"program:/usr/bin/perl"}', 'who = {"unit:by-name-*.service"}').replace(
    'type "fixed" { allow = {"user:root"} }', '').replace('type "graceful-replacement" { allow = {"user:nobody"} }', '')


def test_policy_gives_a_type_to_a_unit_from_its_first_socket_on():
    start = f"""own=$(awk '$3 == "cgroup2" {{ print $2; exit }}' /proc/mounts)$(sed -n 's/^0:://p' /proc/self/cgroup)
mkdir -p "$own/some.slice/by-name-$1.service" && sleep 0.2 && echo $$ > "$own/some.slice/by-name-$1.service/cgroup.procs"
exec perl -MIO::Socket::IP -e 'IO::Socket::IP->new(PeerHost => "{PEER6}", PeerPort => {PORT}, Type => SOCK_DGRAM)->send("n")'"""
    with World('run-unit', BY_UNIT) as w:
        until('the host is bound', lambda: all(a['registered'] for a in w.accesses().values()))
        until('addresses are there', lambda: 'session-lasting' in addresses(w))
        run(w, FLOWMOB, 'run', '--type', 'fixed', '--', 'true')  # that an address is there
        for i in range(3):
            seen = heard(w, ['sh', '-c', start, 'sh', i], n=1)
            assert set(seen.values()) <= addresses(w)['fixed'], i


BY_PEOPLE = WORLD.replace('program "by name" { who = {"program:/usr/bin/perl"}  type = fixed }', '').replace(
    'allow = {"user:root"}', 'allow = {"user:root", "group:adm"}')
# What the very first socket of a program has come to: the source of a connect, or why there is none.
FIRST = """
import errno, socket, struct, sys
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
if sys.argv[2] == 'asks':
    s.setsockopt(socket.IPPROTO_IPV6, 72, struct.pack('I', 1 << 16))
code = s.connect_ex((sys.argv[1], 5000))
print(errno.errorcode[code] if code else s.getsockname()[0])
"""


def test_people_are_judged_before_their_first_socket():
    """Nobody has seen these programs; policy names users and groups only, so it knows before they ask."""
    own = shutil.copy(os.path.realpath(sys.executable), '/var/tmp/fm-people')

    def first(user, group, how):
        os.replace(shutil.copy(own, f'{own}-next'), own)  # another file
        return run(w, 'setpriv', f'--reuid={user}', f'--regid={group}', '--clear-groups', own, '-c', FIRST, PEER6, how).stdout.strip()

    try:
        with World('run-people', BY_PEOPLE) as w:
            until('the host is bound', lambda: all(a['registered'] for a in w.accesses().values()))
            until('addresses are there', lambda: {'session-lasting', 'fixed'} <= set(addresses(w)))
            fixed = addresses(w)['fixed']
            assert {first('daemon', 'daemon', 'is silent')} <= fixed
            assert {first('root', 'root', 'asks')} <= fixed
            assert {first('nobody', 'adm', 'asks')} <= fixed
            assert first('games', 'games', 'asks') == first('nobody', 'nogroup', 'asks') == 'EADDRNOTAVAIL'
            assert {first('games', 'games', 'is silent')} <= addresses(w)['session-lasting']
            told = [e['uid'] for e in w.events('host') if e['event'] == 'type-refused']
            assert sorted(told) == [5, 65534]  # each once
    finally:
        os.unlink(own)


def test_who_may_not_is_told(world):
    done = run(world, FLOWMOB, 'run', '--type', 'graceful-replacement', '--json', '--', 'true', check=False)
    assert (done.returncode, json.loads(done.stderr)['error']['code']) == (3, 'not-permitted')
    run(world, FLOWMOB, 'run', '--type', 'graceful-replacement', '--', 'true', check=False)
    assert len([e for e in world.events('host') if e['event'] == 'type-refused']) == 1  # told once, counted twice
    assert world.ask('host', 'counters')['counters']['type-refused'] == 2
    assert run(world, FLOWMOB, 'run', '--type', 'bogus', '--', 'true', check=False).returncode == 2
    assert run(world, FLOWMOB, 'run', '--', 'true', check=False).returncode == 2


REFUSED = """
import errno, socket, struct, sys, time
for _ in range(2):
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    s.setsockopt(socket.IPPROTO_IPV6, 72, struct.pack('I', 4 << 16))
    while (code := s.connect_ex((sys.argv[1], 5000))) == errno.EAGAIN:
        time.sleep(0.01)
    print(errno.errorcode[code])
time.sleep(0.3)  # which program it was is looked up while it runs
"""


def test_a_program_whose_sockets_may_not_is_told_once_and_each_socket_counted(world):
    def refused():
        return world.ask('host', 'address')['refused']['graceful-replacement']

    before = refused()
    for _ in range(2):
        assert run(world, sys.executable, '-c', REFUSED, PEER6).stdout.split() == ['EADDRNOTAVAIL'] * 2
    assert refused() == before + 4
    told = [e for e in world.events('host') if e['event'] == 'type-refused'][1:]  # the first is that of the test above
    assert [(e['type'], e['uid'], e.get('program')) for e in told] == [('graceful-replacement', 0, os.path.realpath(sys.executable))]


def test_the_program_gets_its_words_and_no_more(world):
    done = run(world, FLOWMOB, 'run', '--type', 'fixed', '--', 'echo', '-p', '1', '--', '--json', '-h')
    assert done.stdout == '-p 1 -- --json -h\n'


def test_a_world_goes_with_programs_left_in_it():
    with World('run-left', WORLD) as w:
        left = subprocess.Popen([FLOWMOB, 'lab', 'exec', 'host', '--instance', w.instance, '--', FLOWMOB, 'run', '--type',
                                 'nonpersistent', '--', 'sh', '-c', 'echo on; exec sleep 60'], stdout=subprocess.PIPE)
        assert left.stdout.readline() == b'on\n'
        left.kill()  # its program stays behind, in the cgroup that it made
        left.wait()
    assert not [f for f in os.popen(f'find /sys/fs/cgroup -path "*flowmob-lab/{w.instance}*"')]


def test_the_end_is_that_of_the_program(world):
    for command, code in ((['sh', '-c', 'exit 7'], 7), (['sh', '-c', 'kill -9 $$'], 137), (['/nonexistent'], 127),
                          (['/etc/passwd'], 126)):
        assert run(world, FLOWMOB, 'run', '--type', 'fixed', '--', *command, check=False).returncode == code


def test_a_command_of_the_other_role_says_so(world):
    assert 'anchors have that command' in world.ask('host', 'pools')['error']['message']
    assert 'hosts have that command' in world.ask('anchor', 'address')['error']['message']
    assert world.ask('host', 'nonsense')['error']['message'] == 'there is no such command'


def test_explain_tells_what_a_unit_would_get(world):
    done = run(world, FLOWMOB, 'explain', 'tcp', f'[{PEER6}]:80', '--uid', 'root', '--json')
    assert json.loads(done.stdout)['type'] == 'session-lasting'
    done = run(world, FLOWMOB, 'explain', 'tcp', f'[{PEER6}]:80', '--uid', 'daemon', '--json')
    told = json.loads(done.stdout)
    assert (told['type'], told['policy']) == ('fixed', 'by user') and told['source_address'] in addresses(world)['fixed']
    done = run(world, FLOWMOB, 'explain', 'tcp', '[::1]:80', '--json')
    assert json.loads(done.stdout)['why'] == 'it stays on this machine'


@pytest.mark.parametrize('via', [[], ['--via', 'lte']], ids=['shared', 'own'])
def test_it_has_its_type_after_a_restart_of_the_daemon(world, via):
    """By kill -9, in the middle of the program: not another type, nor another address."""
    talk = PROGRAM.split("say(b'self')", maxsplit=1)[0] + "say(b'first'); input(); say(b'again')"
    with world.socket('peer', socket.AF_INET6, socket.SOCK_DGRAM) as s:
        s.bind((PEER6, PORT))
        s.settimeout(5)
        child = subprocess.Popen([FLOWMOB, 'lab', 'exec', 'host', '--instance', world.instance, '--', FLOWMOB, 'run',
                                  '--type', 'fixed', *via, '--', sys.executable, '-c', talk, PEER6], text=True,
                                 stdin=subprocess.PIPE)
        first = s.recvfrom(100)
        pid = world.pid('host')
        world.do('kill', node='host')
        until('the daemon is back', lambda: world.pid('host') != pid)
        until('it is bound', lambda: all(a['registered'] for a in world.accesses().values()))
        child.communicate('go on\n')
        again = s.recvfrom(100)
    assert (first[0], again[0]) == (b'first', b'again') and first[1][0] == again[1][0]
