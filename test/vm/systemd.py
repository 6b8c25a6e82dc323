#!/usr/bin/python3
"""A host that systemd boots with the installed units, its guard enabled, its daemon not yet started: what may leave by
its access, from the first moment of the network on, and what the units say of themselves.

systemd.py make TREE BUILD   outside: what is installed, the state of an earlier run, units that send
systemd.py judge             inside, as a unit of that boot; prints a line for each thing that has to hold
"""
import itertools
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
PEER, ACCESS = '2001:db8:ffff::1', 'wifi'
ETC = pathlib.Path('/etc/flowmob-test')
STATE, ANCHOR_STATE = pathlib.Path('/var/lib/flowmob'), pathlib.Path('/var/lib/flowmob-anchor')

SCENARIO = '''scenario "systemd" {
  duration = "1s"
  access "wifi" { family = "ipv6" }
  access "lte"  { family = "ipv6" }
  host {
    rule "unit" { match = {"unit secret*.service"}        via = {"lte"}  on-none = "block" }
    rule "user" { match = {"user nobody udp dport 7001"}  via = {"lte"}  on-none = "block" }
    default     { type = "session-lasting"  via = {"wifi"} }
  }
}
'''
# The access and what is behind it: a namespace that is its router, the anchor and the peer at once. It counts
# datagrams by port: those that came as they are, and those that came through the tunnel.
LINK = '''set -e
ip netns add net
ip link add wifi type veth peer name far netns net
ip -n net link set lo up
for a in 2001:db8:a::1/128 2001:db8:ffff::1/128; do ip -n net addr add $a dev lo nodad; done
ip -n net addr add 2001:db8:f000::1/64 dev far nodad
ip -n net addr add fe80::1/64 dev far nodad
nsenter --net=/run/netns/net sysctl -qw net.ipv6.conf.all.forwarding=1
nsenter --net=/run/netns/net nft -f - <<NFT
add table inet count
add set inet count clear { type inet_service; flags dynamic; counter; }
add set inet count inner { type inet_service; flags dynamic; counter; }
add chain inet count seen { type filter hook prerouting priority -400; }
add rule inet count seen iifname "far" meta l4proto udp update @clear { udp dport }
add rule inet count seen iifname != "far" meta l4proto udp update @inner { udp dport }
NFT
ip -n net link set far up
ip addr add 2001:db8:f000::10/64 dev wifi nodad
ip link set wifi up
ip -6 route add default via fe80::1 dev wifi
'''
# PORT TIMES EVERY_S [SOURCE]: from the access itself, as a program does that cares for no home address; "-": as
# the routes say.
SENDER = '''import socket, sys, time
port, times, every, source = (sys.argv[1:] + [''])[:4]
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
if source != '-':
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b'wifi')
if source not in ('', '-'):
    s.setsockopt(socket.IPPROTO_IPV6, 78, 1)  # IPV6_FREEBIND
    s.bind((source, 0))
for n in range(int(times)):
    try:
        s.sendto(b'%d' % n, ('2001:db8:ffff::1', int(port)))
    except OSError:
        pass
    time.sleep(float(every))
'''
FIRST = 'DefaultDependencies=no\nAfter=flowmob-test-link.service\nRequires=flowmob-test-link.service'
SEND = '[Unit]\n{unit}\n[Service]\n{service}\nExecStart=/usr/bin/python3 -S ' + str(ETC) + '/send.py {words}\n'
ONCE, ALONG = 'Type=oneshot', 'Type=exec'
SECRET, HOME, OPEN = 9100, 9101, 9102  # ports of what sends all the time, with 7001


