"""A world for doc/start.md: two bare machines, the network between them, and a peer.

Each machine is a process in a network and a mount namespace of its own; nothing has a name outside,
and when the processes end everything is gone.
"""
import os
import pathlib
import signal
import socket
import subprocess
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get('FLOWMOB_BIN', ROOT / 'build/bin'))


class Machine:
    """Runs commands as on a machine of its own: its network, its /etc, its /run/flowmob."""

    def __init__(self, name, scratch):
        self.name, self.dir, self.children = name, scratch / name, []
        for part in ('etc', 'work', 'run', 'state', 'bpf'):
            (self.dir / part).mkdir(parents=True)
        self.init = subprocess.Popen(['unshare', '-n', '-m', 'sh', '-c', 'echo ready; exec sleep 600'],
                                     stdout=subprocess.PIPE)
        self.init.stdout.readline()
        self.env = dict(os.environ, PATH=f'{BIN}:' + os.environ['PATH'],
                        FLOWMOB_SOCKET=str(self.dir / 'run/flowmob.sock'))
        self.sh(f'''mount -t overlay overlay -o lowerdir=/etc,upperdir={self.dir}/etc,workdir={self.dir}/work /etc
                    mount -t bpf bpf {self.dir}/bpf
                    mkdir -p /etc/flowmob
                    sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
                    ip link set lo up''')

    def enter(self, *words):
        return ['nsenter', '-t', str(self.init.pid), '-n', '-m', f'--wd={ROOT}', *words]

    def sh(self, script, **more):
        done = subprocess.run(self.enter('sh', '-euc', script), env=self.env, text=True, timeout=60,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)
        assert done.returncode == 0, f'{self.name}: {script}\n{done.stdout}'
        return done.stdout

    def start(self, *words, **more):
        child = subprocess.Popen(self.enter(*words), **{'env': self.env, **more})
        self.children.append(child)
        return child

    def start_daemon(self, cgroup):
        """What `systemctl enable --now flowmobd` does, with directories of its own: it waits until
        the daemon says that it is ready."""
        ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        ready.bind(str(self.dir / 'notify'))
        ready.settimeout(60)
        env = dict(self.env, NOTIFY_SOCKET=str(self.dir / 'notify'))
        self.start('flowmobd', '--state', self.dir / 'state', '--run', self.dir / 'run', '--pin', self.dir / 'bpf',
                   '--cgroup', cgroup, stderr=open(self.dir / 'log', 'a'), env=env)
        assert b'READY=1' in ready.recv(256)

    def log(self):
        path = self.dir / 'log'
        return path.read_text() if path.exists() else ''

    def end(self):
        for child in self.children + [self.init]:
            child.kill()
            child.wait()


class World:
    def __init__(self, scratch):
        self.scratch = scratch
        self.machines = {n: Machine(n, scratch) for n in ('host', 'anchor', 'core', 'peer')}
        for name, machine in self.machines.items():
            setattr(self, name, machine)
        self.cgroup = self.make_cgroup()
        self.wire()

    @staticmethod
    def make_cgroup():
        with open('/proc/self/mountinfo') as f:
            mounts = [line.split()[4] for line in f if ' - cgroup2 ' in line]
        path = pathlib.Path(mounts[0] if mounts else '/sys/fs/cgroup') / f'fmstart-{os.getpid()}'
        path.mkdir(exist_ok=True)
        return path

    def link(self, machine, device, to):
        """A cable from @machine's @device to the network in between."""
        machine.sh(f'ip link add {device} type veth peer name {to} netns {self.core.init.pid}; '
                   f'ip link set {device} up')
        self.core.sh(f'ip link set {to} up')

    def wire(self):
        self.link(self.host, 'wlan0', 'wifi')
        self.link(self.host, 'wwan0', 'lte')
        self.link(self.anchor, 'eth0', 'site')
        self.link(self.peer, 'eth0', 'server')
        self.core.sh('''sysctl -qw net.ipv6.conf.all.forwarding=1 net.ipv4.ip_forward=1
            ip addr add 2001:db8:1::1/64 dev wifi
            ip addr add 203.0.113.65/26 dev lte
            ip addr add 2001:db8:a::ff/64 dev site; ip addr add 192.0.2.254/24 dev site
            ip addr add 2001:db8:ffff::ff/64 dev server; ip addr add 203.0.113.190/26 dev server
            ip route add 2001:db8:100::/40 via 2001:db8:a::1
            ip route add 198.51.100.0/24 via 192.0.2.1''')
        self.host.sh('''ip addr add 2001:db8:1::2/64 dev wlan0; ip route add default via 2001:db8:1::1
            ip addr add 203.0.113.66/26 dev wwan0; ip route add default via 203.0.113.65''')
        self.anchor.sh('''ip addr add 2001:db8:a::1/64 dev eth0; ip addr add 192.0.2.1/24 dev eth0
            ip route add default via 2001:db8:a::ff; ip route add default via 192.0.2.254''')
        self.peer.sh('''ip addr add 2001:db8:ffff::1/64 dev eth0; ip addr add 203.0.113.129/26 dev eth0
            ip route add default via 2001:db8:ffff::ff; ip route add default via 203.0.113.190''')

    def end(self):
        for machine in self.machines.values():
            machine.end()
        for _ in range(50):
            try:
                self.cgroup.rmdir()
                return
            except OSError:
                time.sleep(0.1)


@pytest.fixture
def world(tmp_path):
    w = World(tmp_path)
    signal.signal(signal.SIGTERM, lambda *_: pytest.exit('ended'))
    try:
        yield w
    finally:
        w.end()
