"""`flowmob policy` without a daemon: what is wrong with a file of rules, and that it is told."""
import json

import pytest

GOOD = 'rule "voip" { match = {"udp dport 5004", "dscp ef"}  via = {"wifi", "lte"} }\n'


def many(n):
    return ''.join(f'rule "r{i}" {{ match = {{"udp dport {i + 1000}"}} }}\n' for i in range(n))


CASES = [  # what stands in the file, exit code, what is said first
    (GOOD, 0, 'r.conf: 1 rules, nothing wrong'),
    ('default { via = {"wifi"} }', 0, 'r.conf: 0 rules, nothing wrong'),
    ('host { ' + GOOD + '}', 0, 'r.conf: 1 rules, nothing wrong'),
    (GOOD + 'rule "b" { match = {"udp dport 5004"} }', 1,
     'r.conf:2: rule "b" is never reached: all its flows are taken before it by rule "voip" (r.conf:1)'),
    (GOOD + '\nrule "b" { match = {"udp"}  via = {"lte"}  on-none = block }', 1,
     'r.conf:3: rule "b" does not block all its flows'),
    ('rule "a" { match = {"tcp dport 0-99"} }\nrule "b" { match = {"tcp dport 100-65535"} }\n'
     'rule "c" {\n  match = {"tcp"}\n}', 1, 'r.conf:4: rule "c" is never reached: all its flows are taken before it by '
     'rules "a" (r.conf:1) and "b" (r.conf:2)'),
    ('rule "a" {\n  match = {"udp port 1"}\n}', 1, 'r.conf:2: rule "a": match "udp port 1" is not a match'),
    (many(64), 0, 'r.conf: 64 rules, nothing wrong'),
    (many(65), 1, 'r.conf:65: rule "r64": one rule too many'),
    (many(63) + 'rule "z" { match = {"tcp dport 1", "tcp dport 2"} }', 1,
     'r.conf:64: rule "z": one match too many'),
    (many(64) + 'default { on-none = block }', 1, 'r.conf:64: rule "r63": one match too many'),
    (many(63) + 'rule "z" { match = {"type fixed"} }', 1, 'r.conf:64: rule "z": one match too many'),
    (many(57) + 'rule "z" { match = {"ip6 type fixed"} }', 0, 'rules by type may come to need 65'),
    ('rule "a" { match = {"user nobody-of-that-name"} }', 0, 'there is no user nobody-of-that-name now'),
]


@pytest.mark.parametrize('text,code,said', CASES, ids=[str(i) for i in range(len(CASES))])
def test_a_file_is_judged(flowmob, tmp_path, text, code, said):
    (tmp_path / 'r.conf').write_text(text)
    done = flowmob('policy', 'check', 'r.conf', cwd=tmp_path)
    assert (done.returncode, done.stderr) == (code, '') and done.stdout.startswith(said), done.stdout
    answer = json.loads(flowmob('policy', 'check', 'r.conf', '--json', cwd=tmp_path).stdout)
    assert answer['schema'] == 1 and answer['ok'] == (code == 0) and bool(answer['problems']) == (code == 1)


def test_rules_of_a_file_are_shown(flowmob, tmp_path):
    (tmp_path / 'r.conf').write_text(GOOD)
    done = flowmob('policy', 'show', 'r.conf', '--json', cwd=tmp_path)
    rules = json.loads(done.stdout)['rules']
    assert [(r['rule'], r['match'], r['via']) for r in rules] == [
        ('voip', ['udp dport 5004', 'dscp ef'], ['wifi', 'lte']), ('default', [], ['wifi', 'lte'])]


def test_a_file_that_is_not_there_is_exit_code_2(flowmob, tmp_path):
    assert flowmob('policy', 'check', 'nowhere', cwd=tmp_path).returncode == 2
    assert flowmob('policy', 'apply', 'nowhere', cwd=tmp_path).returncode == 2
