"""RFC 8653 as a table: every type of address, every use of a socket, every kind of program, and what happens to
them. All cells of one event stand in one world, all their sockets are open at once, and each program has sockets
of all four types in one process (§3.3). Each socket is a call of numbered lines, judged at the peer: from which
address it comes, and whether it goes on.

What must hold stands in EVENTS; what was seen is printed, a row a cell.
"""
import contextlib
import dataclasses
import ipaddress
import json
import os
import pathlib
import socket
import subprocess
import sys
import threading
import time

import pytest

from world import FLOWMOB, PEER6, Capture, World, dropped_by_machine, until

HERE = pathlib.Path(__file__).resolve().parent
BUILD = FLOWMOB.parent.parent
PORT, GRACE_S, LINGER_S = 5010, 4, 10
TYPES = {'fixed': 1, 'session-lasting': 2, 'nonpersistent': 3, 'graceful-replacement': 4}
USES = ('tcp', 'udp', 'sendto', 'listen')
PROGRAMS = {'c': [BUILD / 'test/netns/cells_client'], 'static': [BUILD / 'test/netns/cells_static'],
            'python': ['/usr/bin/python3', HERE / 'cells_client.py'],
            'run': None}  # under `flowmob run`: busybox for streams, static C that asks for nothing for datagrams
CGROUPS = [pathlib.Path('/sys/fs/cgroup'), pathlib.Path('/sys/fs/cgroup/unified')]
WORLD = '''
  peer   { delay = "1ms" }
  access "wifi" { family = "ipv6"  delay = "2ms" }
  access "lte"  { family = "ipv6"  delay = "5ms" }
  host   { default { type = "nonpersistent"  via = {"wifi", "lte"} } }  # so no lease is kept ready
'''

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason='network namespaces need root')


def event(name, **about):
    return lambda play: play.world.do(name, **about)


def move(play):
    """An order: every flow that flowmob carries goes to the other access."""
    for flow in play.world.ask('host', 'flows')['flows']:
        play.world.ask('host', 'move', flow=flow['id'], access='lte')


def killed(node):
    def kill(play):
        old = play.world.pid(node)
        play.world.do('kill', node=node)
        until('it is back', lambda: play.world.pid(node) != old)
    return kill


def close_all(play):
    """One program closes its sockets; long after that one ends as it is, and one by kill -9. Only then, and after
    the time that an address lingers, does the anchor get it back."""
    for c in play.cells:
        if c.program == 'c':
            play.children['c'].say(f'close {c.name}')
    time.sleep(LINGER_S + 3)
    early = set(play.leases) - set(play.held())
    assert not early, f'others have sockets with it, and it was released: {early}'
    for child in play.children.values():
        child.end()  # by SIGKILL
    began = time.monotonic()
    while time.monotonic() < began + LINGER_S + 5:
        for kind in set(play.leases) - set(play.held()) - set(play.released_s):
            play.released_s[kind] = time.monotonic() - began
        time.sleep(0.2)
    for program in play.children:
        play.start(program)


# What happens, and for each type:
#   call    what becomes of the calls: LIVES; GRACE: lives on for a grace, then ends; ENDS
#   new     a socket opened afterwards has the SAME address as those before, or ANOTHER one
#   told    what sc_watch() must have said (and may: in brackets) after it said how things are
#   errno   what programs without libflowmob may see of it
LIVES, GRACE, ENDS = 'lives', 'grace', 'ends'
SAME, ANOTHER = 'same', 'another'
LOST = 'ENETRESET ECONNABORTED EDESTADDRREQ'
AWAY = 'ENETUNREACH EHOSTUNREACH EADDRNOTAVAIL ' + LOST

