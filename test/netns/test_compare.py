"""`flowmob lab compare`: the same traffic over flowmob, plain routing and MPTCP, and all three do what they are for."""
import json
import os
import subprocess

import pytest

from world import FLOWMOB

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason='network namespaces need root'), pytest.mark.long]

SCENARIO = '''scenario "compared" {
  duration = "6s"
  peer   { delay = "5ms" }
  access "wifi" { family = "dual"  delay = "10ms"  rate = "50mbit" }
  access "lte"  { family = "dual"  delay = "30ms"  rate = "20mbit" }
  traffic "call"  { proto = "udp"  rate = "100/s" }
  traffic "shell" { proto = "tcp"  kind = "echo" }
  traffic "bulk"  { proto = "tcp"  kind = "bulk"  stop = "2s" }
  traffic "web"   { proto = "tcp"  kind = "request" }
  event { at = "2s"  do = "EVENT"  access = "wifi" }
  expect "call" { broken = false }
}
'''


def compare(tmp_path, event, *words):
    path = tmp_path / 'compared.scenario'
    path.write_text(SCENARIO.replace('EVENT', event))
    done = subprocess.run([FLOWMOB, 'lab', 'compare', path, *words], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def flows(result, over):
    return {f['name']: f for f in result[over]['flows']}


@pytest.mark.parametrize('event', ['link-down', 'cut'])
def test_each_does_what_it_is_for(tmp_path, event):
    result = json.loads(compare(tmp_path, event, '--json'))
    ours, plain, mptcp = (flows(result, over) for over in ('flowmob', 'plain', 'mptcp'))
    assert not any(f['broken'] for f in ours.values()) and ours['call']['last_path'] == 'lte'
    # no flow survives; a route without carrier is left by what begins later, a silent one is not
    assert plain['call']['broken'] and plain['shell']['broken']
    assert (plain['web']['rate_bps'] > 0.7 * ours['web']['rate_bps']) == (event == 'link-down')
    assert plain['web']['last_path'] == ('wifi' if event == 'cut' else 'lte')
    # MPTCP fills both, and its connections go on over the one that is left
    assert not mptcp['shell']['broken'] and mptcp['shell']['last_path'] == 'lte' and mptcp['call']['broken']
    assert mptcp['bulk']['rate_bps'] > 1.1 * max(ours['bulk']['rate_bps'], plain['bulk']['rate_bps'])
    assert result['plain']['failed'] == ['call: broken is true'] and result['flowmob']['ok']


def test_it_is_told_in_text_what_each_did_not_meet(tmp_path):
    text = compare(tmp_path, 'cut')
    assert 'not met over plain routing: call: broken is true' in text and 'not met over flowmob' not in text
    assert '2.00 s  cut wifi' in text
