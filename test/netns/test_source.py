"""Source addresses of programs that bind nothing, or choose for themselves, beside a default type and types by
socket (RFC 6724 with our rule in front): judged by what the peer, the link or a server of the host sees.
"""
import ipaddress
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from test_sockets import FIXED, LASTING, NONPERSISTENT, PORT, Peer, leases
from world import FLOWMOB, PEER4, PEER6, Capture, World, until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason='network namespaces need root')

ACCESSES = '''
  access "wifi" { family = "dual"  delay = "2ms" }
  access "lte"  { family = "dual"  delay = "5ms" }
'''
WORLD = ACCESSES + 'host { default { type = "session-lasting"  via = {"wifi", "lte"} } }'
HEAD = '''
import errno, json, struct, sys, time
from socket import *
def make(type=0, family=AF_INET6, kind=SOCK_DGRAM, proto=0):
    s = socket(family, kind, proto)
    s.settimeout(5)
    if type:
        s.setsockopt(41, 72, type << 16)
    return s
def there(act):
    for _ in range(250):
        try:
            return act()
        except BlockingIOError:
            time.sleep(0.02)
    raise TimeoutError
def say(x):
    print(json.dumps(x), flush=True)
'''
SOURCES = '''
def source(to, type=0):
    four = ":" not in to
    s = make(type, AF_INET if four else AF_INET6)
    s.setsockopt(SOL_SOCKET, SO_BROADCAST, 1)
    try:
        there(lambda: s.connect(getaddrinfo(to, 9, type=SOCK_DGRAM)[0][4]))
        return s.getsockname()[0]
    except OSError as e:
        return errno.errorcode[e.errno]
'''
NEAR6 = ('::1', 'fe80::1%wifi', 'ff02::fb%wifi', 'ff05::1234', 'ff0e::1234', '::ffff:127.0.0.1', '::ffff:239.1.1.1')
NEAR4 = ('127.0.0.1', '224.0.0.251', '239.1.1.1', '255.255.255.255')
ON_LINK = ('2001:db8:f000::1', '192.0.2.129')
FAR = (PEER6, PEER4, f'::ffff:{PEER4}')


def command(world, *words, node='host'):
    return [FLOWMOB, 'lab', 'exec', '--instance', world.instance, node, '--', *map(str, words)]


