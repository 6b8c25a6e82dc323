"""Rules by who sends and by the destination's name, judged by the links that carry the packets; `flowmob policy`:
what it finds wrong, what it says would move, and how an applied file comes back by itself.
"""
import json
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time

import pytest

from world import FLOWMOB, PEER4, PEER6, World, until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason='network namespaces need root')

COPY = pathlib.Path(f'/tmp/flowmob-policy-{os.getpid()}')  # a program file of its own
WORLD = '''
  access "wifi" { family = "dual"      delay = "2ms" }
  access "lte"  { family = "ipv4-nat"  delay = "5ms" }
  host {
    rule "program" { match = {"program %s"}  via = {"lte"} }
    rule "user"    { match = {"udp user daemon"}  via = {"lte"} }
    rule "cgroup"  { match = {"unit heavy*"}  via = {"lte"} }
    rule "name"    { match = {"domain *.example.org"}  via = {"lte"} }
    rule "type"    { match = {"type fixed dport 7100"}  via = {"lte"} }
    rule "home"    { match = {"network home udp dport 7200"}  via = {"lte"} }
    type "fixed" { allow = {"user:root"} }
    default { type = "session-lasting"  via = {"wifi", "lte"} }
  }
''' % COPY
ACCESSES = 'wifi', 'lte'
# Sends for half a second to [argv[1]]:argv[2]; argv[3]: as this user.
SENDER = '''
import os, socket, sys, time
if len(sys.argv) > 3:
    os.setuid(int(sys.argv[3]))
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.connect((sys.argv[1], int(sys.argv[2])))
for _ in range(40):
    try:
        s.send(bytes(900))
    except ConnectionRefusedError:
        pass  # nobody listens at the peer
    time.sleep(0.01)
'''


@pytest.fixture(scope='module')
def world():
    shutil.copy(os.path.realpath('/usr/bin/python3'), COPY)
    try:
        with World('policy', WORLD) as w:
            until('both accesses are bound', lambda: all(a['registered'] for a in w.accesses().values()))
            yield w
    finally:
        COPY.unlink()


def inside(world, *words):
    return [FLOWMOB, 'lab', 'exec', 'host', '--instance', world.instance, '--', *map(str, words)]


def run_to(world, address):
    subprocess.run(inside(world, sys.executable, '-c', SENDER, address, 7004), check=True, timeout=20)


def went_over(world, send):
    """The accesses that carried what send() sends."""
    before = {a: world.octets(a)[0] for a in ACCESSES}
    send()
    grown = {a: world.octets(a)[0] - before[a] for a in ACCESSES}
    return [a for a in ACCESSES if grown[a] > 20000]


def run(world, program, port, *more, before=()):
    subprocess.run(inside(world, *before, program, '-c', SENDER, PEER6, port, *more), check=True, timeout=20)


def test_a_program_takes_its_access(world):
    assert went_over(world, lambda: run(world, sys.executable, 7001)) == ['wifi']
    assert went_over(world, lambda: run(world, COPY, 7001)) == ['lte']


def test_a_user_takes_its_access(world):
    assert went_over(world, lambda: run(world, sys.executable, 7002, 1)) == ['lte']
    assert went_over(world, lambda: run(world, sys.executable, 7002, 65534)) == ['wifi']


def test_a_cgroup_takes_its_access(world):
    def heavy():
        own = 'D=$(sed -n s/^0:://p /proc/self/cgroup); M=$(findmnt -nt cgroup2 -o TARGET | head -1); ' \
              'mkdir -p $M$D/heavy.scope; echo $$ > $M$D/heavy.scope/cgroup.procs; "$@"; ' \
              'echo $$ > $M$D/cgroup.procs; rmdir $M$D/heavy.scope'
        run(world, sys.executable, 7003, before=('sh', '-c', own, 'sh'))
    assert went_over(world, heavy) == ['lte']


def test_a_type_takes_its_access(world):
    def fixed():
        run(world, sys.executable, 7100, before=(FLOWMOB, 'run', '--type', 'fixed', '--'))
    assert went_over(world, fixed) == ['lte']
    assert went_over(world, lambda: run(world, sys.executable, 7100)) == ['wifi']


def labels(name):
    return b''.join(bytes([len(x)]) + x.encode() for x in name.split('.')) + b'\0'


def answer(text, address):
    """The answer to a question for AAAA."""
    return text[:2] + struct.pack('>HHHHH', 0x8180, 1, 1, 0, 0) + text[12:] + \
        struct.pack('>HHHIH', 0xc00c, 28, 1, 300, 16) + socket.inet_pton(socket.AF_INET6, address)


