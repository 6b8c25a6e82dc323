"""tools/run-tests: what it counts, and that nothing is lost on the way."""
import importlib.machinery
import importlib.util
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture
def runner(monkeypatch):
    monkeypatch.setattr(sys, 'dont_write_bytecode', True)
    loader = importlib.machinery.SourceFileLoader('run_tests', str(ROOT / 'tools/run-tests'))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader('run_tests', loader))
    loader.exec_module(module)
    return module


def run(runner, monkeypatch, capsys, rows):
    monkeypatch.setattr(runner, 'SUITES', rows)
    monkeypatch.setattr(sys, 'argv', ['run-tests'])
    return runner.main(), capsys.readouterr().out.splitlines()


def sh(script):
    return ['sh', '-c', script]


CASES = [
    ('lines are counted', 'lines', 'echo ok one; echo "ok two"; echo noise', 0, '2 passed, 0 failed'),
    ('a failed line fails', 'lines', 'echo ok one; echo "not ok two: gap 212 ms"', 1, '1 passed, 1 failed'),
    ('skips are no passes', 'lines', 'echo ok one; echo "skip two: no data"', 0, '1 passed, 0 failed'),
    ('nothing told is a failure', 'lines', 'true', 1, '0 passed, 1 failed'),
    ('an exit code counts beside lines', 'lines', 'echo ok one; exit 3', 1, '1 passed, 1 failed'),
    ('exit code 0', 'exit', 'true', 0, '1 passed, 0 failed'),
    ('exit code 77 is a skip', 'exit', 'exit 77', 0, '0 passed, 0 failed'),
    ('exit code 1', 'exit', 'false', 1, '0 passed, 1 failed'),
    ('a suite that hangs is ended', 'exit', 'sleep 60', 1, '0 passed, 1 failed'),
    ('a missing program fails', 'exit', '/nowhere/x', 1, '0 passed, 1 failed'),
]


@pytest.mark.parametrize('how,script,code,last', [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_counts(runner, monkeypatch, capsys, how, script, code, last):
    got, lines = run(runner, monkeypatch, capsys, [('x', 'short', 2, how, sh(script))])
    assert (got, lines[-1]) == (code, last)


def test_the_line_before_the_last_tells_what_was_skipped(runner, monkeypatch, capsys):
    _, lines = run(runner, monkeypatch, capsys,
                   [('x', 'short', 5, 'lines', sh('echo skip a: no data; echo skip b; echo ok c'))])
    assert lines[-2:] == ['2 skipped', '1 passed, 0 failed']
    assert '  skipped: a: no data' in lines


def test_pytest_is_counted_by_case(runner, monkeypatch, capsys, tmp_path):
    (tmp_path / 'test_x.py').write_text(
        'import pytest\ndef test_a(): pass\ndef test_b(): assert 0\n'
        'def test_c(): pytest.skip("not here")\n')
    _, lines = run(runner, monkeypatch, capsys,
                   [('x', 'short', 30, 'junit', runner.PYTEST + [str(tmp_path / 'test_x.py')])])
    assert lines[-2:] == ['1 skipped', '1 passed, 1 failed']


def test_long_forms_wait_for_all(runner, monkeypatch, capsys):
    _, lines = run(runner, monkeypatch, capsys, [('x', 'short', 5, 'exit', ['true']),
                                                 ('y', 'all', 5, 'exit', ['false'])])
    assert lines[-1] == '1 passed, 0 failed'
