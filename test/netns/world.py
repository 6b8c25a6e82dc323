"""Worlds of `flowmob lab up` for tests that judge from outside: commands and sockets in any namespace of
a world, what the daemons say, what a device carries, and a call of numbered datagrams.
"""
import ctypes
import json
import os
import pathlib
import socket
import struct
import subprocess
import sys
import threading
import time

import pytest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
FLOWMOB = pathlib.Path(os.environ.get('FLOWMOB_BIN', ROOT / 'build/bin')) / 'flowmob'
PEER6, PEER4 = '2001:db8:ffff::1', '203.0.113.1'
ANCHOR6, ANCHOR4 = '2001:db8:a::1', '192.0.2.1'
CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)
OWN_NETNS = f'/proc/self/fd/{os.open("/proc/self/ns/net", os.O_RDONLY)}'


def setns(path):
    with open(path, 'rb') as f:
        if LIBC.setns(f.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), path)


def until(what, true, limit_s=10):
    """Return the first value of true() that counts; fails when none comes in time."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        try:
            value = true()
        except (OSError, ValueError, KeyError):
            value = None
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f'not within {limit_s} s: {what}')


class World:
    """One world that stands. Use it as a context: it goes at the end."""

    def __init__(self, name, scenario):
        self.instance = f'{name}-{os.getpid()}'
        self.dir = pathlib.Path('/run/flowmob-lab') / self.instance
        self.file = pathlib.Path(f'/tmp/{self.instance}.scenario')
        self.file.write_text(f'scenario "{name}" {{\n  duration = "1s"\n{scenario}\n}}\n')

    def __enter__(self):
        done = self.lab('up', str(self.file), check=False)
        if done.returncode != 0:
            self.__exit__()
            raise AssertionError(done.stdout + done.stderr)
        return self

    def __exit__(self, *_):
        self.lab('down', check=False)
        self.file.unlink(missing_ok=True)

    def lab(self, *words, check=True):
        return subprocess.run([FLOWMOB, 'lab', *words, '--instance', self.instance], check=check, text=True,
                              capture_output=True, timeout=60)

    def do(self, event, **about):
        self.lab('do', event, *(f'{k}={v}' for k, v in about.items()))

    def netns(self, node):
        return f'/run/netns/flowmob-{self.instance}-{node}'

    def inside(self, node, *words):
        """The command line that runs a program in any namespace of the world."""
        return ['nsenter', f'--net={self.netns(node)}', *map(str, words)]

    def run(self, node, *words, check=True):
        return subprocess.run(self.inside(node, *words), check=check, text=True, capture_output=True,
                              timeout=60).stdout

    def start(self, node, *words, **more):
        more = {'stdout': subprocess.PIPE, 'text': True, **more}
        return subprocess.Popen(self.inside(node, *words), **more)

    def socket(self, node, *kind):
        """A socket of ours that lives in a namespace of the world."""
        setns(self.netns(node))
        try:
            return socket.socket(*kind)
        finally:
            setns(OWN_NETNS)

    def ask(self, node, command, **more):
        """One request to a node's daemon; its answer."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(5)
            s.connect(str(self.dir / node / 'run/flowmob.sock'))
            s.sendall(json.dumps({'command': command, **more}).encode() + b'\n')
            with s.makefile() as f:
                return json.loads(f.readline())

    def events(self, node):
        """Names and reasons of what the daemon has told so far."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(0.3)
            s.connect(str(self.dir / node / 'run/flowmob.sock'))
            s.sendall(b'{"command":"events"}\n')
            lines, part = b'', b'-'
            try:
                while part:
                    part = s.recv(65536)
                    lines += part
            except socket.timeout:
                pass
        return [json.loads(x) for x in lines.splitlines()]

    def counters(self, node):
        return self.ask(node, 'counters')['counters']

    def bindings(self):
        """What the anchor holds, without what runs down by itself."""
        held = {}
        for b in self.ask('anchor', 'bindings')['bindings']:
            held[b['id']] = (b['home_address'],
                             sorted((x['bid'], x['care_of_address'], x.get('port')) for x in b['bids']),
                             sorted((x['pid'], x['prefix']) for x in b['leases']))
        return held

    def accesses(self, node='host'):
        return {a['name']: a for a in self.ask(node, 'status')['accesses']}

    def home(self, node='host', family=6):
        """The address that programs of the node use."""
        for a in self.ask(node, 'address')['addresses']:
            if a['address'] and (':' in a['address']) == (family == 6) and a['state'] != 'refused':
                return a['address']
        raise AssertionError(f'{node} has no address: {self.ask(node, "address")}')

    def pid(self, node):
        return self.ask(node, 'ping')['pid']

    def memory_kb(self, node):
        text = pathlib.Path(f'/proc/{self.pid(node)}/status').read_text()
        return int(text.split('VmRSS:')[1].split()[0])

    def octets(self, device, node='host'):
        """(sent, received) by a device so far."""
        stats = json.loads(self.run(node, 'ip', '-j', '-s', 'link', 'show', 'dev', device))[0]['stats64']
        return stats['tx']['bytes'], stats['rx']['bytes']

    def inject(self, node, packets):
        """Put whole IP packets, whatever they claim, on their way in a namespace."""
        with self.socket(node, socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW) as six, \
                self.socket(node, socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as four:
            six.setsockopt(socket.IPPROTO_IPV6, 36, 1)  # IPV6_HDRINCL
            for n, p in enumerate(map(bytes, packets)):
                if p[0] >> 4 == 6:
                    six.sendto(p, (socket.inet_ntop(socket.AF_INET6, p[24:40]), 0))
                else:
                    four.sendto(p, (socket.inet_ntop(socket.AF_INET, p[16:20]), 0))
                if n % 50 == 49:
                    time.sleep(0.005)  # no queue of the world has to drop


def grown(before, after):
    """The counters that moved, and by how much."""
    return {k: after[k] - before[k] for k in after if after[k] != before.get(k, 0)}


def dropped_by_machine():
    """Packets that the kernel dropped before any namespace saw them: all share one backlog a CPU."""
    with open('/proc/net/softnet_stat', encoding='ascii') as f:
        return sum(int(line.split()[1], 16) for line in f)


def assert_whole(report, lost=0, more=None):
    """Nothing lost (or so much), nothing twice, no error; where the machine itself was flooded there is nothing
    to be judged."""
    if report['lost'] > lost and report['dropped_by_machine']:
        pytest.skip(f'the machine is flooded: {report}')
    text = f'{report} {more() if more and report["lost"] > lost else ""}'
    assert report['lost'] <= lost and (report['duplicated'], report['errors']) == (0, 0), text


class Capture:
    """Frames that a device of the world carries, from now until stop()."""

    def __init__(self, world, node, device):
        self.socket = world.socket(node, socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.socket.bind((device, 3))
        self.socket.settimeout(0.2)
        self.frames, self.is_open = [], True
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self):
        while self.is_open:
            try:
                self.frames.append((time.time(), self.socket.recv(65536)))
            except OSError:  # nothing for a while, or the device went down
                pass

    def stop(self):
        self.is_open = False
        self.thread.join()
        self.socket.close()
        return [f for _, f in self.frames]

    def write(self, path):
        """The same as a pcap file."""
        with open(path, 'wb') as f:
            f.write(struct.pack('<IHHiIII', 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
            for at, frame in self.frames:
                f.write(struct.pack('<IIII', int(at), int(at % 1 * 1e6), len(frame), len(frame)) + frame)


class Call:
    """Numbered datagrams from a node to an echo at another and back, by test/netns/call.py."""

    def __init__(self, world, rate=1000, size=160, port=5004, to=PEER6, node='host', at='peer'):
        script = str(HERE / 'call.py')
        self.dropped = dropped_by_machine()
        self.echo = world.start(at, sys.executable, script, 'echo', to, port)
        assert self.echo.stdout.readline() == 'ready\n'
        self.call = world.start(node, sys.executable, script, 'call', to, port, rate, size,
                                stdin=subprocess.PIPE)

    def report(self):
        """What happened since the last report; waits for what is in flight."""
        self.call.stdin.write('report\n')
        self.call.stdin.flush()
        report = json.loads(self.call.stdout.readline())
        return report | {'dropped_by_machine': dropped_by_machine() - self.dropped}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for p in (self.call, self.echo):
            p.kill()
            p.wait()
