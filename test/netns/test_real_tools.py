"""Programs that nobody here wrote, unmodified, through planned moves and a silent cut: ssh, curl,
iperf3 (TCP and UDP), ping, DTLS by openssl. All of them run at once over one host's home prefix;
what counts is what they say themselves, and what came back at the other end.
"""
import hashlib
import json
import os
import pathlib
import re
import subprocess
import threading
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
FLOWMOB = pathlib.Path(os.environ.get('FLOWMOB_BIN', ROOT / 'build/bin')) / 'flowmob'
INSTANCE = 'real-tools'
PEER = '2001:db8:ffff::1'
PLAY_S = 12
PORTS = {'ssh': 2222, 'http': 8080, 'iperf-tcp': 5201, 'iperf-udp': 5202, 'dtls': 4433}

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason='network namespaces need root')


def lab(*args, check=True):
    return subprocess.run([FLOWMOB, 'lab', *args, '--instance', INSTANCE], check=check, text=True,
                          capture_output=True, timeout=60)


def inside(node, *command):
    return [str(FLOWMOB), 'lab', 'exec', '--instance', INSTANCE, node, '--', *command]


def start(node, *command, **more):
    return subprocess.Popen(inside(node, *command), text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, **more)


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """Keys, certificates and a file to fetch, made anew."""
    d = tmp_path_factory.mktemp('real-tools')
    for name in ('host_key', 'user_key'):
        subprocess.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', d / name], check=True)
    (d / 'authorized').write_text((d / 'user_key.pub').read_text())
    (d / 'sshd_config').write_text(
        f'Port {PORTS["ssh"]}\nHostKey {d}/host_key\nAuthorizedKeysFile {d}/authorized\n'
        f'StrictModes no\nPidFile {d}/sshd.pid\nUsePAM no\nPermitRootLogin yes\n')
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj',
                    '/CN=peer', '-keyout', d / 'dtls.key', '-out', d / 'dtls.crt'], check=True,
                   capture_output=True)
    (d / 'www').mkdir()
    (d / 'www/file').write_bytes(os.urandom(5_000_000))
    return d


def wait_for_port(node, port, udp=False):
    """Until somebody listens there; 10 s at most."""
    kind = '-uln' if udp else '-tln'
    for _ in range(100):
        out = subprocess.run(inside(node, 'ss', kind), text=True, capture_output=True).stdout
        if f':{port} ' in out:
            return
        time.sleep(0.1)
    raise AssertionError(f'nobody listens on port {port}')


@pytest.fixture(scope='module')
def servers(files):
    os.makedirs('/run/sshd', exist_ok=True)
    lab('up', str(ROOT / 'test/netns/real-tools.scenario'))
    running = []
    try:
        running = [
            start('peer', '/usr/sbin/sshd', '-D', '-e', '-f', str(files / 'sshd_config')),
            start('peer', 'python3', '-m', 'http.server', '--bind', '::', '--directory',
                  str(files / 'www'), str(PORTS['http'])),
            start('peer', 'iperf3', '-s', '-1', '-p', str(PORTS['iperf-tcp'])),
            start('peer', 'iperf3', '-s', '-1', '-p', str(PORTS['iperf-udp'])),
        ]
        for name in ('ssh', 'http', 'iperf-tcp', 'iperf-udp'):
            wait_for_port('peer', PORTS[name])
        yield files
    finally:
        for process in running:
            process.terminate()
        lab('down', check=False)


class Lines:
    """A program that is fed a numbered line every 50 ms; keeps what it prints."""

    def __init__(self, node, *command):
        self.process = start(node, *command, stdin=subprocess.PIPE)
        self.sent, self.out = 0, ''
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        self.out = self.process.stdout.read()

    def feed(self, until):
        while time.monotonic() < until:
            self.sent += 1
            try:
                self.process.stdin.write(f'line-{self.sent}-end\n')
                self.process.stdin.flush()
            except OSError:
                return
            time.sleep(0.05)

    def end(self):
        try:
            self.process.stdin.close()
        except OSError:
            pass


def lines_in(text):
    return {int(n) for n in re.findall(r'line-(\d+)-end', text)}


def move_all(access):
    """Moves what has a port, then counts for a second what the accesses carry; the access they were moved to
    has to carry nearly all of it."""
    for name, port in PORTS.items():
        kind = 'udp' if name in ('iperf-udp', 'dtls') else 'tcp'
        subprocess.run(inside('host', str(FLOWMOB), 'move', '--match', f'{kind} dport {port}', access),
                       capture_output=True, text=True, check=True)
    time.sleep(0.3)
    before = octets()
    time.sleep(1)
    return {name: count - before[name] for name, count in octets().items()}