# name: (act, seconds until it is judged, longest gap, is it long), then a row a type
EVENTS = {
    'move': (move, 2, 1000, True, {
        # type                    call   new      told                    errno   why
        'fixed':                (LIVES, SAME,    'path',                  '',     'RFC 8653 §3.2'),
        'session-lasting':      (LIVES, SAME,    'path',                  '',     'RFC 8653 §3.2'),
        'nonpersistent':        (LIVES, SAME,    '',                      '',     'is not moved: its access is there'),
        'graceful-replacement': (LIVES, SAME,    'path',                  '',     'one flow is no handover'),
    }),
    'handover': (event('link-down', access='wifi'), 4, 2500, False, {
        'fixed':                (LIVES, SAME,    'path',                  '',     'RFC 8653 §3.2'),
        'session-lasting':      (LIVES, SAME,    'path',                  '',     'RFC 8653 §3.2'),
        'nonpersistent':        (ENDS,  ANOTHER, 'replaced (lost)',       AWAY,   'RFC 8653 §3.2, digest §9.1'),
        'graceful-replacement': (GRACE, ANOTHER, 'path grace replaced lost', LOST, 'digest §14.5, §14.6'),
    }),
    'cut': (event('cut', access='wifi'), 4, 3000, True, {
        'fixed':                (LIVES, SAME,    'path',                  '',     'RFC 8653 §3.2'),
        'session-lasting':      (LIVES, SAME,    'path',                  '',     'RFC 8653 §3.2'),
        'nonpersistent':        (ENDS,  ANOTHER, 'replaced (lost)',       AWAY,   'RFC 8653 §3.2'),
        'graceful-replacement': (GRACE, ANOTHER, 'path grace replaced lost', LOST, 'digest §14.5, §14.6'),
    }),
    'host-killed': (killed('host'), 3, 1000, True, {
        'fixed':                (LIVES, SAME,    'ended state',           '',     'digest §14.6, boot'),
        'session-lasting':      (LIVES, SAME,    'ended state',           '',     'digest §14.6, boot'),
        'nonpersistent':        (LIVES, SAME,    'ended state',           '',     'its access is there'),
        'graceful-replacement': (LIVES, SAME,    'ended state',           '',     'a restart is no handover'),
    }),
    'anchor-killed': (killed('anchor'), 3, 1000, True, {
        'fixed':                (LIVES, SAME,    '',                      '',     'digest §14.5'),
        'session-lasting':      (LIVES, SAME,    '',                      '',     'digest §14.5'),
        'nonpersistent':        (LIVES, SAME,    '',                      '',     'knows no anchor'),
        'graceful-replacement': (LIVES, SAME,    '',                      '',     'digest §14.5'),
    }),
    'renumber': (event('renumber', access='wifi'), 4, 2500, True, {
        'fixed':                (LIVES, SAME,    '(path)',                '',     'RFC 8653 §3.2'),
        'session-lasting':      (LIVES, SAME,    '(path)',                '',     'RFC 8653 §3.2'),
        'nonpersistent':        (ENDS,  ANOTHER, 'lost (replaced)',       AWAY,   'RFC 8653 §3.2'),
        'graceful-replacement': (GRACE, ANOTHER, 'grace replaced lost (path)', LOST, 'digest §14.5, §14.6'),
    }),
    'last-close': (close_all, 0, 0, True, {
        'fixed':                (ENDS,  SAME,    '',                      '',     'digest §14.5: stays reserved'),
        'session-lasting':      (ENDS,  ANOTHER, '',                      '',     'digest §14.5, §14.6: released, rests'),
        'nonpersistent':        (ENDS,  SAME,    '',                      '',     'its access is there'),
        'graceful-replacement': (ENDS,  ANOTHER, '',                      '',     'digest §14.5, §14.6: released, rests'),
    }),
}
# How a program learns of an address that is no more, at once: what a socket call says.
LEARNS = {'tcp': 'ECONNABORTED', 'udp': 'ECONNABORTED', 'sendto': 'ENETRESET', 'listen': 'ECONNABORTED'}

# Policy, not the program, asked for these, and each of their datagrams may have another source: once the old address
# is no more, the next one has what new sockets get.
FOLLOWS = {(e, t) for e in ('handover', 'cut', 'renumber') for t in ('graceful-replacement',)} | {
    ('renumber', 'nonpersistent')}


@dataclasses.dataclass
class Cell:
    """One socket, and what was seen of it."""
    program: str
    type: str
    use: str
    port: int
    sources: list = dataclasses.field(default_factory=list)  # as the peer sees it
    tunnelled: bool = None
    lives: bool = None    # a while after the event
    later: bool = None    # after every grace
    gap_ms: int = 0
    told: list = dataclasses.field(default_factory=list)
    asked: str = ''       # what the socket option says in the end
    fresh: str = ''       # the address of a socket opened after the event; of a listener: is it reached?

    @property
    def source(self):
        return self.sources[0]

    @property
    def name(self):
        return f'{self.program}-{self.type}-{self.use}'

    @property
    def spec(self):
        return f'{self.name}={TYPES[self.type]}/{self.use}/{self.port}'


CELLS = [(p, t, u) for p in PROGRAMS for t in TYPES for u in USES]