def told(world, code, node='host'):
    """What a Python program in the host, or another node, says."""
    done = subprocess.run(command(world, sys.executable, '-c', HEAD + code, node=node), check=False, text=True,
                          capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def sources(world, to, kind_of=0):
    return told(world, SOURCES + f'say({{to: source(to, {kind_of}) for to in {list(to)!r}}})')


@pytest.fixture(scope='module')
def world():
    with World('source', WORLD) as w:
        until('both accesses are bound', lambda: all(a['registered'] for a in w.accesses().values()))
        until('an address', w.home)
        w.peer = Peer(w)
        yield w


def text_of(address):
    """As the peer's sockets of its family name it."""
    ip = ipaddress.ip_address(address)
    return str(ip.ipv4_mapped or ip) if ip.version == 6 else address


def without_default(world):
    """The same host with no default type; it is told by a reload."""
    conf = world.dir / 'host/flowmob.conf'
    conf.write_text(re.sub(r'\n  default +\{.*?\n  \}', '', conf.read_text(), flags=re.S))
    assert 'default' not in conf.read_text()
    os.kill(world.pid('host'), signal.SIGHUP)
    until('it is read', lambda: [e for e in world.events('host') if e['event'] == 'reloaded'])


def test_without_a_default_type_nothing_differs():
    with World('source-plain', WORLD) as w:
        until('bound', lambda: all(a['registered'] for a in w.accesses().values()))
        every = NEAR6 + NEAR4 + ON_LINK + FAR
        without_default(w)
        with_flowmob = until('no default any more', lambda: sources(w, every))
        for kind_of in (FIXED, LASTING):  # another program's addresses change nothing for it
            assert told(w, SOURCES + f'a = source("{PEER6}", {kind_of}); b = source("{PEER6}"); say([a, b])')[1] \
                == with_flowmob[PEER6]
        # RFC 8653 §4.2: nobody asks, so nothing is asked of the network
        until('the last address is given back', lambda: not leases(w), 30)
        assert sources(w, every) == with_flowmob and not leases(w)
        w.ask('host', 'down')
        until('it has gone', lambda: '86' not in w.run('host', 'ip', '-6', 'rule'))
        assert sources(w, every) == with_flowmob
        assert with_flowmob[PEER6] == '2001:db8:f000::10' and with_flowmob['239.1.1.1'].startswith('192.0.2.')


def test_who_binds_nothing_has_the_default_type_for_far_destinations_only(world):
    home6, home4 = world.home(), world.home(family=4)
    got = sources(world, FAR + ON_LINK)
    assert (got[PEER6], got[PEER4], got[f'::ffff:{PEER4}']) == (home6, home4, f'::ffff:{home4}')
    assert got['2001:db8:f000::1'] == '2001:db8:f000::10' and got['192.0.2.129'] == '192.0.2.130'
    told(world, f'''
for family, to in ((AF_INET6, "{PEER6}"), (AF_INET, "{PEER4}"), (AF_INET6, "::ffff:{PEER4}")):
    make(0, family).sendto(f"nothing {{to}}".encode(), (to, {PORT}))
say(0)''')
    assert world.peer.source_of(f'nothing {PEER6}') == {home6}
    assert world.peer.source_of(f'nothing {PEER4}') == world.peer.source_of(f'nothing ::ffff:{PEER4}') == {home4}


@pytest.mark.parametrize('kind_of', (0, LASTING, NONPERSISTENT, FIXED))
def test_near_destinations_and_groups_are_left_alone(world, kind_of):
    """As far as the link: no group sees an address of ours, whatever the socket asked for."""
    homes = {a['address'] for a in world.ask('host', 'address')['addresses'] if a['type'] != 'nonpersistent'}
    got = sources(world, NEAR6 + NEAR4, kind_of)
    assert got['::1'] == '::1' and got['127.0.0.1'] == '127.0.0.1' and got['::ffff:127.0.0.1'] == '::ffff:127.0.0.1'
    assert got['fe80::1%wifi'].startswith('fe80::') and got['ff02::fb%wifi'].startswith('fe80::')
    assert got['ff05::1234'] == got['ff0e::1234'] == '2001:db8:f000::10'
    assert {got[x] for x in NEAR4[1:]} == {'192.0.2.130'} and got['::ffff:239.1.1.1'] == '::ffff:192.0.2.130'
    seen = Capture(world, 'access-wifi', 'down')
    told(world, f'''
for to in ("ff05::1234", "ff0e::1234", "224.0.0.251", "239.1.1.1"):
    make({kind_of}, AF_INET6 if ":" in to else AF_INET).sendto(b"group {kind_of}", (to, 5353))
say({list(homes)!r})''')
    time.sleep(0.5)
    frames = [f for f in seen.stop() if f.endswith(f'group {kind_of}'.encode())]
    from_where = [str(ipaddress.ip_address(f[22:38] if f[12:14] == b'\x86\xdd' else f[26:30])) for f in frames]
    assert sorted(from_where) == ['192.0.2.130'] * 2 + ['2001:db8:f000::10'] * 2


def with_hosts(world, hosts, *words):
    """A program in the host that resolves names by a file of its own."""
    file = pathlib.Path(f'/tmp/{world.instance}.hosts')
    file.write_text(hosts)
    try:
        return subprocess.run(
            command(world, 'unshare', '--mount', 'sh', '-c', f'mount --bind {file} /etc/hosts && exec "$@"', 'sh', *words),
            check=False, text=True, capture_output=True, timeout=60)
    finally:
        file.unlink()


class Web:
    """An answer to each GET: the address that asked."""

    def __init__(self, world, *where):
        self.sockets = []
        for family, address in where:
            s = world.socket('peer', family, socket.SOCK_STREAM)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind((address, 8080))
            s.listen()
            self.sockets.append(s)
            threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    @staticmethod
    def serve(s):
        while True:
            try:
                c, back = s.accept()
            except OSError:
                return
            c.recv(4096)
            c.sendall(b'HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n' + back[0].encode())
            c.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for s in self.sockets:
            s.shutdown(socket.SHUT_RDWR)
            s.close()


HOSTS = f'{PEER4} far.example\n{PEER6} far.example\n192.0.2.129 near.example\n2001:db8:f000::1 near.example\n'


def test_getaddrinfo_sorts_as_ever_and_curl_comes_from_home(world):
    code = 'from socket import *\nfor n in ("far.example", "near.example"): print(*[a[4][0] for a in getaddrinfo(n, 80, type=1)])'
    said = with_hosts(world, HOSTS, sys.executable, '-c', code).stdout.splitlines()
    assert said == [f'{PEER6} {PEER4}', '2001:db8:f000::1 192.0.2.129']
    url = 'http://far.example:8080/'
    with Web(world, (socket.AF_INET6, PEER6), (socket.AF_INET, PEER4)):
        assert with_hosts(world, HOSTS, 'curl', '-s', url).stdout == world.home()
        assert with_hosts(world, HOSTS, 'curl', '-s', '-4', url).stdout == world.home(family=4)
    with Web(world, (socket.AF_INET, PEER4)):  # happy eyeballs: IPv6 is refused there
        assert with_hosts(world, HOSTS, 'curl', '-s', url).stdout == world.home(family=4)


def test_dual_stack_sockets_have_the_home_address_of_ipv4(world):
    home4 = world.home(family=4)
    mapped = f'::ffff:{PEER4}'
    told(world, f'''
for kind in (SOCK_DGRAM, SOCK_STREAM):
    s = make({LASTING}, kind=kind)
    there(lambda: s.connect(("{mapped}", {PORT})))
    s.send(b"dual connect %d" % kind)
make({LASTING}).sendto(b"dual sendto", ("{mapped}", {PORT}))
s = make({LASTING})
for to in ("{PEER6}", "{mapped}", "{PEER6}"):
    s.sendto(b"dual both", (to, {PORT}))
s = make({NONPERSISTENT})
s.sendto(b"dual near", ("{mapped}", {PORT}))
say(0)''')
    for text in ('dual connect 1', 'dual connect 2', 'dual sendto'):
        assert world.peer.source_of(text) == {home4}
    until('one socket has one address of each family', lambda: world.peer.seen['dual both'] == {world.home(), home4})
    assert world.peer.source_of('dual near') == {'192.0.2.130'}
    assert sources(world, (mapped,), FIXED)[mapped] == 'EADDRNOTAVAIL'


@pytest.mark.parametrize('kind_of', (0, LASTING, FIXED))
def test_a_wildcard_server_keeps_all_its_addresses(world, kind_of):
    """Bound to [::] with a type: the type acts on what it starts itself, not on who comes."""
    ours = (world.home(), f'::ffff:{world.home(family=4)}', '::1', '::ffff:127.0.0.1', '2001:db8:f000::10', '::ffff:192.0.2.130')
    said = told(world, f'''
server, echo = make({kind_of}, kind=SOCK_STREAM), make({kind_of})
for s in (server, echo):
    s.bind(("::", 7000))
server.listen()
said = {{}}
for to in {ours!r}:
    c, u = make(kind=SOCK_STREAM), make()
    c.connect((to, 7000))
    a, _ = server.accept()
    u.connect((to, 7000))
    u.send(to.encode())
    text, back = echo.recvfrom(99)
    if to in ("::1", "::ffff:127.0.0.1"):
        echo.sendto(text, back)
        text = u.recv(99)
    said[to] = [a.getsockname()[0], text.decode()]
say(said)''')
    assert said == {to: [to, to] for to in ours}


def test_the_peer_reaches_a_wildcard_server_with_a_type(world):
    address = sources(world, (PEER6,), FIXED)[PEER6]
    server = subprocess.Popen(command(world, sys.executable, '-c', HEAD + f'''
s = make({FIXED}, kind=SOCK_STREAM)
s.bind(("::", 7001))
s.listen()
s.settimeout(20)
say(0)
for _ in range(3):
    c, back = s.accept()
    c.send(c.getsockname()[0].encode())
    c.close()
'''), stdout=subprocess.PIPE, text=True)
    assert server.stdout.readline() == '0\n'
    for family, to in ((socket.AF_INET6, address), (socket.AF_INET6, world.home()), (socket.AF_INET, world.home(family=4))):
        with world.socket('peer', family, socket.SOCK_STREAM) as c:
            c.settimeout(5)
            c.connect((to, 7001))
            assert text_of(c.recv(100).decode()) == to
    assert server.wait(10) == 0
    server.stdout.close()


def test_who_names_a_source_keeps_it(world):
    """IPV6_PKTINFO, IP_PKTINFO and bind before and after the type."""
    said = told(world, f'''
six = inet_pton(AF_INET6, "2001:db8:f000::10")
for type in (0, {LASTING}):
    make(type).sendmsg([b"pktinfo6 %d" % type], [(41, IPV6_PKTINFO, struct.pack("16sI", six, 0))], 0, ("{PEER6}", {PORT}))
    make(type, AF_INET).sendmsg([b"pktinfo4 %d" % type], [(0, 8, struct.pack("I4s4s", 0, inet_aton("192.0.2.130"), bytes(4)))],
        0, ("{PEER4}", {PORT}))
said = []
for kind in (SOCK_DGRAM, SOCK_STREAM):
    s = make(0, kind=kind)
    s.bind(("2001:db8:f000::10", 0))
    try:
        s.setsockopt(41, 72, {LASTING} << 16)
        said.append(0)
    except OSError as e:
        said.append(errno.errorcode[e.errno])
    s.connect(("{PEER6}", {PORT}))
    s.send(b"bound %d" % kind)
say(said)''')
    assert said == ['EINVAL', 'EINVAL']
    for text in ('pktinfo6 0', f'pktinfo6 {LASTING}', 'bound 1', 'bound 2'):
        assert world.peer.source_of(text) == {'2001:db8:f000::10'}
    for text in ('pktinfo4 0', f'pktinfo4 {LASTING}'):
        assert world.peer.source_of(text) == {'192.0.2.130'}


def test_a_stack_without_flowmob_is_told_by_reading_back(world):
    """RFC 8653 §4: the option is taken and ignored there; here it is shown. The socket works in both."""
    code = f'''
s = make({LASTING})
back = s.getsockopt(41, 72) >> 16 & 15
there(lambda: s.connect(("{PEER6}", {PORT})))
s.send(b"read back")
say([back, s.recv(100).decode()])'''
    assert told(world, code) == [LASTING, 'read back']
    assert told(world, code, node='peer') == [0, 'read back']


MULTIPATH = f'''
s = make({{type}}, kind=SOCK_STREAM, proto=262)
there(lambda: s.connect(("{PEER6}", 7002)))
say(s.getsockname()[0])
s.settimeout(None)
while sys.stdin.readline():
    s.sendall(b"x" * 1000)
'''


class Multipath:
    """An MPTCP program of the host that sends as it is told, and what its peer has got."""

    def __init__(self, world, kind_of):
        self.server = world.socket('peer', socket.AF_INET6, socket.SOCK_STREAM, 262)
        self.server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.server.bind((PEER6, 7002))
        self.server.listen()
        self.program = subprocess.Popen(
            command(world, sys.executable, '-c', HEAD + MULTIPATH.replace('{type}', str(kind_of))),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.server.settimeout(10)
        self.peer, self.back = self.server.accept()
        self.peer.settimeout(10)
        self.source = json.loads(self.program.stdout.readline())

    def send(self):
        self.program.stdin.write('send\n')
        self.program.stdin.flush()
        got = 0
        while got < 1000:
            got += len(self.peer.recv(1000 - got))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.program.kill()
        self.program.communicate()
        self.peer.close()
        self.server.close()


def subflows(world):
    """Sources of the TCP connections that make it up, as the peer has them."""
    return set(re.findall(r'\[([0-9a-f:]+)\]:\d+\s*$', world.run('peer', 'ss', '-6Htn', 'sport', '=', ':7002'), re.M))


def test_multipath_programs_move_by_themselves(world):
    """Nonpersistent: it sees the accesses' addresses, and goes on by the other when one dies."""
    for node in ('host', 'peer'):
        world.run(node, 'ip', 'mptcp', 'limits', 'set', 'subflow', 4, 'add_addr_accepted', 4)
    world.run('host', 'ip', 'mptcp', 'endpoint', 'add', '2001:db8:f100::10', 'dev', 'lte', 'subflow')
    try:
        with Multipath(world, NONPERSISTENT) as m:
            assert m.source == m.back[0] == '2001:db8:f000::10'
            m.send()
            until('both accesses carry it', lambda: subflows(world) == {'2001:db8:f000::10', '2001:db8:f100::10'})
            world.do('link-down', access='wifi')
            try:
                for _ in range(5):
                    m.send()
                before = world.octets('lte')[0]
                m.send()
                assert world.octets('lte')[0] - before >= 1000
            finally:
                world.do('restore', access='wifi')
            m.send()
        until('wifi is back', lambda: world.accesses()['wifi']['registered'])
        until('new sockets use it', lambda: sources(world, (PEER6,), NONPERSISTENT)[PEER6] == '2001:db8:f000::10')
        with Multipath(world, NONPERSISTENT) as m:
            m.send()
            until('both accesses carry it', lambda: subflows(world) == {'2001:db8:f000::10', '2001:db8:f100::10'})
            world.do('cut', access='wifi')
            try:
                for _ in range(5):
                    m.send()
            finally:
                world.do('restore', access='wifi')
        until('wifi is back', lambda: world.accesses()['wifi']['registered'])
        with Multipath(world, LASTING) as m:  # the first subflow has the type
            assert m.source == m.back[0] == world.home()
            m.send()
    finally:
        world.run('host', 'ip', 'mptcp', 'endpoint', 'flush')


def test_temporary_addresses_of_an_access_serve_nonpersistent_sockets(world):
    """RFC 8981, as for any program there: the newest one for new sockets, old sockets keep theirs."""
    conf = '/proc/sys/net/ipv6/conf/wifi'
    world.run('host', 'sh', '-c', f'cd {conf}; echo 0 > dad_transmits; echo 0 > max_desync_factor; '
              'echo 6 > temp_prefered_lft; echo 2 > use_tempaddr')
    plain = f'''
s = make()
s.setsockopt(SOL_SOCKET, SO_BINDTODEVICE, b"wifi")
s.connect(("{PEER6}", {PORT}))
plain = s.getsockname()[0]
s = make({NONPERSISTENT})
there(lambda: s.connect(("{PEER6}", {PORT})))
'''
    world.run('host', 'ip', 'addr', 'change', '2001:db8:f000::10/64', 'dev', 'wifi', 'mngtmpaddr')
    try:
        until('the first one', lambda: told(world, plain + 'say(s.getsockname()[0])').startswith('2001:db8:f000:0:'))
        said = told(world, plain + f'''
first, old = s.getsockname()[0], s
old.send(b"first temporary")
end = time.monotonic() + 20
new = first
while new == first and time.monotonic() < end:
    time.sleep(0.2)
    s = make({NONPERSISTENT})
    s.connect(("{PEER6}", {PORT}))
    new = s.getsockname()[0]
old.send(b"old temporary")
s.send(b"new temporary")
say([plain, first, old.getsockname()[0], new])''')
        assert said[0] == said[1] == said[2] != said[3] != '2001:db8:f000::10', said
        assert world.peer.source_of('first temporary') == world.peer.source_of('old temporary') == {said[1]}
        assert world.peer.source_of('new temporary') == {said[3]}
        assert world.accesses()['wifi']['care_of_address'] == '2001:db8:f000::10'  # signalling: the stable one
    finally:
        world.run('host', 'sh', '-c', f'echo 0 > {conf}/use_tempaddr')
    until('the stable one otherwise', lambda: told(world, plain + 'say([plain, s.getsockname()[0]])') ==
          ['2001:db8:f000::10'] * 2, 15)
