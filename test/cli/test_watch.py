"""events, wait, key: what goes on for a while, and what needs no daemon."""
import itertools
import json
import os
import stat
import threading
import time

import pytest

BOUND = {'schema': 1, 'anchor': {'state': 'bound'}, 'accesses': [{'name': 'wifi', 'state': 'up'},
                                                                 {'name': 'lte', 'state': 'down'}]}
EVENTS = [{'at_s': 1764000000.25, 'event': 'path-lost', 'reason': 'carrier lost', 'access': 'wifi', 'bid': 1},
          {'at_s': 1764000001.5, 'event': 'flow-moved', 'reason': 'asked for', 'flow': 7}]


def test_events_for_people(daemon, flowmob):
    daemon.answers['events'] = EVENTS
    assert flowmob('events').stdout == (
        '16:00:00.250  path-lost            carrier lost  access=wifi  bid=1\n'
        '16:00:01.500  flow-moved           asked for  flow=7\n')
    assert daemon.requests == [{'command': 'events', 'follow': False}]


def test_events_as_json_are_one_object_a_line(daemon, flowmob):
    daemon.answers['events'] = EVENTS
    assert [json.loads(line) for line in flowmob('events', '--json').stdout.splitlines()] == EVENTS


def test_a_daemon_that_ends_under_events_f_is_exit_code_4(daemon, flowmob):
    daemon.answers['events'] = EVENTS
    daemon.hangs_up = True
    done = flowmob('events', '-f')
    assert done.returncode == 4 and done.stdout.count('\n') == 2
    assert daemon.requests == [{'command': 'events', 'follow': True}]


def test_wait_holds_at_once(daemon, flowmob):
    daemon.answers['status'] = BOUND
    assert flowmob('wait', '--for', 'bound').returncode == 0
    assert flowmob('wait', '--for', 'access=wifi').returncode == 0
    done = flowmob('wait', '--for', 'bound', '--json')
    assert json.loads(done.stdout)['for'] == 'bound'


def test_wait_times_out_with_exit_code_1(daemon, flowmob):
    daemon.answers['status'] = BOUND
    start = time.monotonic()
    done = flowmob('wait', '--for', 'access=lte', '--timeout', '300ms', '--json')
    assert done.returncode == 1 and json.loads(done.stderr)['error']['code'] == 'timeout'
    assert 0.3 <= time.monotonic() - start < 3


def test_wait_for_an_access_that_there_is_not_ends_at_once(daemon, flowmob):
    daemon.answers['status'] = BOUND
    done = flowmob('wait', '--for', 'access=nowhere', '--timeout', '60s', '--json')
    assert done.returncode == 1 and json.loads(done.stderr)['error']['code'] == 'no-such-access'


def test_wait_waits_for_the_daemon_too(flowmob, tmp_path):
    from conftest import Daemon
    late = []

    def start():
        late.append(Daemon(tmp_path / 'flowmob.sock'))
        late[0].answers['status'] = BOUND
    threading.Timer(0.4, start).start()
    assert flowmob('wait', '--for', 'bound', '--timeout', '5s').returncode == 0
    late[0].close()


def test_wait_sees_a_flow_move(daemon, flowmob):
    moves = iter([0, 0, 1, 1, 1])
    daemon.answers['status'] = BOUND
    daemon.answers['flows'] = lambda: {'schema': 1, 'flows': [{'id': 7, 'moves': next(moves)}]}
    assert flowmob('wait', '--for', 'moved', '--timeout', '5s').returncode == 0
    assert [r['command'] for r in daemon.requests].count('flows') == 3


def test_wait_for_moved_does_not_count_what_was_before(daemon, flowmob):
    wobble = itertools.cycle([0, 1e-6, 2e-6, -1e-6])  # the daemon converts its clock at each question
    daemon.answers['status'] = lambda: dict(BOUND, last_handover={
        'at_s': 1764000000.0 + next(wobble), 'from': 'wifi', 'to': 'lte'})
    daemon.answers['flows'] = {'schema': 1, 'flows': [{'id': 7, 'moves': 3}]}
    assert flowmob('wait', '--for', 'moved', '--timeout', '300ms').returncode == 1


@pytest.mark.parametrize('before', [None, {'at_s': 1764000000.0, 'from': 'wifi', 'to': 'lte'}])
def test_wait_for_moved_ends_at_a_handover(daemon, flowmob, before):
    after = {'at_s': 1764000009.0, 'from': 'lte', 'to': 'wifi'}
    handovers = itertools.chain([before, before], itertools.repeat(after))
    daemon.answers['status'] = lambda: dict(BOUND, last_handover=next(handovers))
    daemon.answers['flows'] = {'schema': 1, 'flows': []}
    assert flowmob('wait', '--for', 'moved', '--timeout', '5s').returncode == 0
    assert [r['command'] for r in daemon.requests].count('status') == 3


def test_a_key_is_new_private_and_told_once(flowmob, tmp_path):
    path = tmp_path / 'home.key'
    done = flowmob('key', path, '--id', 'a@example.net', '--json')
    answer, line = json.loads(done.stdout), path.read_text()
    spi, algorithm, key = line.split()
    assert (spi, algorithm, len(bytes.fromhex(key))) == ('256', 'hmac-sha256-128', 32)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert answer['line'] + '\n' == line
    assert answer['block'] == 'subscriber "a@example.net" { key-file = "/etc/flowmob/a.key" }'
    again = flowmob('key', path, '--id', 'a@example.net')
    assert again.returncode == 1 and path.read_text() == line
    other = tmp_path / 'other.key'
    assert flowmob('key', other, '--spi', '300', '--id', 'b').stdout.count(other.read_text().strip()) == 1
    assert other.read_text().split()[0] == '300' and other.read_text().split()[2] != key


def test_a_bench_reports_medians_and_the_machine(flowmob):
    o = json.loads(flowmob('bench', 'wire', '--short', '--json').stdout)
    assert o['schema'] == 1 and o['bench'] == 'wire' and o['rounds'] >= 7 and o['ok'] is True
    assert o['checks']['wrong'] == 0 and o['checks']['done'] > 0
    assert {'cpu', 'cores', 'kernel', 'memory_bytes'} <= o['machine'].keys()
    for row in o['rows']:
        for side in 'ours', 'baseline', 'ratio':
            assert row[side]['low'] <= row[side]['median'] <= row[side]['high'], row
