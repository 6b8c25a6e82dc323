"""What the commands show, for people and as JSON; what they ask the daemon for."""
import json
import time

import pytest

STATUS = {
    'schema': 1, 'roles': ['host'],
    'anchor': {'name': 'home', 'address': '2001:db8:a::1', 'state': 'bound', 'rtt_ms': 20.44},
    'accesses': [
        {'name': 'wifi', 'interface': 'wlan0', 'state': 'up', 'care_of_address': '2001:db8:1::2', 'bid': 1,
         'rtt_ms': 20.44, 'loss_percent': 0, 'rate_up_bps': 1234000, 'rate_down_bps': 50600000,
         'cost': 'free', 'flows': 2},
        {'name': 'lte', 'interface': 'wwan0', 'state': 'suspect', 'care_of_address': '192.0.2.77', 'bid': 2,
         'rtt_ms': 180, 'loss_percent': 2.5, 'rate_up_bps': 0, 'rate_down_bps': None,
         'cost': 'metered', 'flows': 0}],
    'addresses': [{'type': 'session-lasting', 'prefix': '2001:db8:100:1::/64', 'address': '2001:db8:100:1::5',
                   'state': 'ready', 'preferred_s': 5400, 'valid_s': 86400, 'sockets': 3}],
    'last_handover': None,
}

FLOWS = {'schema': 1, 'flows': [
    {'id': 1, 'proto': 'udp', 'local': '[2001:db8:100:1::5]:5004', 'remote': '[2001:db8:ffff::1]:5004',
     'app': 'voip', 'type': 'session-lasting', 'access': 'wifi', 'rule': 'default', 'rtt_ms': 20.4,
     'rate_bps': 64000, 'age_s': 75, 'moves': 0},
    {'id': 2, 'proto': 'tcp', 'local': '[2001:db8:100:1::5]:40000', 'remote': '[2001:db8:ffff::1]:22',
     'app': 'ssh', 'type': 'session-lasting', 'access': 'lte', 'rule': 'default', 'rtt_ms': None,
     'rate_bps': 1500000, 'age_s': 3, 'moves': 4}]}

BINDINGS = {'schema': 1, 'bindings': [
    {'id': 'truck7@example.net', 'home_address': '2001:db8:100::7',
     'bids': [{'bid': 1, 'care_of_address': '2001:db8:1::2', 'port': 0, 'lifetime_s': 60}],
     'leases': [{'pid': 1, 'type': 'fixed', 'prefix': '2001:db8:100:1::/64', 'preferred_s': 60, 'valid_s': 120}],
     'reserved': ['2001:db8:100:7::/64', '2001:db8:100:9::/64'],
     'flows': [{'fid': 5, 'priority': 10, 'bids': [1, 2], 'selector': 'udp dport 5004'}]}]}

POOL = {'name': 'homes', 'prefix': '2001:db8:100::/40', 'ipv4': None, 'size': 16777216, 'leased': 1, 'reserved': 1,
        'quarantined': 1, 'ipv4_size': 0, 'ipv4_leased': 0}

