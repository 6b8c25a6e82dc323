"""No packet from a home address leaves by an access outside a tunnel: neither of a socket that is bound to the
access, nor of one that was connected before `flowmob down`.
"""
import ipaddress
import os
import socket
import subprocess
import sys
import time

import pytest

from world import PEER6, Capture, World, grown, until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason='network namespaces need root')

WORLD = '''
  access "wifi" { family = "ipv6"      delay = "2ms" }
  access "lte"  { family = "ipv4-nat"  delay = "5ms" }
  host   { default { type = "session-lasting"  via = {"wifi", "lte"} } }
'''

# Sends from the address that a program gets until it is killed, whatever sending says.
CLIENT = '''
import socket, sys, time
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.connect((sys.argv[1], 9))
print(s.getsockname()[0], flush=True)
while True:
    try:
        s.send(b'in clear?')
    except OSError:
        pass
    time.sleep(0.005)
'''


@pytest.fixture
def world():
    with World('leaks', WORLD) as w:
        yield w


def in_clear(frames, home):
    """Frames whose outer source lies in the home prefix."""
    prefix = ipaddress.ip_address(home).packed[:8]
    return [f.hex() for f in frames if f[12:14] == b'\x86\xdd' and f[22:30] == prefix]


def test_a_socket_bound_to_an_access(world):
    home, before = world.home(), world.counters('host')
    capture = Capture(world, 'host', 'wifi')
    with world.socket('host', socket.AF_INET6, socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b'wifi')
        s.bind((home, 0))
        for _ in range(10):
            with pytest.raises(PermissionError):  # the guard says so to who sends
                s.sendto(b'in clear?', (PEER6, 9))
    time.sleep(0.3)
    frames = capture.stop()
    assert in_clear(frames, home) == []
    assert grown(before, world.counters('host')).get('guard-left-outside', 0) >= 10


def test_down_ends_connected_sockets(world):
    home = world.home()
    client = world.start('host', sys.executable, '-c', CLIENT, PEER6, stderr=subprocess.DEVNULL)
    try:
        assert client.stdout.readline().strip() == home
        before = world.octets('wifi')[0]
        until('it sends', lambda: world.octets('wifi')[0] > before + 1000)
        capture = Capture(world, 'host', 'wifi')
        done = world.ask('host', 'down')
        time.sleep(1)
        assert client.poll() is None
        frames = capture.stop()
    finally:
        client.kill()
        client.wait()
    assert done['sockets_ended'] >= 1
    assert in_clear(frames, home) == []
