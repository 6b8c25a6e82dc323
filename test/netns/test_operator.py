"""The operator's four cases, counted on the wires and at the peer: its own traffic stays on cellular; video goes to Wi-Fi;
a call that left Wi-Fi keeps its path until Wi-Fi was well for five seconds and loses less than 1 %; a local service is
reached from the access' own address, by the access' own route, and never by the anchor.
"""
import os
import struct
import subprocess
import sys
import time

import pytest

from world import FLOWMOB, PEER6, Call, Capture, World, until

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason='network namespaces need root'), pytest.mark.long]

IMS, VIDEO, VOICE, LOCAL = 5060, 8554, 5004, 5070
WORLD = f'''
  peer   {{ delay = "2ms" }}
  access "wifi" {{ family = "dual"  delay = "5ms" }}
  access "lte"  {{ family = "dual"  delay = "15ms" }}
  host {{
    rule "operator" {{ match = {{"udp dport {IMS}"}}    via = {{"lte"}}  on-none = wait }}
    rule "video"    {{ match = {{"udp dport {VIDEO}"}}  via = {{"wifi", "lte"}} }}
    rule "voice"    {{ match = {{"udp dport {VOICE}"}}  via = {{"wifi", "lte"}}  return-after = 5s  max-loss = 1% }}
    default         {{ type = "session-lasting"  via = {{"wifi", "lte"}} }}
  }}
'''
# A program that asks for an address without mobility, and tells which it got and how many answers came.
LOCAL_CLIENT = '''
import socket, sys, time
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.setsockopt(41, 72, 3 << 16)  # IPV6_ADDR_PREFERENCES: Nonpersistent
s.settimeout(1)
end = time.monotonic() + 5
while True:
    try:
        s.connect((sys.argv[1], int(sys.argv[2])))
        break
    except BlockingIOError:
        assert time.monotonic() < end
        time.sleep(0.02)
got = 0
for n in range(20):
    try:
        s.send(b'%08d' % n)
        got += s.recv(100) == b'%08d' % n
    except OSError:
        pass
print(s.getsockname()[0], got)
'''


def flow_of(frame):
    """(is it in a tunnel, the service's port) of a frame with a datagram; None: another one."""
    ip, is_inside = frame[14:], False
    if frame[12:14] == b'\x86\xdd' and ip[6] == 41:
        ip, is_inside = ip[40:], True
    if not is_inside and frame[12:14] != b'\x86\xdd' or len(ip) < 48 or ip[6] != 17:
        return None
    ports = set(struct.unpack('!HH', ip[40:44])) & {IMS, VIDEO, VOICE, LOCAL}
    return (is_inside, ports.pop()) if ports else None


class Wires:
    """What passed by both accesses and at the anchor, from now on."""

    def __init__(self, world):
        self.captures = {'wifi': Capture(world, 'access-wifi', 'down'), 'lte': Capture(world, 'access-lte', 'down'),
                         'anchor': Capture(world, 'anchor', 'eth0')}

    def stop(self):
        out = {}
        for wire, capture in self.captures.items():
            for frame in capture.stop():
                flow = flow_of(frame)
                if flow:
                    out[wire, *flow] = out.get((wire, *flow), 0) + 1
        return out


def seen(world, for_s):
    wires = Wires(world)
    time.sleep(for_s)
    return wires.stop()


def paths(counts, port):
    """The accesses that a flow's packets took, in the tunnel."""
    return {wire for wire, is_inside, p in counts if wire != 'anchor' and is_inside and p == port}


def local(world):
    """The local service is asked: which source, how many of 20 answers, and what the wires saw of it."""
    wires = Wires(world)
    done = subprocess.run([FLOWMOB, 'lab', 'exec', 'host', '--instance', world.instance, '--', '/usr/bin/python3', '-S', '-c',
                           LOCAL_CLIENT, PEER6, str(LOCAL)], text=True, capture_output=True, timeout=40)
    assert done.returncode == 0, done.stderr
    source, got = done.stdout.split()
    return source, int(got), {k: n for k, n in wires.stop().items() if k[2] == LOCAL}


def own_address(world, access):
    text = world.run('host', 'ip', '-6', '-o', 'addr', 'show', 'dev', access, 'scope', 'global')
    return text.split()[3].split('/')[0]


def assert_local(world, *accesses):
    source, got, counts = local(world)
    access = next((a for a in accesses if own_address(world, a) == source), None)
    assert access and got == 20, f'{source} {got}'
    assert set(counts) == {(access, False, LOCAL)} and counts[access, False, LOCAL] == 40, counts


def assert_paths(world, **want):
    counts = seen(world, 1)
    assert {name: paths(counts, port) for name, port in (('ims', IMS), ('video', VIDEO), ('voice', VOICE))} == \
        {name: {access} for name, access in want.items()}, counts
    for port in (IMS, VIDEO, VOICE):  # else nobody looked
        assert counts.get(('anchor', True, port), 0) > 20, counts


def play(world):
    assert_paths(world, ims='lte', video='wifi', voice='wifi')
    assert_local(world, 'wifi')
    world.do('link-down', access='wifi')
    time.sleep(1)
    assert_paths(world, ims='lte', video='lte', voice='lte')
    assert_local(world, 'lte')
    world.do('set', access='wifi', loss='3%')
    world.do('restore', access='wifi')
    until('video is back', lambda: paths(seen(world, 0.5), VIDEO) == {'wifi'}, 15)
    time.sleep(6)  # Wi-Fi is there for more than five seconds, but loses too much
    assert_paths(world, ims='lte', video='wifi', voice='lte')
    world.do('set', access='wifi', loss='0%')
    well = time.monotonic()
    until('the call is back', lambda: paths(seen(world, 0.3), VOICE) == {'wifi'}, 60)
    assert time.monotonic() - well > 5
    assert_paths(world, ims='lte', video='wifi', voice='wifi')
    assert_local(world, 'wifi')
    world.run('anchor', 'ip', 'link', 'set', 'eth0', 'down')
    assert_local(world, 'wifi', 'lte')  # without the anchor neither is better


def test_four_cases():
    with World('operator', WORLD) as world:
        until('both accesses are bound', lambda: all(a['registered'] for a in world.accesses().values()))
        echo = world.start('peer', sys.executable, os.path.join(os.path.dirname(__file__), 'call.py'), 'echo', PEER6, LOCAL)
        try:
            assert echo.stdout.readline() == 'ready\n'
            with Call(world, rate=50, port=IMS), Call(world, rate=50, port=VIDEO), Call(world, rate=50, port=VOICE):
                play(world)
        finally:
            echo.kill()
            echo.wait()