def octets():
    """What each access of the host has carried so far, both ways."""
    links = json.loads(subprocess.run(inside('host', 'ip', '-j', '-s', 'link'), check=True, text=True,
                                      capture_output=True).stdout)
    return {x['ifname']: x['stats64']['tx']['bytes'] + x['stats64']['rx']['bytes'] for x in links
            if x['ifname'] in ('wifi', 'lte')}


@pytest.fixture(scope='module')
def played(servers):
    """Everything runs for 12 s: moved at 2 s and back at 4 s, the access is cut silently at 7 s."""
    f, begin = servers, time.monotonic()
    dtls_server = Lines('peer', 'openssl', 's_server', '-dtls1_2', '-6', '-accept', str(PORTS['dtls']),
                        '-cert', str(f / 'dtls.crt'), '-key', str(f / 'dtls.key'), '-quiet')
    wait_for_port('peer', PORTS['dtls'], udp=True)
    ssh = Lines('host', 'ssh', '-q', '-p', str(PORTS['ssh']), '-i', str(f / 'user_key'), '-o',
                'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null', f'root@{PEER}', 'cat')
    dtls = Lines('host', 'openssl', 's_client', '-dtls1_2', '-quiet', '-connect',
                 f'[{PEER}]:{PORTS["dtls"]}')
    runs = {
        'curl': start('host', 'curl', '-gsS', '--limit-rate', '500k', '-o', str(f / 'fetched'),
                      f'http://[{PEER}]:{PORTS["http"]}/file'),
        'iperf-tcp': start('host', 'iperf3', '-J', '-6', '-c', PEER, '-p', str(PORTS['iperf-tcp']), '-b',
                           '4M', '-t', str(PLAY_S)),
        'iperf-udp': start('host', 'iperf3', '-J', '-6', '-u', '-c', PEER, '-p',
                           str(PORTS['iperf-udp']), '-b', '1M', '-l', '500', '-t', str(PLAY_S)),
        'ping': start('host', 'ping', '-6', '-q', '-i', '0.1', '-c', str(PLAY_S * 10), PEER),
    }
    end = time.monotonic() + PLAY_S
    feeders = [threading.Thread(target=x.feed, args=(end,)) for x in (ssh, dtls)]
    for feeder in feeders:
        feeder.start()
    carried = []
    for at, act in ((2, lambda: move_all('lte')), (4, lambda: move_all('wifi')),
                    (7, lambda: lab('do', 'cut', 'access=wifi'))):
        time.sleep(max(0, begin + at - time.monotonic()))
        carried.append(act())
    for feeder in feeders:
        feeder.join()
    time.sleep(2)
    for x in (ssh, dtls):
        x.end()
    out = {name: process.communicate(timeout=60)[0] for name, process in runs.items()}
    code = {name: process.returncode for name, process in runs.items()}
    time.sleep(1)
    for x in (ssh, dtls, dtls_server):
        x.process.terminate()
        x.reader.join(10)
    return {'out': out, 'code': code, 'ssh': ssh, 'dtls': dtls, 'dtls_server': dtls_server, 'files': f,
            'carried': carried}


def test_all_of_them_were_moved(played):
    there, back = played['carried'][:2]
    assert there['lte'] > 10 * there['wifi'] and back['wifi'] > 10 * back['lte'], (there, back)


def test_ssh_echoes_every_line(played):
    assert played['ssh'].sent > 150
    assert lines_in(played['ssh'].out) == set(range(1, played['ssh'].sent + 1))


def test_curl_fetches_the_file_whole(played):
    assert played['code']['curl'] == 0, played['out']['curl']
    digest = [hashlib.sha256((played['files'] / x).read_bytes()).digest() for x in ('www/file', 'fetched')]
    assert digest[0] == digest[1]


def test_iperf3_tcp_keeps_its_pace(played):
    assert played['code']['iperf-tcp'] == 0, played['out']['iperf-tcp']
    received = json.loads(played['out']['iperf-tcp'])['end']['sum_received']
    assert received['bits_per_second'] > 3.5e6


def test_iperf3_udp_loses_only_in_the_cut(played):
    """250 datagrams a second: what 600 ms hold may be gone with the silent access, and no more."""
    assert played['code']['iperf-udp'] == 0, played['out']['iperf-udp']
    assert json.loads(played['out']['iperf-udp'])['end']['sum']['lost_packets'] <= 150


def test_ping_loses_only_in_the_cut(played):
    sent, received = map(int, re.search(r'(\d+) packets transmitted, (\d+) received',
                                        played['out']['ping']).groups())
    assert sent == PLAY_S * 10
    assert sent - received <= 6


def test_dtls_association_lives_on(played):
    """20 lines a second; a datagram of the cut may be lost, the association may not."""
    sent, arrived = played['dtls'].sent, lines_in(played['dtls_server'].out)
    assert sent > 150
    assert sent - len(arrived) <= 12
    assert sent in arrived