def units(home):
    senders = {
        'secret@': (ONCE, '%i 5 0.01'), 'open@': (ONCE, '%i 5 0.01'), 'home@': (ONCE, f'%i 5 0.01 {home}'),
        'nobody@': (ONCE + '\nUser=nobody', '%i 5 0.01'), 'talk@': (ONCE, '%i 5 0.01 -'),
        'secret-along': (ALONG, f'{SECRET} 1000000 0.05'), 'home-along': (ALONG, f'{HOME} 1000000 0.05 {home}'),
        'nobody-along': (ALONG + '\nUser=nobody', '7001 1000000 0.05'), 'open-along': (ALONG, f'{OPEN} 1000000 0.05'),
    }
    made = {f'{name}.service': SEND.format(unit=FIRST, service=how, words=words)
            for name, (how, words) in senders.items()}
    made['flowmob-test-link.service'] = '''[Unit]
DefaultDependencies=no
After=network-pre.target
Before=network.target
Wants=network-pre.target network.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh ''' + str(ETC) + '/link\n'
    made['flowmob-test-anchor.service'] = f'''[Service]
Type=notify
NetworkNamespacePath=/run/netns/net
ExecStart=/usr/local/sbin/flowmobd -c {ETC}/anchor.conf --state {ANCHOR_STATE} --run /run/flowmob-anchor \\
  --pin /sys/fs/bpf/flowmob-anchor
'''
    made['flowmob-test.service'] = f'''[Unit]
After=basic.target {BOOT}
[Service]
Type=oneshot
ExecStart=/bin/sh -c '/usr/bin/python3 {HERE}/systemd.py judge >/dev/console 2>&1; echo "test-vm: exit $$?" >/dev/console'
ExecStartPost=/bin/systemctl --force --force poweroff
'''
    made['flowmob-test.target'] = f'''[Unit]
Requires=basic.target
Wants={BOOT} flowmob-test.service
AllowIsolate=yes
'''
    return made


# What sends at boot, in the moment when the link is there.
BOOT = 'secret@9001.service open@9002.service home@9003.service nobody@7001.service nobody@7002.service ' \
       'secret-along.service home-along.service nobody-along.service open-along.service'


# Outside.

def run(*words, **more):
    return subprocess.run([str(w) for w in words], check=True, text=True, capture_output=True, **more).stdout


def earlier_run(tree, build):
    """Store, guard, configuration and key as a run has left them, of a host and its anchor."""
    flowmob, instance = f'{build}/bin/flowmob', f'systemd-{os.getpid()}'
    scenario = tree.parent / 'systemd.scenario'
    scenario.write_text(SCENARIO)
    run(flowmob, 'lab', 'up', scenario, '--instance', instance)
    try:
        for node in ('host', 'anchor'):
            run(flowmob, 'lab', 'do', 'stop', f'node={node}', '--instance', instance)
        was = pathlib.Path('/run/flowmob-lab') / instance
        for node, state, conf in (('host', STATE, 'etc/flowmob/flowmob.conf'),
                                  ('anchor', ANCHOR_STATE, f'{ETC}/anchor.conf')):
            shutil.copytree(was / node / 'state', tree / str(state)[1:])
            text = (was / node / 'flowmob.conf').read_text()
            (tree / conf.lstrip('/')).write_text(text.replace(f'{was}/host/anchor.key', '/etc/flowmob/home.key'))
        shutil.copy(was / 'host/anchor.key', tree / 'etc/flowmob/home.key')
    finally:
        run(flowmob, 'lab', 'down', '--instance', instance)


def make(tree, build):
    shutil.rmtree(tree, ignore_errors=True)
    for part in ('etc/systemd/system', 'etc/flowmob', str(ETC)[1:], 'var/lib'):
        (tree / part).mkdir(parents=True)
    run('meson', 'install', '-C', build, '--no-rebuild', env={**os.environ, 'DESTDIR': str(tree)})
    earlier_run(tree, build)
    prefix = re.search(r'([0-9a-f:]+)/64', (tree / str(STATE)[1:] / 'guard').read_text()).group(1)
    (tree / str(ETC)[1:] / 'link').write_text(LINK)
    (tree / str(ETC)[1:] / 'send.py').write_text(SENDER)
    for name, text in units(prefix + '7').items():
        (tree / 'etc/systemd/system' / name).write_text(text)
    run('systemctl', f'--root={tree}', 'enable', 'flowmobd.service', 'flowmob-guard.service')


