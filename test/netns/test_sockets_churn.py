"""Sockets opened and closed at random by processes that are killed meanwhile (churn.c): no reference is left
over, no address goes while anything uses it, and what nothing uses is released. Now and then all processes are
frozen, and the hooks' counts compared with every descriptor there is, those on their way in messages too.
"""
import collections
import ctypes
import ipaddress
import json
import os
import pathlib
import random
import socket
import struct
import subprocess
import sys
import threading
import time

import pytest

from world import FLOWMOB, PEER4, PEER6, ROOT, World, until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason='network namespaces need root')

HERE = pathlib.Path(__file__).resolve().parent
WORLD = '''
  access "wifi" { family = "dual"  delay = "2ms" }
  access "lte"  { family = "dual"  delay = "4ms" }
  host { default { via = {"wifi", "lte"} } }
'''
POOLS = ipaddress.ip_network('2001:db8:100::/40')
KEPT = 'session-lasting'  # one of the default type is held in advance
OPTION, OPTION_LEN, READY, CHILD = 72, 48, 0x00200000, 5
SO_PEEK_OFF, PIDFD_GETFD = 42, 438
RELEASED_S = 30  # 10 s after the last use, which is looked for every 8 s where only orphans are left
LIBC = ctypes.CDLL(None, use_errno=True)


def get_fd(pidfd, number):
    """Another process's descriptor."""
    fd = LIBC.syscall(PIDFD_GETFD, pidfd, number, 0)
    if fd < 0:
        raise OSError(ctypes.get_errno(), 'pidfd_getfd')
    return fd


class Judge:
    def __init__(self, world, child):
        self.world = world
        path = pathlib.Path(f'/proc/{child.pid}/cgroup').read_text().split('0::', 1)[1].splitlines()[0]
        mount = next(line.split()[1] for line in open('/proc/mounts', encoding='ascii') if ' cgroup2 ' in line)
        self.cgroup = pathlib.Path(mount + path)
        self.pins = f'/sys/fs/bpf/flowmob-lab/{world.instance}/host'
        self.early, self.looks, self.seen = [], 0, 0
        self.monitor = world.start('host', 'ip', 'monitor', 'address', stderr=subprocess.DEVNULL)
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()

    def sockets(self):
        """(address, line) of every socket of the node but those in TIME-WAIT, orphans and children too."""
        for line in self.world.run('host', 'ss', '-Hntuae').splitlines():
            words = line.split()
            address = words[4].rpartition(':')[0].strip('[]').partition('%')[0]
            if words[1] != 'TIME-WAIT' and address not in ('*', '::', '0.0.0.0'):
                yield address.removeprefix('::ffff:'), line

    def watch(self):
        """An address goes off fm0: nothing may have it."""
        for line in self.monitor.stdout:
            words = line.split()
            if words[0] != 'Deleted' or words[2] != 'fm0':
                continue
            gone = words[4].partition('/')[0]
            self.seen += 1
            self.early += [f'{gone} went: {x}' for address, x in self.sockets() if address == gone]

    def map(self, name):
        done = subprocess.run(['bpftool', '-j', 'map', 'dump', 'pinned', f'{self.pins}/{name}'], check=True,
                              capture_output=True, text=True, timeout=20)
        return json.loads(done.stdout)

    def counted(self):
        """What the hooks count: {address: sockets}."""
        octets = {name: {int.from_bytes(bytes.fromhex(''.join(x[2:] for x in e['key'])), sys.byteorder):
                         bytes.fromhex(''.join(x[2:] for x in e['value'])) for e in self.map(name)}
                  for name in ('fm_sock_slots_v1', 'fm_sock_refs_v1')}
        counts = collections.Counter()
        for slot, value in octets['fm_sock_slots_v1'].items():
            n = struct.unpack_from('=Q', octets['fm_sock_refs_v1'][slot])[0]
            address = ipaddress.ip_address(value[8:24])
            if struct.unpack_from('=I', value)[0]:
                counts[str(address.ipv4_mapped or address)] += n
            else:
                assert n == 0, f'slot {slot} is not in use and counts {n}'
        return +counts

    def descriptors(self):
        """A socket object for each socket that any process or message has, once."""
        seen = set()
        for pid in map(int, (self.cgroup / 'cgroup.procs').read_text().split()):
            try:
                pidfd = os.pidfd_open(pid)
                yield from self.of_process(pid, pidfd, seen)
                os.close(pidfd)
            except (FileNotFoundError, ProcessLookupError):
                continue  # killed, and ended meanwhile

    def of_process(self, pid, pidfd, seen):
        for number in os.listdir(f'/proc/{pid}/fd'):
            name = os.readlink(f'/proc/{pid}/fd/{number}')
            if not name.startswith('socket:[') or int(name[8:-1]) in seen:
                continue
            seen.add(int(name[8:-1]))
            with socket.socket(fileno=get_fd(pidfd, int(number))) as s:
                if s.family == socket.AF_UNIX:
                    yield from self.in_messages(s, seen)
                else:
                    yield s

    def in_messages(self, box, seen):
        box.setsockopt(socket.SOL_SOCKET, SO_PEEK_OFF, 0)
        try:
            while True:
                _, rights, _, _ = box.recvmsg(64, socket.CMSG_LEN(4), socket.MSG_PEEK | socket.MSG_DONTWAIT)
                for _, _, octets in rights:
                    with socket.socket(fileno=struct.unpack('=i', octets)[0]) as s:
                        inode = os.fstat(s.fileno()).st_ino
                        if inode not in seen:
                            seen.add(inode)
                            yield s
        except BlockingIOError:
            box.setsockopt(socket.SOL_SOCKET, SO_PEEK_OFF, -1)

    def held(self):
        """What descriptors hold: {address: sockets}. Children are not the hooks' to count."""
        counts = collections.Counter()
        for s in self.descriptors():
            value = s.getsockopt(socket.IPPROTO_IPV6, OPTION, OPTION_LEN)
            is_child = (s.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT) == CHILD and
                        not s.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
            if len(value) == OPTION_LEN and struct.unpack_from('=I', value)[0] & READY and not is_child:
                address = ipaddress.ip_address(value[8:24])
                counts[str(address.ipv4_mapped or address)] += 1
        return counts

    def lent(self):
        return {ipaddress.ip_network(x['prefix']): x['type']
                for b in self.world.ask('anchor', 'bindings')['bindings'] for x in b['leases'] if ':' in x['prefix']}

    def look_whole(self):
        """Every socket's address is there, on the host and at the anchor."""
        there = {address: line for address, line in self.sockets()}
        homes = self.world.run('host', 'ip', '-o', 'address', 'show', 'dev', 'fm0')
        lent = self.lent()
        for address, line in there.items():
            ip = ipaddress.ip_address(address)
            if ip in POOLS and (f' {address}/' not in homes or not any(ip in prefix for prefix in lent)):
                self.early.append(f'{address} is not there: {line}')

    def compare(self):
        """All stand still: counts are equal. What was being closed is closed soon after."""
        (self.cgroup / 'cgroup.freeze').write_text('1')
        try:
            until('frozen', lambda: 'frozen 1' in (self.cgroup / 'cgroup.events').read_text(), 5)
            self.look_whole()
            end = time.monotonic() + 3
            while (held := self.held()) != (counted := self.counted()) and time.monotonic() < end:
                time.sleep(0.05)
            assert held == counted
            self.shown(counted)
            self.looks += 1
            return sum(held.values())
        finally:
            (self.cgroup / 'cgroup.freeze').write_text('0')

    def shown(self, counted):
        """`flowmob address` says no less than the hooks count."""
        for row in self.world.ask('host', 'address')['addresses']:
            if row['address']:
                assert row['sockets'] >= counted.get(row['address'], 0), (row, counted)

    def stop(self):
        self.monitor.kill()
        self.monitor.wait()
        self.thread.join()