HUMAN = [
    ('status', STATUS, ['status'], '''\
roles  host
anchor home  2001:db8:a::1  bound  rtt 20.4 ms

ACCESS  STATE    INTERFACE  ADDRESS        BID      RTT   LOSS          UP       DOWN  COST     FLOWS
wifi    up       wlan0      2001:db8:1::2    1  20.4 ms    0 %  1.2 Mbit/s  51 Mbit/s  free         2
lte     suspect  wwan0      192.0.2.77       2   180 ms  2.5 %     0 bit/s          -  metered      0

TYPE             ADDRESS            STATE  PREFERRED  VALID  SOCKETS
session-lasting  2001:db8:100:1::5  ready     1h 30m     1d        3
'''),
    ('access', {'schema': 1, 'accesses': [
        {**STATUS['accesses'][0], 'verdict': 'lossy', 'jitter_ms': 1.25, 'damped_s': 12.4},
        {**STATUS['accesses'][1], 'verdict': 'suspect', 'jitter_ms': None, 'damped_s': 0.0}]}, ['access'], '''\
ACCESS  VERDICT  INTERFACE  ADDRESS        BID      RTT  JITTER   LOSS          UP       DOWN  DAMPED  COST     FLOWS
wifi    lossy    wlan0      2001:db8:1::2    1  20.4 ms  1.2 ms    0 %  1.2 Mbit/s  51 Mbit/s     12s  free         2
lte     suspect  wwan0      192.0.2.77       2   180 ms       -  2.5 %     0 bit/s          -      0s  metered      0
'''),
    ('status', {'schema': 1, 'roles': ['anchor'], 'anchor': {'name': None, 'address': '2001:db8:a::1', 'state': 'serving',
                                                             'rtt_ms': None}, 'accesses': [], 'addresses': [],
                'last_handover': None, 'bindings': 3, 'subscribers': 7}, ['status'], '''\
roles  anchor
anchor (this)  2001:db8:a::1  serving  3 of 7 subscribers bound

flowmob bindings: who is registered; flowmob pools: what is left
'''),
    ('flows', FLOWS, ['flows'], '''\
ID  PROTO  LOCAL                      REMOTE                   APP   TYPE             ACCESS  RULE         RTT\
        RATE     AGE  MOVES
 1  udp    [2001:db8:100:1::5]:5004   [2001:db8:ffff::1]:5004  voip  session-lasting  wifi    default  20.4 ms\
   64 kbit/s  1m 15s      0
 2  tcp    [2001:db8:100:1::5]:40000  [2001:db8:ffff::1]:22    ssh   session-lasting  lte     default        -\
  1.5 Mbit/s      3s      4
'''),
    ('bindings', BINDINGS, ['bindings'], '''\
truck7@example.net  2001:db8:100::7
  BID  CARE-OF ADDRESS  PORT  LIFE
    1  2001:db8:1::2       0    1m
  PID  TYPE   PREFIX               PREFERRED  VALID
    1  fixed  2001:db8:100:1::/64         1m     2m
  reserved: 2001:db8:100:7::/64, 2001:db8:100:9::/64
  FID  PRIORITY  BIDS  SELECTOR
    5        10  1,2   udp dport 5004
'''),
    ('flows', {'schema': 1, 'flows': [{'id': 1, 'proto': 'udp', 'app': None, 'access': 'lte', 'moves': 0}]}, ['flows'],
     'ID  PROTO  ACCESS  MOVES\n 1  udp    lte         0\n'),
    ('pools', {'schema': 1, 'pools': []}, ['pools'], 'no pool is configured\n'),
    ('pools', {'schema': 1, 'pools': [POOL]}, ['pools'], '''\
POOL   PREFIX                 SIZE  LEASED  RESERVED  RESTING
homes  2001:db8:100::/40  16777216       1         1        1
'''),
    ('pools', {'schema': 1, 'pools': [POOL], 'prefixes': [
        {'prefix': '2001:db8:100:1::/64', 'state': 'leased', 'id': 'truck7@example.net', 'type': 'session-lasting',
         'preferred_s': 60, 'valid_s': 120, 'rest_s': None},
        {'prefix': '2001:db8:100:7::/64', 'state': 'reserved', 'id': 'truck7@example.net', 'type': 'fixed',
         'preferred_s': None, 'valid_s': None, 'rest_s': None},
        {'prefix': '2001:db8:100:9::/64', 'state': 'quarantined', 'id': None, 'type': None,
         'preferred_s': None, 'valid_s': None, 'rest_s': 3600}], 'left_out': 3}, ['pools', '--prefixes'], '''\
POOL   PREFIX                 SIZE  LEASED  RESERVED  RESTING
homes  2001:db8:100::/40  16777216       1         1        1

PREFIX               STATE        ID                  TYPE             PREFERRED  VALID  RESTS
2001:db8:100:1::/64  leased       truck7@example.net  session-lasting         1m     2m      -
2001:db8:100:7::/64  reserved     truck7@example.net  fixed                    -      -      -
2001:db8:100:9::/64  quarantined  -                   -                        -      -     1h
and 3 more
'''),
    ('pools', {'schema': 1, 'pools': [], 'prefixes': [], 'left_out': 0}, ['pools', '--prefixes'],
     'no pool is configured\n\nnothing is lent, and nothing rests\n'),
    ('release', {'schema': 1, 'released': {'prefix': '2001:db8:100:1::/64', 'state': 'leased', 'id': 't@example.net'},
                 'after_s': 0}, ['pools', '--release', '2001:db8:100:1::/64'],
     '2001:db8:100:1::/64 of t@example.net is withdrawn\n'),
    ('release', {'schema': 1, 'released': {'prefix': '2001:db8:100:1::/64', 'state': 'leased', 'id': 't@example.net'},
                 'after_s': 600}, ['pools', '--release', '2001:db8:100:1::', '--after', '10m'],
     '2001:db8:100:1::/64 of t@example.net ends in 10m; new sockets no longer get it\n'),
    ('release', {'schema': 1, 'released': {'prefix': '2001:db8:100:1::/64', 'state': 'reserved', 'id': 't@example.net'},
                 'after_s': 0}, ['pools', '--release', '2001:db8:100:1::/64'],
     '2001:db8:100:1::/64 of t@example.net is reserved no longer\n'),
    ('flows', {'schema': 1, 'flows': []}, ['flows'], 'no flow\n'),
    ('counters', {'schema': 1, 'counters': {'no-binding': 7}}, ['counters'],
     'COUNTER     COUNT\nno-binding      7\n'),
    ('explain', {'schema': 1, 'proto': 'tcp', 'remote': '[2001:db8:ffff::1]:22', 'source_address': '2001:db8:100:1::5',
                 'type': 'session-lasting', 'mobile': True, 'access': 'wifi', 'accesses': ['wifi', 'lte'], 'mtu_bytes': 1460,
                 'rules': [{'rule': 'voip', 'matches': None, 'decides': False, 'why': 'asks for dscp ef'},
                           {'rule': 'default', 'matches': True, 'decides': True, 'why': 'redundant: now wifi, lte'}]},
     ['explain', 'tcp', '[2001:db8:ffff::1]:22'], '''\
tcp [2001:db8:ffff::1]:22
source 2001:db8:100:1::5  session-lasting
access wifi,lte  mtu 1460

RULE     MATCHES  DECIDES  WHY
voip     -        no       asks for dscp ef
default  yes      yes      redundant: now wifi, lte
'''),
    ('explain', {'schema': 1, 'id': 7, 'proto': 'udp', 'local': '[2001:db8:100:1::5]:5004', 'remote': '192.0.2.1:5004',
                 'source_address': '198.51.100.7', 'type': None, 'mobile': True, 'access': None, 'accesses': [],
                 'mtu_bytes': None, 'rules': [],
                 'history': [{'schema': 1, 'at_s': 1764000001.5, 'event': 'handover', 'reason': 'silent', 'access': 'lte'}]},
     ['explain', '7'], '''\
udp 192.0.2.1:5004, flow 7 from [2001:db8:100:1::5]:5004
source 198.51.100.7
access -

16:00:01.500  handover             silent  access=lte
'''),
    ('down', {'schema': 1}, ['down'], 'de-registered; nothing of flowmob is left in the kernel\n'),
    ('move', {'schema': 1, 'moved': 1}, ['move', '7', 'lte'], '1 flow moved to lte\n'),
    ('move', {'schema': 1, 'moved': 3}, ['move', '--app', 'ssh', 'lte'], '3 flows moved to lte\n'),
    ('check', {'schema': 1, 'ok': True, 'checks': [
        {'access': 'wifi', 'check': 'anchor', 'ok': True, 'detail': 'round trip 20.4 ms'}]}, ['check'],
     'ACCESS  CHECK   OK   DETAIL\nwifi    anchor  yes  round trip 20.4 ms\n'),
    ('check', {'schema': 1, 'ok': True, 'checks': [
        {'access': 'wifi', 'check': 'dns', 'ok': None, 'detail': 'none configured'},
        {'access': 'lte', 'check': 'handover', 'ok': True, 'detail': 'from wifi: 0 of 100 lost, gap 53.0 ms',
         'from': 'wifi', 'to': 'lte', 'sent': 100, 'lost': 0, 'gap_ms': 53.0}]}, ['check', '--handover', 'wifi', 'lte'],
     'ACCESS  CHECK     OK   DETAIL\nwifi    dns       -    none configured\n'
     'lte     handover  yes  from wifi: 0 of 100 lost, gap 53.0 ms\n'),
]


