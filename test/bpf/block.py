#!/usr/bin/env python3
"""
The `block` programs without the daemon: block_drive puts rules in, programs in cgroups and of users send, and what is
dropped fails with EPERM and is counted. Usage: block.py BUILD/test/bpf; exit code 77 where it is not permitted.
"""
import ctypes
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import traceback

BUILD = sys.argv[1]
NETNS = 0x40000000
PEER6, PEER4, OTHER6 = '2001:db8:1::2', '192.0.2.2', '2001:db8:2::2'
PORT, NOBODY = 7000, 65534
NAME, WHOLE, ANY = 1, 2, 3
libc = ctypes.CDLL(None, use_errno=True)
rows = []


def row(name):
    def note(f):
        rows.append((name, f))
        return f
    return note


def run(line, check=True):
    r = subprocess.run(line.split(), capture_output=True, text=True)
    if check and r.returncode:
        raise RuntimeError(f'{line}: {r.stdout}{r.stderr}')
    return r.stdout


def same(a, b):
    assert a == b, f'{a!r} is not {b!r}'


class Drive:
    """The daemon's part; one line there, the lines of the answer back."""

    def __init__(self, *around):
        self.p = subprocess.Popen([*around, f'{BUILD}/block_drive'], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self(f'open {PIN} {CGROUP} {TOP}')

    def __call__(self, *lines):
        out = []
        for line in lines:
            self.p.stdin.write(line + '\n')
            self.p.stdin.flush()
            for answer in iter(self.p.stdout.readline, ''):
                if answer == 'ok\n':
                    break
                if answer.startswith('error'):
                    raise OSError(int(answer.split()[1]), line)
                out.append(answer.strip())
            else:
                raise RuntimeError(f'block_drive ended at: {line}')
        return out

    def drops(self):
        return int(self('drops')[0].split()[1])

    def end(self):
        """As kill -9: what is pinned stays."""
        self.p.kill()
        self.p.wait()


def sent(to=PEER6, port=PORT, family=None, kind=socket.SOCK_DGRAM, options=()):
    """Did a datagram leave? Else the program that dropped it says EPERM."""
    with socket.socket(family or (socket.AF_INET if '.' in to else socket.AF_INET6), kind) as s:
        for o in options:
            s.setsockopt(*o)
        try:
            s.sendto(b'?', (to, port))
            return True
        except PermissionError:
            return False


def within(cgroup, what, uid=0, fresh_netns=False):
    """The same in another process: in that cgroup below ours, as that user."""
    where = f'{CGROUP}/{cgroup}'
    os.makedirs(where, exist_ok=True)
    child = os.fork()
    if child == 0:
        try:
            with open(f'{where}/cgroup.procs', 'w') as f:
                f.write(str(os.getpid()))
            if fresh_netns:
                libc.unshare(NETNS)
                net()
            if uid:
                os.setuid(uid)
            os._exit(10 + what())
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (10, 11), f'exit code {status}'
    return status == 11


@row('without rules all leaves, with a rule for all nothing but what stays on its link')
def _(d):
    d('put')
    same((sent(), sent(PEER4), d.drops()), (True, True, 0))
    d('rule 0', 'put')
    same((sent(), sent(PEER4)), (False, False))
    same(d.drops(), 2)
    same((sent('::1'), sent('127.0.0.1')), (True, True))
    same((sent('fe80::1%w0'), sent('ff02::1%w0'), sent('169.254.1.1'), sent('224.0.0.5')), (True,) * 4)
    same(sent('255.255.255.255', options=[(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)]), True)
    same(d.drops(), 2)
    run(f'ip -6 neigh flush dev w0')
    before = d.drops()
    run(f'ping -6 -c1 -W1 {PEER6}', check=False)  # itself stopped: but nobody asks for neighbours then
    assert d.drops() > before


@row('words that a packet shows: port, code point, prefix')
def _(d):
    d('rule 0 dport 7001', f'rule 0 dst {OTHER6}', 'rule 0 tc 184', 'put')
    same((sent(), sent(port=7001), sent(PEER4, 7001), sent(OTHER6)), (True, False, False, False))
    same(sent(options=[(socket.IPPROTO_IPV6, 67, 184)]), False)  # IPV6_TCLASS
    same(sent(options=[(socket.IPPROTO_IPV6, 67, 40)]), True)


@row('by user, by the name of a cgroup that was there, and of one made later; all below it too')
def _(d):
    os.makedirs(f'{CGROUP}/unit-old.scope', exist_ok=True)
    d('rule 1', 'rule 2', f'user {NOBODY} 1', f'pattern {NAME} 2 unit- .scope', 'put')
    same(sent(), True)
    same(within('other', sent, uid=NOBODY), False)
    same((within('unit-old.scope', sent), within('unit-old.scope/a/b', sent)), (False, False))
    same((within('unit-new.scope', sent), within('unit-new.scope/a/b', sent)), (False, False))
    same((within('unit-new.service', sent), within('my-unit-new.scope', sent), within('unit-.scope', sent)),
         (True, True, False))


@row('a pattern of a path; one star for one name; what cannot be compared fits every new one')
def _(d):
    d('rule 1', 'rule 2 dport 7002', 'rule 4 dport 7003', f'pattern {WHOLE} 1 {BELOW}/path/x',
      f'pattern {WHOLE} 2 {BELOW}/open/ -', f'pattern {ANY} 4 [z]', 'put')
    same((within('path/x', sent), within('path/y', sent), within('path/x/below', sent)), (False, True, False))
    two = lambda: sent(port=7002)
    same((within('open/one', two), within('open', two), within('opened/one', two)), (False, True, True))
    same((within('fresh', lambda: sent(port=7003)), sent(port=7003)), (False, True))


@row('classes that only the daemon knows count as had while it is dead; all needed ones must be had')
def _(d):
    d(f'rule {1 << 32} dport 7001', 'rule 3 dport 7002', f'cannot {1 << 32 | 1}', f'user {NOBODY} 2', 'put')
    same((sent(port=7001), sent(port=7002), within('other', lambda: sent(port=7002), uid=NOBODY)), (False, True, False))
    d('beat 0')
    same(sent(port=7001), True)  # nobody was told that name
    same(within('other', lambda: sent(port=7002), uid=NOBODY), False)  # a program that was not judged yet
    time.sleep(3.2)
    same(sent(port=7001), False)


@row('a rule whose condition does not hold rests while the daemon says so')
def _(d):
    d('rule 0 dport 7001', 'put', 'beat 3')
    same(sent(port=7001), True)
    d('beat 0')
    same(sent(port=7001), False)
    d('beat 3')
    time.sleep(3.2)
    same(sent(port=7001), False)


@row("flowmob's device and the daemon's sockets are let through, another namespace is left alone")
def _(d):
    d('rule 0', 'put')
    same(sent(), False)
    with open(f'{CGROUP}/cgroup.procs', 'w') as f:
        f.write(str(d.p.pid))
    try:
        d(f'send {PEER6} {PORT}')
        raise AssertionError('it is not served yet')
    except PermissionError:
        pass
    d('serve 0', 'beat 0', f'send {PEER6} {PORT}')
    same(sent(), False)
    d(f'serve {socket.if_nametoindex("w0")}')
    same(sent(), True)
    d('serve 0')
    same((sent(), within('other', sent, fresh_netns=True)), (False, True))


@row('the daemon in a pid namespace of its own: its sockets are known all the same')
def _(d):
    d.end()
    d.__init__('unshare', '--pid', '--fork', '--kill-child')
    d('rule 0', 'put', 'serve 0', 'beat 0')
    with open(f'{CGROUP}/cgroup.procs', 'w') as f:
        f.write(run(f'pgrep -P {d.p.pid}').strip())
    d(f'send {PEER6} {PORT}')
    same(sent(), False)


@row('into the tunnel goes all but what only the daemon could tell: alive, while accesses are down; dead, always')
def _(d):
    d('other 0 dport 7003', 'rule 1 dport 7001', 'rule 0 dport 7002', f'rule {1 << 32} dport 7003',
      f'rule {1 << 32} dport 7004', f'cannot {1 | 1 << 32}', 'put', f'serve {socket.if_nametoindex("w0")}', 'beat 0 0')
    all_four = lambda: [sent(port=p) for p in (7001, 7002, 7003, 7004)]
    same(all_four(), [True] * 4)
    d('beat 0 0x3fc')  # each rule stands for both families
    same(all_four(), [False, True, True, True])
    d('beat 0 0')
    same(all_four(), [True] * 4)
    time.sleep(3.2)
    same(all_four(), [False, True, True, False])


@row('it stays when its loader is killed; another one takes it over and changes it')
def _(d):
    d(f'user {NOBODY} 1', 'rule 1', f'pattern {NAME} 2 unit- -', 'rule 2', 'put')
    d.end()
    same((within('other', sent, uid=NOBODY), within('unit-later', sent), sent()), (False, False, True))
    d.__init__()
    same(within('other', sent, uid=NOBODY), False)
    d(f'user {NOBODY} 2', 'rule 1', f'pattern {NAME} 1 unit- -', 'put')
    same((within('other', sent, uid=NOBODY), within('unit-later', sent), sent()), (True, False, True))
    d('put')
    same((within('unit-later', sent), sent()), (True, True))


@row('classes of cgroups go with them')
def _(d):
    def noted():
        return run(f'bpftool map dump pinned {PIN}/fm_block_cgroups_v1').count('key')
    d('rule 1', f'pattern {NAME} 1 many- -', 'put')
    before = noted()
    for n in range(50):
        os.mkdir(f'{CGROUP}/many-{n}')
    same(noted() - before, 50)
    for n in range(50):
        os.rmdir(f'{CGROUP}/many-{n}')
    end = time.monotonic() + 10
    while noted() > before and time.monotonic() < end:
        time.sleep(0.1)
    same(noted(), before)


@row('after the daemon has become another user: new rules, rules for the first time, none any more')
def _(d):
    d('rule 0 dport 7001', 'put', 'close')
    d(f'open {PIN} {CGROUP} {TOP}', 'drop nobody', 'rule 0 dport 7002', 'put')
    same((sent(port=7001), sent(port=7002)), (True, False))
    d('remove')
    end = time.monotonic() + 5
    while not sent(port=7002) and time.monotonic() < end:  # what root attached goes with its pin, a moment later
        time.sleep(0.05)
    same((sent(port=7002), os.listdir(PIN)), (True, []))
    d(f'open {PIN} {CGROUP} {TOP}', 'rule 1', f'pattern {NAME} 1 dropped- -', 'put', 'serve 0')
    same((within('dropped-1', sent), sent()), (False, True))


@row('removed, nothing blocks and nothing is pinned')
def _(d):
    d('rule 0', 'put')
    same(sent(), False)
    d('remove')
    same((sent(), os.listdir(PIN)), (True, []))


def net():
    for line in ('ip link set lo up', 'ip link add w0 type veth peer name w1', 'ip link set w1 up',
                 'sysctl -qw net.ipv6.conf.w0.accept_dad=0', 'ip link set w0 up',
                 'ip addr add 2001:db8:1::1/64 dev w0 nodad', 'ip addr add 192.0.2.1/24 dev w0',
                 'ip route add 2001:db8::/32 via 2001:db8:1::2 dev w0', 'ip route add default dev w0'):
        run(line)


def home_of_cgroups():
    for line in open('/proc/self/mountinfo'):
        left, _, right = line.partition(' - ')
        if right.split()[0] == 'cgroup2':
            return left.split()[4]
    print('no cgroup v2 is mounted', file=sys.stderr)
    sys.exit(77)


def run_rows():
    failed = 0
    for name, f in rows:
        d = Drive()
        try:
            f(d)
            print(f'ok {name}', flush=True)
        except (AssertionError, OSError, ValueError, RuntimeError) as e:
            failed += 1
            line = re.findall(r'line (\d+), in _', ''.join(traceback.format_exception(e)))
            print(f'FAIL {name}: line {line[-1] if line else "?"}: {type(e).__name__} {e}', flush=True)
        finally:
            d.end()
            d.__init__()
            d('remove')
            d.end()
    return failed


def remove_tree(path):
    for where, _, _ in os.walk(path, topdown=False):
        for _ in range(100):  # until the last of its processes is gone
            try:
                os.rmdir(where)
                break
            except OSError:
                time.sleep(0.05)


def main():
    global BELOW, CGROUP, PIN, TOP
    if os.geteuid() != 0:
        print('only root may load eBPF programs', file=sys.stderr)
        return 77
    TOP = home_of_cgroups()
    home = next(line.split(':', 2)[2].strip() for line in open('/proc/self/cgroup') if line.startswith('0::'))
    BELOW = f'/fmblock-{os.getpid()}'
    CGROUP = TOP + BELOW
    bpffs = tempfile.mkdtemp(prefix='fmblock-')
    PIN = f'{bpffs}/pins'
    os.chmod(bpffs, 0o755)
    run(f'mount -t bpf -o mode=0755 bpf {bpffs}')
    os.mkdir(CGROUP)
    try:
        if libc.unshare(NETNS) < 0:
            print('not permitted', file=sys.stderr)
            return 77
        net()
        os.makedirs(f'{CGROUP}/self')
        with open(f'{CGROUP}/self/cgroup.procs', 'w') as f:
            f.write(str(os.getpid()))
        return 1 if run_rows() else 0
    finally:
        with open(f'{TOP}{home}/cgroup.procs', 'w') as f:
            f.write(str(os.getpid()))
        run(f'umount {bpffs}', check=False)
        os.rmdir(bpffs)
        remove_tree(CGROUP)


if __name__ == '__main__':
    sys.exit(main())
