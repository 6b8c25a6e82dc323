"""Middleboxes that pass signalling and not what follows, or nothing at all: the host uses what works."""
import os
import time

import pytest

from world import Call, World, assert_whole, until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason='network namespaces need root')


def call_works(world):
    with Call(world, rate=100) as call:
        time.sleep(1)
        report = call.report()
    assert report['source'] == world.home()
    assert report['sent'] > 50
    assert_whole(report)


def test_udp_where_protocol_41_is_dropped():
    """Binding updates go by UDP and come through; user packets need the F flag, RFC 5555 §3.1.1."""
    with World('no-41', '''
            access "one" { family = "ipv4"  delay = "2ms"  protocol-41 = "drop" }
            host { default { type = "session-lasting"  via = {"one"} } }''') as world:
        until('the access works', lambda: world.accesses()['one']['state'] == 'up' and
              world.accesses()['one']['encapsulation'] == 'udp', 20)
        call_works(world)


@pytest.mark.long
def test_another_access_where_udp_is_dropped():
    with World('no-udp', '''
            access "one" { family = "ipv4-nat"  delay = "2ms"  udp = "drop" }
            access "two" { family = "ipv6"  delay = "5ms" }
            host { default { type = "session-lasting"  via = {"one", "two"} } }''') as world:
        call_works(world)
        assert world.accesses()['one']['state'] == 'down'


def test_another_family_where_one_is_dropped():
    with World('no-udp-dual', '''
            access "one" { family = "dual-nat"  delay = "2ms"  udp = "drop" }
            host { default { type = "session-lasting"  via = {"one"} } }''') as world:
        call_works(world)