class Child:
    """A client or the peer: commands go in, JSON lines come out."""

    def __init__(self, command, **more):
        self.process = subprocess.Popen(list(map(str, command)), text=True, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, **more)
        self.lines = []
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        for line in self.process.stdout:
            self.lines.append(line)

    def say(self, text):
        self.process.stdin.write(text + '\n')
        self.process.stdin.flush()

    def told(self):
        return [json.loads(x) for x in list(self.lines)]

    def end(self):
        self.process.kill()
        self.process.wait()


def inside(instance):
    """What runs a program in the host, hooks and all."""
    return [FLOWMOB, 'lab', 'exec', '--instance', instance, 'host', '--']


class Runs:
    """Programs that ask for nothing, one `flowmob run` each, that together are one client."""

    def __init__(self, instance, static, cells):
        self.instance, self.children, self.streams, self.is_open = instance, {}, [], True
        for kind in TYPES:
            run = [*inside(instance), FLOWMOB, 'run', '--type', kind, '--']
            own = {c.use: c for c in cells if c.type == kind}
            self.children[kind] = Child([*run, static, PEER6, PORT, *(
                f'{own[use].name}=0/{use}/0' for use in ('udp', 'sendto') if use in own)])
            if own:
                self.streams += [
                    (Child([*run, 'busybox', 'nc', PEER6, PORT]), own['tcp'].name),
                    (Child([*run, 'busybox', 'nc', '-ll', f'-p{own["listen"].port}', '-e', '/bin/cat']), None)]
        threading.Thread(target=self.talk, daemon=True).start()

    def talk(self):
        """What a call says goes through the standard input of nc, what comes back is on its output."""
        number = 0
        while self.is_open:
            number += 1
            for child, name in self.streams:
                ack = int(child.lines[-1].split()[1]) if name and child.lines else 0
                with contextlib.suppress(OSError):
                    child.say(f'{name} {number} {ack}' if name else '')
            time.sleep(0.1)

    def say(self, text):
        kind = next(k for k in TYPES if f'-{k}' in text)
        self.children[kind].say(text)

    def told(self):
        return [x for c in self.children.values() for x in c.told()]

    def end(self):
        self.is_open = False
        every = [*self.children.values(), *(c for c, _ in self.streams)]
        for child in every:  # with all that it started: nc has children of its own
            for mount in CGROUPS:
                with contextlib.suppress(OSError):
                    (mount / 'flowmob-lab' / self.instance / f'host/flowmob-run-{child.process.pid}/cgroup.kill'
                     ).write_text('1')
            child.end()