@pytest.mark.parametrize('command,answer,words,text', HUMAN, ids=[' '.join(r[2]) for r in HUMAN])
def test_for_people(daemon, flowmob, command, answer, words, text):
    daemon.answers[command] = answer
    done = flowmob(*words)
    assert (done.stdout, done.stderr, done.returncode) == (text, '', 0)


@pytest.mark.parametrize('command,answer,words,text', HUMAN, ids=[' '.join(r[2]) for r in HUMAN])
def test_as_json_it_is_the_daemons_object(daemon, flowmob, command, answer, words, text):
    daemon.answers[command] = answer
    done = flowmob(*words, '--json')
    assert json.loads(done.stdout) == answer and done.stdout.count('\n') == 1
    assert (done.stderr, done.returncode) == ('', 0)


def test_bare_flowmob_is_the_status(daemon, flowmob):
    daemon.answers['status'] = STATUS
    assert flowmob().stdout == flowmob('status').stdout
    assert json.loads(flowmob('--json').stdout) == STATUS


def test_the_last_handover_is_told_with_its_gap(daemon, flowmob):
    daemon.answers['status'] = dict(STATUS, last_handover={
        'at_s': time.time() - 90.2, 'from': 'wifi', 'to': 'lte', 'reason': 'carrier lost', 'gap_ms': 34})
    assert 'last handover: wifi -> lte, 1m 30s ago (carrier lost), gap 34.0 ms\n' in flowmob().stdout


