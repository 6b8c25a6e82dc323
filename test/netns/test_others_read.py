"""tshark, which nobody here wrote, reads what host and anchor say to each other: binding updates and
acknowledgements over IPv6 and over UDP 4191, without a mark that something is malformed.
"""
import os
import subprocess

import pytest

from world import Capture, World, until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason='network namespaces need root')

WORLD = '''
  access "wifi" { family = "ipv6"      delay = "2ms" }
  access "lte"  { family = "ipv4-nat"  delay = "5ms" }
  host   { default { type = "session-lasting"  via = {"wifi", "lte"} } }
'''
DECODE = ['-d', 'udp.port==4191,ipv6']  # RFC 5555 §4.1: an IPv6 packet follows the UDP header


def tshark(pcap, *more):
    return subprocess.run(['tshark', '-n', '-r', pcap, *DECODE, *more], check=True, text=True,
                          capture_output=True, timeout=60).stdout


@pytest.fixture(scope='module')
def pcap(tmp_path_factory):
    """The whole life of a host at the anchor: first registration, another address, end."""
    path = tmp_path_factory.mktemp('others-read') / 'anchor.pcap'
    with World('others-read', WORLD) as world:
        capture = Capture(world, 'anchor', 'eth0')
        for access in ('wifi', 'lte'):
            before = world.bindings()
            world.do('renumber', access=access)
            until(f'{access} is bound anew', lambda: world.bindings() != before and all(
                len(b[1]) == 2 for b in world.bindings().values()))
        world.ask('host', 'down')
        until('the binding is gone', lambda: world.bindings() == {})
        capture.stop()
        capture.write(path)
    return path


def fields(pcap, kind, *names):
    """One tuple a message of that type, with tshark's words for these fields."""
    words = [w for n in names for w in ('-e', n)]
    text = tshark(pcap, '-Y', f'mip6.mhtype == {kind}', '-T', 'fields', *words)
    return [tuple(line.split('\t')) for line in text.splitlines()]


@pytest.mark.parametrize('kind', [5, 6])
def test_both_messages_over_both_families(pcap, kind):
    ports = [port for port, _ in fields(pcap, kind, 'udp.port', 'mip6.mhtype')]
    assert len(ports) >= 3 and '' in ports
    assert any('4191' in port.split(',') for port in ports)


def test_nothing_is_malformed(pcap):
    assert tshark(pcap, '-Y', 'mipv6 && _ws.malformed') == ''
    assert tshark(pcap, '-Y', 'mipv6 && _ws.expert.severity >= 0x600000') == ''  # warnings too


def test_it_reads_what_was_meant_by_an_update(pcap):
    names = ('bu.a_flag', 'bu.h_flag', 'mnid.identifier', 'auth.subtype', 'auth.mobility_spi')
    for a, h, who, subtype, spi in fields(pcap, 5, *(f'mip6.{n}' for n in names)):
        assert a in ('1', 'True') and h in ('1', 'True')
        assert who == 'host@example.net'
        assert subtype == '1' and int(spi, 0) == 256  # RFC 4285 §5.1: MN-HA
    bids = {b for (text,) in fields(pcap, 5, 'mip6.bi.bid') for b in text.split(',')}
    assert {'1', '2'} <= bids


def test_it_reads_that_all_were_accepted_and_the_last_one_ended_it(pcap):
    answers = fields(pcap, 6, 'mip6.ba.status', 'mip6.ba.lifetime')
    assert {status for status, _ in answers} == {'0'}
    assert any(int(lifetime) > 0 for _, lifetime in answers) and answers[-1][1] == '0'
    assert fields(pcap, 5, 'mip6.bu.lifetime')[-1] == ('0',)
