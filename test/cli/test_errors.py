"""Exit codes and what is said on stderr: where, what, what to do next."""
import json
import os
import socket

import pytest

USAGE = [
    ['nonsense'], ['flows', '--nonsense'], ['flows', 'word'], ['flows', '--sort', 'colour'], ['flows', '--app'],
    ['move'], ['move', '7'], ['move', '--app', 'a', '--match', 'udp', 'lte'], ['move', '--app', 'a', '7', 'lte'],
    ['move', '7', 'lte', '--for', 'soon'], ['move', '7', 'lte', 'more'], ['check', 'wifi', 'lte'], ['explain'], ['explain', 'tcp', 'a', 'b'],
    ['explain', 'udp', 'foo:1'], ['explain', 'udp', '[::1]:1', '--program', 'ssh'], ['explain', 'icmp', '[::1]:1'], ['explain', 'tcp', '2001:db8::1:80'],
    ['explain', 'tcp', '[2001:db8::1]:65536'], ['explain', 'tcp', '[]:1'], ['explain', 'tcp', '192.0.2.1:-1'],
    ['check', '--handover', 'wifi'], ['wait'], ['wait', '--for', 'luck'], ['wait', '--for', 'access='],
    ['wait', '--for', 'bound', '--timeout', '-1s'], ['events', '-f=1'], ['key'], ['key', 'f'], ['key', 'f', '--id', 'a', '--spi', '255'], ['key', 'f', '--id', 'a;b'],
   
    ['policy'], ['policy', 'check'], ['policy', 'judge', 'f'], ['policy', 'confirm', 'f'], ['policy', 'apply', 'f', '--confirm', 'soon'],
    ['policy', 'check', 'f', '--confirm', '1s'],
    ['bench', 'nonsense'], ['bench', 'wire', '--rounds', '3'],
]


@pytest.mark.parametrize('words', USAGE, ids=' '.join)
def test_wrong_words_are_exit_code_2(flowmob, tmp_path, words):
    done = flowmob(*words, cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == ''
    assert done.stderr.startswith('flowmob: ') and done.stderr.count('\n') == 2
    done = flowmob(*words, '--json', cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == ''
    assert json.loads(done.stderr)['error']['code'] == 'usage'
    assert list(tmp_path.iterdir()) == []


def test_a_type_that_there_is_not_is_exit_code_2(flowmob, tmp_path):
    done = flowmob('run', '--type', 'bogus', '--json', '--', 'touch', 'there', cwd=tmp_path)
    assert done.returncode == 2 and json.loads(done.stderr)['error']['code'] == 'usage'
    assert list(tmp_path.iterdir()) == []


ASKING = ['status', 'flows', 'access', 'address', 'bindings', 'pools', 'counters', 'events', 'check', 'down']


@pytest.mark.parametrize('command', ASKING)
def test_without_a_daemon_it_is_exit_code_4_and_the_next_step(flowmob, tmp_path, command):
    done = flowmob(command)
    assert done.returncode == 4 and done.stdout == ''
    assert done.stderr.splitlines() == [
        f'flowmob: no daemon answers at {tmp_path}/flowmob.sock',
        '         start it: systemctl start flowmobd; or name its socket in FLOWMOB_SOCKET']
    done = flowmob(command, '--json')
    assert done.returncode == 4 and json.loads(done.stderr)['error']['code'] == 'no-daemon'


def test_a_socket_that_nobody_listens_on_is_no_daemon(flowmob, tmp_path):
    s = socket.socket(socket.AF_UNIX)
    s.bind(str(tmp_path / 'flowmob.sock'))
    s.close()
    assert flowmob().returncode == 4


def test_a_path_too_long_for_a_socket_is_told(flowmob, tmp_path):
    done = flowmob(socket_path='/' + 'x' * 200)
    assert done.returncode == 4 and 'too long' in done.stderr


@pytest.mark.parametrize('command', ASKING)
def test_what_the_daemon_refuses_is_exit_code_1(daemon, flowmob, command):
    daemon.answers[command] = {'schema': 1, 'error': {'code': 'no-role', 'message': 'this daemon has no such role'}}
    done = flowmob(command)
    assert (done.returncode, done.stdout) == (1, '')
    assert done.stderr == 'flowmob: this daemon has no such role\n'
    done = flowmob(command, '--json')
    assert done.returncode == 1 and done.stdout == ''
    assert json.loads(done.stderr)['error'] == {'code': 'no-role', 'message': 'this daemon has no such role'}


def test_no_such_flow_is_exit_code_1(daemon, flowmob):
    daemon.answers['move'] = {'schema': 1, 'error': {
        'code': 'no-such-flow', 'message': 'there is no flow 7', 'next': 'flowmob flows lists them'}}
    done = flowmob('move', '7', 'lte')
    assert done.returncode == 1
    assert done.stderr == 'flowmob: there is no flow 7\n         flowmob flows lists them\n'


def test_not_permitted_is_exit_code_3(daemon, flowmob):
    daemon.answers['down'] = {'schema': 1, 'error': {'code': 'not-permitted', 'message': 'only flowmob-admin may'}}
    assert flowmob('down').returncode == 3


@pytest.mark.skipif(os.getuid() != 0, reason='root gives its rights away here')
def test_a_socket_that_may_not_be_opened_is_exit_code_3(daemon, flowmob, tmp_path):
    def as_nobody():
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    os.chmod(tmp_path, 0o700)
    done = flowmob('status', preexec_fn=as_nobody, executable=None)
    assert done.returncode == 3 and 'flowmob-read' in done.stderr


@pytest.mark.parametrize('answer', ['no json', '[]', '{"schema":1'], ids=['text', 'list', 'half'])
def test_an_answer_that_is_none_is_exit_code_4(daemon, flowmob, answer):
    daemon.answers['status'] = answer
    done = flowmob('status')
    assert done.returncode == 4 and 'no answer' in done.stderr


def test_help_needs_no_daemon(flowmob):
    top = flowmob('--help')
    assert top.returncode == 0 and top.stderr == ''
    for command in [line.split()[0] for line in top.stdout.splitlines() if line.startswith('  ')]:
        done = flowmob(command, '--help')
        assert done.returncode == 0 and done.stderr == '' and 'flowmob' in done.stdout, command