# Inside.

failed = 0


def tell(what, holds, more=''):
    global failed
    failed += not holds
    print(f'ok systemd: {what}' if holds else f'FAIL systemd: {what}: {more}', flush=True)


def out(*words):
    done = subprocess.run([str(w) for w in words], text=True, capture_output=True, check=False)
    return (done.stdout + done.stderr).strip()


def until(true, limit_s=60):
    end = time.monotonic() + limit_s
    while time.monotonic() < end and not true():
        time.sleep(0.2)
    return true()


def counted(which='clear'):
    """Datagrams that came to the other end, by port."""
    text = out('nsenter', '--net=/run/netns/net', 'nft', 'list', 'set', 'inet', 'count', which)
    return {int(p): int(n) for p, n in re.findall(r'(\d+) counter packets (\d+)', text)}


def show(unit, *names):
    text = out('systemctl', 'show', unit, *(f'-p{n}' for n in names))
    return [dict(line.split('=', 1) for line in text.splitlines()).get(n, '') for n in names]


def start(*names):
    """Units that send a few datagrams; they have ended when this comes back."""
    return out('systemctl', 'start', *(f'{n}.service' for n in names))


def dropped():
    text = out('nft', 'list', 'counter', 'inet', 'flowmob', 'left-outside')
    return int((re.findall(r'packets (\d+)', text) or [0])[0])


def tell_held(when):
    """Nothing comes of a unit, a user and a home address that are blocked; of others it does: else nobody looked."""
    before = counted()
    until(lambda: counted().get(OPEN, 0) > before.get(OPEN, 0) + 5, 20)
    now = counted()
    tell(f'{when}: nothing of a unit, a user, a home address',
         now.get(OPEN, 0) > before.get(OPEN, 0) + 5 and not any(now.get(p) for p in (SECRET, HOME, 7001)), now)


def tell_held_anew(when):
    """Units that start now, too."""
    tell_held(when)
    at = next(ports)
    start(f'secret@{at}', f'open@{at + 1}')
    now = counted()
    tell(f'{when}: nothing of a unit that is new', (now.get(at, 0), now.get(at + 1, 0)) == (0, 5), now)


ports = itertools.count(9200, 10)


def boot():
    guard, = show('flowmob-guard', 'ExecMainExitTimestampMonotonic')
    reached, = show('network-pre.target', 'ActiveEnterTimestampMonotonic')
    link, = show('flowmob-test-link', 'ExecMainStartTimestampMonotonic')
    tell('the guard has done its work at boot', show('flowmob-guard', 'ActiveState', 'Result') == ['active', 'success'],
         out('systemctl', 'status', 'flowmob-guard'))
    tell('before network-pre.target, and that before any interface', 0 < int(guard) < int(reached) < int(link),
         f'{guard} {reached} {link}')
    tell('no daemon has run', show('flowmobd', 'ExecMainStartTimestampMonotonic', 'UnitFileState') == ['0', 'enabled'],
         show('flowmobd', 'ExecMainStartTimestampMonotonic', 'UnitFileState'))
    now = counted()
    tell('what sent in the first moment of the network was blocked, by unit and user; others sent',
         [now.get(p, 0) for p in (9001, 9002, 7001, 7002)] == [0, 5, 0, 5], now)
    tell('nothing left from a home address', now.get(9003, 0) == now.get(HOME, 0) == 0 and dropped() > 5,
         f'{now} {dropped()}')
    tell_held_anew('before the first start')
    said = out('systemd-analyze', 'verify', 'flowmob-guard.service', 'flowmobd.service')
    tell('systemd-analyze verify finds nothing', not [x for x in said.splitlines() if 'flowmob' in x], said)


def flowmob(*words):
    return out('/usr/local/bin/flowmob', *words)