def test_flows_are_filtered_and_sorted(daemon, flowmob):
    daemon.answers['flows'] = FLOWS

    def ids(*words):
        return [f['id'] for f in json.loads(flowmob('flows', '--json', *words).stdout)['flows']]
    assert ids() == [1, 2]
    assert ids('--sort', 'rate') == [2, 1]
    assert ids('--sort=age') == [1, 2]
    assert ids('--app', 'ssh') == [2]
    assert ids('--access', 'wifi') == [1]
    assert ids('--access', 'wifi', '--app', 'ssh') == []


REQUESTS = [
    (['move', '7', 'lte'], {'flow': '7', 'access': 'lte'}),
    (['move', '7', 'lte', '--for', '10m'], {'flow': '7', 'access': 'lte', 'for_s': 600.0}),
    (['move', '--for=1.5s', '7', 'lte'], {'flow': '7', 'access': 'lte', 'for_s': 1.5}),
    (['move', '--app', 'ssh', 'lte'], {'app': 'ssh', 'access': 'lte'}),
    (['move', '--match', 'udp dport 5004', 'lte'], {'match': 'udp dport 5004', 'access': 'lte'}),
    (['move', '--host', 'truck7@example.net', '7', 'lte'],
     {'flow': '7', 'access': 'lte', 'host': 'truck7@example.net'}),
]


RELEASES = [
    (['pools'], {'command': 'pools'}),
    (['pools', '--prefixes'], {'command': 'pools', 'prefixes': True}),
    (['pools', '--release', '2001:db8:1::/64'], {'command': 'release', 'prefix': '2001:db8:1::/64', 'after_s': 0.0}),
    (['pools', '--release=192.0.2.7', '--after=1h'], {'command': 'release', 'prefix': '192.0.2.7', 'after_s': 3600.0}),
]


@pytest.mark.parametrize('words,request_', RELEASES, ids=[' '.join(r[0]) for r in RELEASES])
def test_what_pools_asks_for(daemon, flowmob, words, request_):
    daemon.answers['pools'] = daemon.answers['release'] = {'schema': 1}
    assert flowmob(*words).returncode == 0
    assert daemon.requests == [request_]


@pytest.mark.parametrize('words', [['--after', '10m'], ['--release', '2001:db8:1::/64', '--after', 'soon']])
def test_a_release_without_sense(flowmob, words):
    done = flowmob('pools', *words)
    assert (done.returncode, done.stdout) == (2, '') and '--after' in done.stderr


@pytest.mark.parametrize('words,request_', REQUESTS, ids=[' '.join(r[0]) for r in REQUESTS])
def test_what_move_asks_for(daemon, flowmob, words, request_):
    daemon.answers['move'] = {'schema': 1, 'moved': 1}
    assert flowmob(*words).returncode == 0
    assert daemon.requests == [dict(request_, command='move')]


@pytest.mark.parametrize('words,request_', [
    (['7'], {'flow': '7'}), (['udp', '192.0.2.1:53'], {'proto': 'udp', 'remote': '192.0.2.1:53'})])
def test_what_explain_asks_for(daemon, flowmob, words, request_):
    daemon.answers['explain'] = {'schema': 1}
    assert flowmob('explain', *words).returncode == 0
    assert daemon.requests == [dict(request_, command='explain')]


def test_check_of_a_handover_names_both_accesses(daemon, flowmob):
    daemon.answers['check'] = {'schema': 1, 'ok': True, 'checks': []}
    assert flowmob('check', '--handover', 'wifi', 'lte').returncode == 0
    assert daemon.requests[0]['handover'] == ['wifi', 'lte']


def test_a_check_that_fails_is_exit_code_1(daemon, flowmob):
    daemon.answers['check'] = {'schema': 1, 'checks': [{'access': 'lte', 'check': 'link', 'ok': False}]}
    assert flowmob('check').returncode == 1
    done = flowmob('check', '--json')
    assert done.returncode == 1 and json.loads(done.stdout)['checks'][0]['ok'] is False