@pytest.fixture(scope='module')
def program(tmp_path_factory):
    path = tmp_path_factory.mktemp('churn') / 'churn'
    subprocess.run(['gcc', '-std=c17', '-D_GNU_SOURCE', '-O1', '-Wall', '-Wextra', '-Werror', f'-I{ROOT}/include',
                    HERE / 'churn.c', '-o', path], check=True)
    return path


def churn(world, program, sockets, workers, seed):
    """Runs it under the judge's eyes. Returns what it did."""
    print(f'seed {seed}')
    peer = world.start('peer', sys.executable, HERE / 'churn_peer.py')
    assert peer.stdout.readline() == 'ready\n'
    child = subprocess.Popen([FLOWMOB, 'lab', 'exec', '--instance', world.instance, 'host', '--',
                              *map(str, (program, sockets, workers, seed, PEER6, PEER4))],
                             stdout=subprocess.PIPE, text=True)
    draw = random.Random(seed)
    try:
        time.sleep(1)
        judge = Judge(world, child)
        most = 0
        while child.poll() is None:
            most = max(most, judge.compare())
            time.sleep(draw.uniform(0.2, 2))
        assert child.returncode == 0
        return judge, most, json.loads(child.stdout.read())
    finally:
        if child.poll() is None:
            (judge.cgroup / 'cgroup.kill').write_text('1')
        child.wait()
        peer.kill()
        peer.wait()


@pytest.mark.parametrize('sockets, workers', [
    (500, 10), pytest.param(10000, 50, marks=pytest.mark.long)])
def test_nothing_is_left_over_and_nothing_goes_early(program, sockets, workers):
    seed = int(os.environ.get('CHURN_SEED', random.randrange(1 << 30)))
    with World('churn', WORLD) as world:
        until('the host is bound', lambda: world.ask('anchor', 'bindings')['bindings'])
        judge, most, did = churn(world, program, sockets, workers, seed)
        until('no reference is left', lambda: not judge.counted(), 3)
        assert judge.map('fm_sock_requests_v1') == []
        until('all is released but what is kept ready', lambda: list(judge.lent().values()) == [KEPT], RELEASED_S)
        judge.stop()
        print(did, f'{judge.looks} looks, {most} held at most, {judge.seen} addresses went')
        assert judge.early == []
        assert did['lost'] == 0
        assert [e for e in world.events('host') if e['event'] == 'address-lost'] == []
        for what in ('kills', 'connected', 'dups', 'forks', 'execs', 'passed', 'taken', 'accepted', 'bulk'):
            assert did[what] > 0, did
        assert judge.looks >= 3 and most > workers and judge.seen > 0