class Play:
    """One world with all sockets in it."""

    def __init__(self, event):
        self.event = event
        self.cells = [Cell(*c, port=6000 + n) for n, c in enumerate(CELLS)]
        self.by_name = {c.name: c for c in self.cells}
        self.children, self.released_s = {}, {}

    def open(self, world):
        self.world, self.dropped = world, dropped_by_machine()
        self.shorten_grace()
        until('the host is bound', lambda: len(world.ask('anchor', 'bindings')['bindings'][0]['bids']) == 2)
        self.peer = Child(world.inside('peer', sys.executable, HERE / 'cells_peer.py', PEER6, PORT))
        until('the peer is ready', lambda: self.peer.lines)
        self.bystander = world.socket('host', socket.AF_INET6, socket.SOCK_STREAM)  # not in the host's cgroup
        self.bystander.bind((world.accesses()['wifi']['care_of_address'], 0))
        self.bystander.connect((PEER6, PORT))
        for program in PROGRAMS:
            self.start(program, [c for c in self.cells if c.program == program])
        opened = self.opened(sum(c.program != 'run' or c.use in ('udp', 'sendto') for c in self.cells))
        for cell in self.cells:
            if cell.use == 'listen':  # they wait at any address: that of their type is meant
                self.peer.say(f'dial {cell.name} {opened[f"c-{cell.type}-listen"]["source"]} {cell.port}')
        for _ in range(10):
            time.sleep(0.5)
            report = self.report()
            silent = [c for c in self.by_name if report.get(c, {'heard': 0})['heard'] < 2]
            if not silent:
                return
        raise AssertionError(f'these calls do not run: {silent}')

    def start(self, program, cells=()):
        self.children[program] = Runs(self.world.instance, *PROGRAMS['static'], cells) if program == 'run' else Child(
            [*inside(self.world.instance), *PROGRAMS[program], PEER6, PORT, *(c.spec for c in cells)],
            env=dict(os.environ, LD_LIBRARY_PATH=f'{BUILD}/lib'))

    def held(self):
        """The prefix of each type that the anchor lends to the host."""
        return {x['type']: x['prefix'] for b in self.world.ask('anchor', 'bindings')['bindings'] for x in b['leases']}

    def shorten_grace(self):
        file = self.world.dir / 'anchor/flowmob.conf'
        file.write_text(file.read_text().replace('    types = ', f'    grace = {GRACE_S}s\n    types = ', 1))
        done = self.world.ask('anchor', 'reload')
        assert 'error' not in done, done

    def opened(self, n, prefix=''):
        """What the clients said of sockets that they opened, once all have."""
        def all_of_them():
            told = {x['name']: x for c in self.children.values() for x in c.told()
                    if x['did'] == 'open' and x['name'].startswith(prefix)}
            return told if len(told) >= n else None
        told = until('all sockets are open', all_of_them, 20)
        refused = {n: x['errno'] for n, x in told.items() if 'errno' in x}
        assert not refused or prefix, refused
        return told

    def report(self):
        before = len(self.peer.lines)
        self.peer.say('report')
        until('the peer tells', lambda: len(self.peer.lines) > before)
        report = json.loads(self.peer.lines[before])
        for c in self.cells:
            c.sources += [x for x in report.get(c.name, {'sources': []})['sources'] if x not in c.sources]
        return report

    def look_at_calm(self):
        """Before anything happens: who comes from where, and by a tunnel or not."""
        capture = Capture(self.world, 'host', self.world.accesses()['wifi']['interface'])
        time.sleep(1)
        frames = capture.stop()
        self.report()
        for c in self.cells:
            protocols = {f[20] for f in frames if f'{c.name} '.encode() in f and f[12:14] == b'\x86\xdd'}
            c.tunnelled = protocols == {41} if len(protocols) == 1 else None
        self.leases = self.held()
        self.care_of = {a['care_of_address'] for a in self.world.accesses().values()}

    def play(self):
        act, after_s, _, _, _ = EVENTS[self.event]
        self.look_at_calm()
        began = time.monotonic()
        act(self)
        time.sleep(after_s)
        report = self.report()
        for c in self.cells:
            c.gap_ms, c.lives = report[c.name]['gap_ms'], report[c.name]['last_ms'] < 1000
        self.open_fresh()
        time.sleep(max(0, began + after_s + GRACE_S + 2 - time.monotonic()))
        report = self.report()
        for c in self.cells:
            c.later = report[c.name]['last_ms'] < 1000
            if c.lives and c.later:
                c.gap_ms = max(c.gap_ms, report[c.name]['gap_ms'])
        self.prefixes = {p['prefix']: p['state'] for p in
                         self.world.ask('anchor', 'pools', prefixes=True)['prefixes']}
        self.hear_what_was_told()

        self.bystander_error = self.bystander.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)

    def open_fresh(self):
        """A new socket of each type in each program, a new connection to each listener."""
        for program, child in self.children.items():
            for kind, number in TYPES.items():
                child.say(f'open fresh-{program}-{kind}={0 if program == "run" else number}/udp/0')
        for c in self.cells:
            if c.use == 'listen':
                self.peer.say(f'dial fresh-{c.name} {c.source} {c.port}')
        self.opened(len(self.children) * len(TYPES), 'fresh-')
        time.sleep(1)
        report = self.report()
        for c in self.cells:
            if c.use == 'listen':
                c.fresh = c.source if report[f'fresh-{c.name}']['heard'] > 2 else ''
            else:
                c.fresh = ' '.join(report.get(f'fresh-{c.program}-{c.type}', {'sources': []})['sources'])

    def hear_what_was_told(self):
        for c in self.cells:
            if c.program != 'run' and self.event != 'last-close':
                self.children[c.program].say(f'look {c.name}')
        time.sleep(0.5)
        for child in self.children.values():
            seen = set()
            for x in child.told():
                cell = self.by_name.get(x['name'])
                if not cell or x['did'] == 'open':
                    continue
                if x['did'] == 'look':
                    cell.asked = x['errno']
                    continue
                first = x['did'] == 'watch' and x['name'] not in seen
                seen |= {x['name']} if x['did'] == 'watch' else set()
                if not first:
                    cell.told.append(x['change'] if x['did'] == 'watch' else x.get('errno', x['did']))

    def print(self):
        print(f'\n{"event":14}{"type":22}{"use":8}{"program":9}{"address":40}{"tunnel":7}{"call":12}{"gap ms":>7}  '
              f'{"new socket":12}{"option":11}told')
        for c in self.cells:
            call = 'follows' if c.sources[1:] else LIVES if c.lives and c.later else GRACE if c.lives else (
                'comes back' if c.later else ENDS)
            tunnel = '-' if c.tunnelled is None else 'yes' if c.tunnelled else 'no'
            fresh = 'none' if not c.fresh else SAME if c.fresh == c.source else ANOTHER
            print(f'{self.event:14}{c.type:22}{c.use:8}{c.program:9}{c.source:40}{tunnel:7}{call:12}'
                  f'{c.gap_ms if call == LIVES else "-":>7}  {fresh:12}{c.asked or "-":11}{" ".join(c.told)}')

    def close(self):
        for child in [*self.children.values(), getattr(self, 'peer', None)]:
            if child:
                child.end()