class Resolver:
    """Answers all questions for AAAA at the peer with one address; lies() answers what nobody asked."""

    def __init__(self, world, address):
        self.address = address
        self.socket = world.socket('peer', socket.AF_INET6, socket.SOCK_DGRAM)
        self.socket.bind((PEER6, 53))
        threading.Thread(target=self.serve, daemon=True).start()

    def answer(self, text):
        return answer(text, self.address)

    def serve(self):
        try:
            while True:
                question, whence = self.socket.recvfrom(2048)
                self.socket.sendto(self.answer(question), whence)
        except OSError:
            pass


def question(name):
    return struct.pack('>HHHHHH', 0x4711, 0x0100, 1, 0, 0, 0) + labels(name) + struct.pack('>HH', 28, 1)


def ask(world, name):
    """What a program of the host does before it connects."""
    with world.socket('host', socket.AF_INET6, socket.SOCK_DGRAM) as s:
        s.settimeout(5)
        s.connect((PEER6, 53))
        s.send(question(name))
        return s.recv(2048), s.getsockname()


def test_a_name_takes_its_access(world):
    target = '2001:db8:ffff::77'
    world.run('peer', 'ip', 'address', 'add', f'{target}/128', 'dev', 'lo')
    resolver = Resolver(world, target)

    def send():
        subprocess.run(inside(world, sys.executable, '-c', SENDER, target, 7004), check=True, timeout=20)

    try:
        assert went_over(world, send) == ['wifi']
        ask(world, 'www.example.net')
        assert went_over(world, send) == ['wifi']
        _, local = ask(world, 'www.example.net')
        resolver.socket.sendto(resolver.answer(question('www.example.org')), local)  # nobody asked
        assert went_over(world, send) == ['wifi']
        heard = world.counters('host')
        assert (heard['dns-answers'], heard['dns-unasked']) == (2, 1)
        ask(world, 'www.example.org')
        assert went_over(world, send) == ['lte']
        world.do('restart', node='host')
        until('bound again', lambda: all(a['registered'] for a in world.accesses().values()))
        assert went_over(world, send) == ['lte']
    finally:
        resolver.socket.close()


