"""No packet from a home address leaves by an access outside a tunnel.
"""
import ipaddress
import os
import socket
import time

import pytest

from world import PEER6, Capture, World, grown

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason='network namespaces need root')

WORLD = '''
  access "wifi" { family = "ipv6"      delay = "2ms" }
  access "lte"  { family = "ipv4-nat"  delay = "5ms" }
  host   { default { type = "session-lasting"  via = {"wifi", "lte"} } }
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
            s.sendto(b'in clear?', (PEER6, 9))
            time.sleep(0.01)
    time.sleep(0.3)
    frames = capture.stop()
    assert in_clear(frames, home) == []
    assert grown(before, world.counters('host')).get('home-address-outside', 0) >= 10