@pytest.fixture(scope='module')
def play(request):
    """The event is played once for all its cells."""
    p = Play(request.param)
    try:
        with World('cells', WORLD) as world:
            p.open(world)
            p.play()
    finally:
        p.close()
    with request.config.pluginmanager.getplugin('capturemanager').global_and_fixture_disabled():
        p.print()
    return p


EVERY_EVENT = [pytest.param(e, marks=[pytest.mark.long] if row[3] else []) for e, row in EVENTS.items()]
every_event = pytest.mark.parametrize('play', EVERY_EVENT, indirect=True, scope='module')


def words(text):
    """What must be there, and what may be."""
    must = text.split('(')[0].split()
    return set(must), {w.strip('()') for w in text.split()}


def check_release(play, kind):
    """Digest §14.6: 10 s after the last holder, not before; what is Fixed stays reserved (§14.5)."""
    if kind == 'nonpersistent':
        assert kind not in play.leases
        return
    assert LINGER_S - 0.5 <= play.released_s.get(kind, 0) <= LINGER_S + 4, play.released_s
    # the socket that was opened afterwards has the Fixed one again
    assert play.prefixes[play.leases[kind]] == ('leased' if kind == 'fixed' else 'quarantined')


@every_event
@pytest.mark.parametrize('cell', CELLS, ids='-'.join)
def test_cell(play, cell):
    c = play.by_name['-'.join(cell)]
    _, _, limit_ms, _, rows = EVENTS[play.event]
    call, new, told, errnos, _ = rows[c.type]
    if c.type == 'nonpersistent':
        assert c.source in play.care_of and c.tunnelled is False, c
        assert play.bystander_error == 0, 'a socket on the address of the access that asked for nothing was ended'
    else:
        assert ipaddress.ip_address(c.source) in ipaddress.ip_network(play.leases[c.type]), (c, play.leases)
        assert c.tunnelled is True, c

    flooded = dropped_by_machine() > play.dropped
    if call != ENDS and flooded and not c.lives or call == LIVES and flooded and c.gap_ms > limit_ms:
        pytest.skip(f'the machine is flooded: {c}')
    if c.program == 'run' and c.use == 'sendto' and (play.event, c.type) in FOLLOWS:
        assert c.later and len(c.sources) > 1, c
        return
    assert len(c.sources) == 1, f'one socket, two addresses: {c}'
    assert (c.lives, c.later) == {LIVES: (True, True), GRACE: (True, False), ENDS: (False, False)}[call], c
    assert call != LIVES or c.gap_ms <= limit_ms, c
    if c.use == 'listen':
        assert bool(c.fresh) == (call != ENDS), c
    else:
        assert c.fresh and (c.fresh == c.source) == (new == SAME), c
    if c.program == 'c':
        must, may = words(told)
        if (play.event, c.use) == ('move', 'listen'):
            must = set()  # the flow is of the accepted one
        heard = {w for w in c.told if w.islower() and w != 'end'}
        assert must <= heard <= may, (c, told)
    assert {w for w in c.told if w.isupper()} <= set(errnos.split()), c
    is_lost = call == GRACE or (play.event, c.type) == ('renumber', 'nonpersistent')
    if c.asked:
        assert c.asked == ('ENETRESET' if is_lost else '0'), c
        # the kernel cannot tell a connected UDP socket from those of others on the access's address
        assert not is_lost or LEARNS[c.use] in c.told or (c.type, c.use) == ('nonpersistent', 'udp'), c
    if play.event == 'last-close':
        check_release(play, c.type)