def serve_tcp(world, node, at, address, pieces):
    """A resolver that answers one question by TCP, its answer cut after each of so many octets."""
    server = world.socket(node, socket.AF_INET6 if ':' in at else socket.AF_INET, socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((at, 53))
    server.listen()

    def serve():
        peer = server.accept()[0]
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        size = struct.unpack('>H', peer.recv(2, socket.MSG_WAITALL))[0]
        data = answer(peer.recv(size, socket.MSG_WAITALL), address)
        data = struct.pack('>H', len(data)) + data
        for cut in pieces:
            peer.send(data[:cut])
            data = data[cut:]
            time.sleep(0.05)
        peer.send(data)
        peer.recv(1)
        peer.close()
        server.close()
    threading.Thread(target=serve, daemon=True).start()


def ask_tcp(world, at, name):
    with world.socket('host', socket.AF_INET6 if ':' in at else socket.AF_INET, socket.SOCK_STREAM) as s:
        s.settimeout(5)
        s.connect((at, 53))
        text = question(name)
        s.send(struct.pack('>H', len(text)))  # as resolvers do that write twice
        s.send(text)
        with s.makefile('rb') as stream:
            size = struct.unpack('>H', stream.read(2))[0]
            assert len(stream.read(size)) == size


@pytest.mark.parametrize('number,pieces', [(0x80, ()), (0x81, (1, 30))], ids=['whole', 'in pieces'])
def test_a_name_by_tcp_takes_its_access(world, number, pieces):
    target = f'2001:db8:ffff::{number:x}'
    world.run('peer', 'ip', 'address', 'add', f'{target}/128', 'dev', 'lo')
    serve_tcp(world, 'peer', PEER6, target, pieces)
    assert went_over(world, lambda: run_to(world, target)) == ['wifi']
    ask_tcp(world, PEER6, 'tcp.example.org')
    assert went_over(world, lambda: run_to(world, target)) == ['lte']


@pytest.mark.parametrize('number,kind', [(0x82, socket.SOCK_DGRAM), (0x83, socket.SOCK_STREAM)], ids=['udp', 'tcp'])
def test_a_name_by_a_resolver_of_this_host_takes_its_access(world, number, kind):
    """As systemd-resolved at 127.0.0.53: whatever it asks itself by, its answer is heard."""
    target = f'2001:db8:ffff::{number:x}'
    world.run('peer', 'ip', 'address', 'add', f'{target}/128', 'dev', 'lo')
    assert went_over(world, lambda: run_to(world, target)) == ['wifi']
    if kind == socket.SOCK_STREAM:
        serve_tcp(world, 'host', '127.0.0.53', target, ())
        ask_tcp(world, '127.0.0.53', 'own.example.org')
    else:
        with world.socket('host', socket.AF_INET, kind) as stub, world.socket('host', socket.AF_INET, kind) as s:
            stub.bind(('127.0.0.53', 53))
            s.settimeout(5)
            s.sendto(question('own.example.org'), ('127.0.0.53', 53))
            text, whence = stub.recvfrom(2048)
            stub.sendto(answer(text, target), whence)
            s.recv(2048)
    assert went_over(world, lambda: run_to(world, target)) == ['lte']


@pytest.mark.long
def test_a_network_takes_its_access(world):
    assert went_over(world, lambda: run(world, sys.executable, 7200)) == ['wifi']
    world.run('host', 'ip', 'link', 'set', 'wifi', 'alias', 'home')
    time.sleep(0.3)
    assert went_over(world, lambda: run(world, sys.executable, 7200)) == ['lte']
    world.run('host', 'ip', 'link', 'set', 'wifi', 'alias', '')
    time.sleep(0.3)
    assert went_over(world, lambda: run(world, sys.executable, 7200)) == ['wifi']


def policy(world, *words):
    """`flowmob policy` in the host: its exit code and what it says as JSON, on success or not."""
    done = subprocess.run(inside(world, FLOWMOB, 'policy', *words, '--json'), text=True, capture_output=True,
                          timeout=20, check=False)
    return done.returncode, json.loads(done.stdout or done.stderr)


@pytest.fixture
def rules(tmp_path):
    def write(text):
        path = tmp_path / 'rules.conf'
        path.write_text(text)
        return path
    return write


MOVED = 'rule "away" { match = {"udp dport 7300"}  via = {"lte"} }\n'


@pytest.fixture
def flow(world):
    """A flow that goes over wifi while nobody moves it."""
    with world.socket('peer', socket.AF_INET6, socket.SOCK_DGRAM) as sink, \
            world.socket('host', socket.AF_INET6, socket.SOCK_DGRAM) as s:
        sink.bind((PEER6, 7300))
        s.connect((PEER6, 7300))

        def send():
            for _ in range(40):
                s.send(bytes(900))
                time.sleep(0.005)
        send()
        yield send


def test_rules_are_applied_for_good_and_taken_back(world, rules, flow):
    path = rules(MOVED)
    assert went_over(world, flow) == ['wifi']
    code, diff = policy(world, 'diff', path)
    assert code == 0 and [(f['from'], f['to'], f['new_rule']) for f in diff['flows']
                          if f['remote'].endswith(':7300')] == [('wifi', 'lte', 'away')]
    assert went_over(world, flow) == ['wifi']  # it was only said
    assert policy(world, 'apply', path)[1]['policy'] == 'applied'
    assert went_over(world, flow) == ['lte']
    shown = policy(world, 'show')[1]
    assert (shown['policy'], shown['file']) == ('applied', str(path))
    assert [(r['rule'], r['line'], r['flows'] > 0) for r in shown['rules'] if r['rule'] == 'away'] == [('away', 1, True)]
    assert not [f for f in policy(world, 'diff', path)[1]['flows'] if f['remote'].endswith(':7300')]
    world.do('kill', node='host')
    until('bound again', lambda: all(a['registered'] for a in world.accesses().values()))
    assert went_over(world, flow) == ['lte']
    assert policy(world, 'reset')[1]['policy'] == 'reset'
    assert went_over(world, flow) == ['wifi']
    assert policy(world, 'show')[1]['policy'] == 'configured'


def test_a_trial_comes_back_by_itself(world, rules, flow):
    assert policy(world, 'apply', rules(MOVED), '--confirm', '2s')[1]['policy'] == 'on-trial'
    assert went_over(world, flow) == ['lte']
    until('it is over', lambda: policy(world, 'show')[1]['policy'] == 'configured', limit_s=5)
    assert went_over(world, flow) == ['wifi']
    assert 'policy-rolled-back' in [e['event'] for e in world.events('host')]


@pytest.mark.long
@pytest.mark.parametrize('how', ['confirm', 'the same again'])
def test_a_trial_that_is_confirmed_stays(world, rules, flow, how):
    path = rules(MOVED)
    policy(world, 'apply', path, '--confirm', '2s')
    again = ['confirm'] if how == 'confirm' else ['apply', path, '--confirm', '2s']
    assert policy(world, *again)[1]['policy'] == 'confirmed'
    time.sleep(2.5)
    assert went_over(world, flow) == ['lte']
    assert policy(world, 'confirm')[1]['error']['code'] == 'no-trial'
    policy(world, 'reset')


@pytest.mark.long
def test_a_trial_ends_also_while_no_daemon_runs(world, rules, flow):
    policy(world, 'apply', rules(MOVED), '--confirm', '2s')
    assert went_over(world, flow) == ['lte']
    world.do('stop', node='host')
    time.sleep(2.2)
    world.do('start', node='host')
    until('bound again', lambda: all(a['registered'] for a in world.accesses().values()))
    assert policy(world, 'show')[1]['policy'] == 'configured'
    assert went_over(world, flow) == ['wifi']


@pytest.mark.long
def test_a_killed_daemon_goes_on_with_a_trial(world, rules, flow):
    policy(world, 'apply', rules(MOVED), '--confirm', '20s')
    world.do('kill', node='host')
    until('bound again', lambda: all(a['registered'] for a in world.accesses().values()))
    shown = policy(world, 'show')[1]
    assert shown['policy'] == 'on-trial' and 10 < shown['confirm_s'] <= 20
    assert went_over(world, flow) == ['lte']
    policy(world, 'reset')


@pytest.mark.parametrize('text,code,said', [
    ('\nrule "a" { match = {"udp port 5"} }', 'refused', 'rules.conf:2: rule "a": match "udp port 5" is not a match'),
    ('rule "a" { match = {"udp"}  via = {"dsl"} }', 'refused', 'rules.conf:1: rule "a": via "dsl" is no access'),
    ('access "x" { interface = eth0 }', 'refused', 'rules.conf:1: no such option')])
def test_what_is_wrong_is_refused_by_file_and_line(world, rules, text, code, said):
    exit_code, answer = policy(world, 'apply', rules(text))
    assert exit_code == 1 and answer['error']['code'] == code and said in answer['error']['message'], answer
    assert policy(world, 'show')[1]['policy'] == 'configured'


def test_explain_names_the_word_that_fails(world):
    def why(**who):
        said = world.ask('host', 'explain', proto='udp', remote=f'[{PEER6}]:7002', **who)
        return {r['rule']: (r['matches'], r['decides'], r['why']) for r in said['rules']}, said
    rows, said = why(uid=65534, unit='light.service')
    assert rows['user'] == (False, False, 'not user daemon')
    assert rows['cgroup'] == (False, False, 'not unit heavy*')
    assert rows['program'] == (None, False, f'cannot tell: program {COPY}')
    assert rows['name'] == (False, False, 'not domain *.example.org')
    assert rows['type'] == (False, False, 'not dport 7100')
    assert rows['home'] == (False, False, 'not dport 7200')
    assert rows['default'][:2] == (True, True) and said['access'] == 'wifi'
    rows, said = why(uid=1, unit='light.service')
    assert rows['user'][:2] == (True, True) and said['access'] == 'lte'
    assert rows['user'][2].startswith('active-standby via lte: now lte (lte works')
    rows, said = why(program=str(COPY))
    assert rows['program'][:2] == (True, True) and said['access'] == 'lte'
    assert rows['user'] == (None, False, 'cannot tell: user daemon')
    assert why(program='/bin/true')[0]['program'] == (False, False, f'not program {COPY}')
    assert [r['where'].rsplit(':', 1)[1] for r in said['rules'] if r['rule'] in ('program', 'user')] != ['0', '0']


def test_explain_knows_who_sends(world):
    child = subprocess.Popen(inside(world, COPY, '-c', SENDER, PEER6, 7001))
    try:
        live = until('the flow is there', lambda: [
            f for f in world.ask('host', 'flows')['flows'] if f['remote'] == f'[{PEER6}]:7001' and
            f['rule'] == 'program' and f['age_s'] < 2])[-1]
        said = world.ask('host', 'explain', flow=str(live['id']))
    finally:
        child.wait(timeout=10)
    assert [(r['rule'], r['decides']) for r in said['rules'] if r['matches']] == [('program', True), ('default', False)]


@pytest.mark.long
def test_applied_rules_bring_new_words(world, rules):
    path = rules('rule "nobody" { match = {"udp dport 7500 user nobody"}  via = {"lte"} }\n'
                 'rule "late"   { match = {"domain late.example.net"}  via = {"lte"} }\n')
    target = '2001:db8:ffff::78'
    world.run('peer', 'ip', 'address', 'add', f'{target}/128', 'dev', 'lo')
    resolver = Resolver(world, target)
    try:
        assert went_over(world, lambda: run(world, sys.executable, 7500, 65534)) == ['wifi']
        assert policy(world, 'apply', path)[1]['policy'] == 'applied'
        assert went_over(world, lambda: run(world, sys.executable, 7500, 65534)) == ['lte']
        assert went_over(world, lambda: run(world, sys.executable, 7500, 1)) == ['wifi']
        ask(world, 'late.example.net')
        assert went_over(world, lambda: subprocess.run(inside(world, sys.executable, '-c', SENDER, target, 7501),
                                                       check=True, timeout=20)) == ['lte']
    finally:
        resolver.socket.close()
        policy(world, 'reset')


def test_a_block_lets_nothing_out(world, rules):
    path = rules('rule "sealed" { match = {"udp dport 7400"}  via = {"lte"}  on-none = block }\n'
                 'default { via = {"wifi", "lte"} }')
    blocked = world.counters('host')['rule-block']
    try:
        policy(world, 'apply', path)
        assert went_over(world, lambda: run(world, sys.executable, 7400)) == ['lte']
        world.do('link-down', access='lte')
        until('lte is gone', lambda: not world.accesses()['lte']['registered'])
        assert went_over(world, lambda: run(world, sys.executable, 7400)) == []
        assert world.counters('host')['rule-block'] - blocked >= 30
        assert went_over(world, lambda: run(world, sys.executable, 7401)) == ['wifi']
    finally:
        world.do('restore', access='lte')
        policy(world, 'reset')
        until('lte is back', lambda: world.accesses()['lte']['registered'])


def test_too_many_rules_never_let_go_what_blocks(world, rules):
    """64 of the file and one of what runs: one that only steers gives way, and that is told."""
    path = rules(''.join(f'rule "r{i}" {{ match = {{"udp dport {8000 + i}"}}  via = {{"wifi"}} }}\n' for i in range(63)) +
                 'rule "sealed" { match = {"udp dport 7400"}  via = {"lte"}  on-none = block }\n')
    policy(world, 'apply', path)
    assert policy(world, 'show')[1]['rule_places'] == {'used': 64, 'max': 64, 'left_out': 0, 'closed': False}
    child = subprocess.Popen(inside(world, FLOWMOB, 'run', '--type', 'session-lasting', '--via', 'wifi', '--', 'cat'),
                             stdin=subprocess.PIPE)
    try:
        until('one has no place', lambda: world.ask('host', 'status')['rule_places']['left_out'] == 1)
        places = {r['rule']: r['places'] for r in policy(world, 'show')[1]['rules']}
        assert (places['r61'], places['r62'], places['sealed']) == (1, 0, 1)
        assert [e['rules'] for e in world.events('host') if e['event'] == 'rules-left-out'] == [1]
        world.do('link-down', access='lte')
        until('lte is gone', lambda: not world.accesses()['lte']['registered'])
        assert went_over(world, lambda: run(world, sys.executable, 7400)) == []
        assert went_over(world, lambda: run(world, sys.executable, 8062)) == ['wifi']
        ipv4 = f'::ffff:{PEER4}'  # each rule is for both families
        assert went_over(world, lambda: subprocess.run(
            inside(world, sys.executable, '-c', SENDER, ipv4, 7400), check=True, timeout=20)) == []
        world.do('restore', access='lte')
        until('lte is back', lambda: world.accesses()['lte']['registered'])
        assert went_over(world, lambda: subprocess.run(
            inside(world, sys.executable, '-c', SENDER, ipv4, 7400), check=True, timeout=20)) == ['lte']
    finally:
        child.communicate(timeout=10)  # the end of its input ends it
        world.do('restore', access='lte')
        policy(world, 'reset')
        until('lte is back', lambda: world.accesses()['lte']['registered'])
    until('all fit', lambda: 'rules-fit' in [e['event'] for e in world.events('host')])


def test_the_default_of_a_replaced_file_does_not_count(world, rules):
    """With one that spreads flows 64 rules would be one too many; it goes with its file."""
    many = ''.join(f'rule "r{i}" {{ match = {{"udp dport {8000 + i}"}} }}\n' for i in range(64))
    try:
        policy(world, 'apply', rules('default { mode = load-balancing  via = {"wifi", "lte"} }'))
        assert policy(world, 'check', rules(many))[1]['ok']
        assert policy(world, 'apply', rules(many))[1]['rules'] == 64
        until('all fit', lambda: policy(world, 'show')[1]['rule_places']['left_out'] == 0)  # runs of before end by then
        code, said = policy(world, 'apply', rules(many + 'default { mode = load-balancing }'))
        assert code == 1 and 'rules.conf:64: rule "r63": one match too many' in said['error']['message']
    finally:
        policy(world, 'reset')