def talk(when):
    at = next(ports)
    start(f'talk@{at}')
    inner, clear = counted('inner').get(at, 0), counted().get(at, 0)
    tell(f'{when}: a flow of nobody in particular goes through the tunnel', (inner, clear) == (5, 0), f'{inner} {clear}')


def first_start():
    start('flowmob-test-anchor')
    said = start('flowmobd')
    tell('flowmobd starts', show('flowmobd', 'ActiveState') == ['active'], said)
    tell('and is bound', 'error' not in flowmob('wait', '--for', 'bound', '--timeout', '40s', '--json'), flowmob())
    status = pathlib.Path(f'/proc/{show("flowmobd", "MainPID")[0]}/status').read_text()
    tell('as the user flowmob, with four capabilities',
         re.search(r'Uid:\t(\d+)', status).group(1) == out('id', '-u', 'flowmob') and
         int(re.search(r'CapEff:\t(\w+)', status).group(1), 16) == 1 << 12 | 1 << 13 | 1 << 38 | 1 << 39, status)
    tell_held('while the daemon runs')
    talk('while the daemon runs')


def changes():
    was = flowmob('events')
    said = out('systemctl', 'reload', 'flowmobd')
    tell('a reload reaches the daemon, which takes it', until(lambda: 'reloaded' in flowmob('events'), 10),
         said + flowmob('events')[len(was):])
    tell_held('after a reload')
    before, = show('flowmobd', 'MainPID')
    out('systemctl', 'restart', 'flowmobd')
    tell('a restart brings another process', show('flowmobd', 'MainPID', 'ActiveState')[0] not in (before, '0'), before)
    tell_held('after a restart')
    out('systemctl', 'restart', 'flowmob-guard')
    tell_held('after a restart of the guard')
    out('systemctl', 'stop', 'flowmobd')
    tell_held('after a stop')
    talk('after a stop')


def killed():
    start('flowmobd')
    before, = show('flowmobd', 'MainPID')
    os.kill(int(before), 9)
    tell_held('in the moment of kill -9')
    tell('systemd starts it again', until(lambda: show('flowmobd', 'MainPID')[0] not in (before, '0')), before)
    until(lambda: show('flowmobd', 'ActiveState') == ['active'])
    os.kill(int(show('flowmobd', 'MainPID')[0]), 9)
    out('systemctl', 'stop', 'flowmobd')
    time.sleep(3.5)  # its silence is noticed after three seconds
    tell_held_anew('long after kill -9')
    out('systemctl', 'restart', 'flowmob-guard')
    tell_held_anew('when the guard starts again without a daemon')


def journal():
    return out('journalctl', '-b', '-q', '-o', 'short-monotonic', '--no-pager')


def end():
    start('flowmobd')
    flowmob('wait', '--for', 'bound', '--timeout', '40s')
    said = flowmob('down')
    open_again = until(lambda: all(counted().get(p) for p in (SECRET, HOME, 7001)), 20)
    tell('after `flowmob down` they send, and it is seen', open_again, f'{said} {counted()}')
    lines = journal().splitlines()
    cycles = [x for x in lines if 'ordering cycle' in x]
    tell('the journal has no ordering cycle', not cycles, cycles)
    bad = [x for x in lines if re.search(r'flowmob(d|-guard).*([Ff]ailed|trouble|cannot|reload-refused)', x)
           and "result 'signal'" not in x]
    pins = os.listdir('/sys/fs/bpf/flowmob')
    tell('nothing is pinned any more', not pins, pins)
    tell('nor trouble of the units', not bad, bad)


def judge():
    for part in (boot, first_start, changes, killed, end):
        try:
            part()
        except (OSError, ValueError, KeyError, IndexError, AttributeError) as why:
            tell(f'{part.__name__} is played', False, repr(why))
        if failed:
            print(journal()[-8000:], flush=True)
            return 1
    return 0


if __name__ == '__main__':
    if sys.argv[1] == 'judge':
        sys.exit(judge())
    make(pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]).resolve())
