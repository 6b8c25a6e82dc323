"""Manuals: each command has one, each names the command's options, and man(1) finds nothing wrong."""
import os
import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
FLOWMOB = pathlib.Path(os.environ.get('FLOWMOB', ROOT / 'build-test/cli/flowmob'))
PAGES = sorted((ROOT / 'man').glob('*.scd'))
SECTIONS = ['NAME', 'SYNOPSIS', 'DESCRIPTION', 'OPTIONS', 'EXIT STATUS', 'FILES', 'EXAMPLES', 'STANDARDS']

needs_man = pytest.mark.skipif(not shutil.which('scdoc') or not shutil.which('man'),
                               reason='scdoc and man-db')


def render(page):
    roff = subprocess.run(['scdoc'], stdin=page.open(), capture_output=True, text=True)
    assert roff.returncode == 0, roff.stderr
    return roff.stdout


def commands():
    out = subprocess.run([FLOWMOB, '--help'], capture_output=True, text=True, check=True).stdout
    return re.findall(r'^  (\w+) ', out, re.M)


@needs_man
@pytest.mark.parametrize('page', PAGES, ids=lambda p: p.stem)
def test_man_has_nothing_to_warn_of(page, tmp_path):
    roff = tmp_path / page.stem
    roff.write_text(render(page))
    done = subprocess.run(['man', '--warnings', '-E', 'UTF-8', '-l', '-Tutf8', '-Z', roff],
                          capture_output=True, text=True, env=dict(os.environ, MANWIDTH='80', LC_ALL='C.UTF-8'))
    assert (done.returncode, done.stderr) == (0, '')


@pytest.mark.parametrize('page', PAGES, ids=lambda p: p.stem)
def test_it_begins_as_all_do(page):
    name, section = page.stem.rsplit('.', 1)
    lines = page.read_text().splitlines()
    assert lines[0] == f'{name}({section})' and lines[2] == '# NAME'
    assert re.match(re.escape(name) + ' - [a-z]', lines[4])
    known = [s for s in re.findall(r'^# (.*)$', page.read_text(), re.M) if s in SECTIONS]
    assert known == sorted(known, key=SECTIONS.index), 'order of the sections'


@pytest.mark.parametrize('command', commands())
def test_each_command_has_a_manual_with_its_options(command):
    page = ROOT / 'man' / f'flowmob-{command}.1.scd'
    assert page.exists()
    text = page.read_text().replace('\\', '')
    out = subprocess.run([FLOWMOB, command, '--help'], capture_output=True, text=True, check=True).stdout
    for option in re.findall(r'^  (--?[a-z-]+)', out, re.M):
        assert option == '--help' or f'*{option}*' in text, option


def test_the_manual_of_flowmob_names_every_command():
    text = (ROOT / 'man/flowmob.1.scd').read_text()
    assert [c for c in commands() if f'*{c}*' not in text] == []


@pytest.mark.parametrize('header', ['core/event.h', 'daemon/events.h'])
def test_the_manual_of_events_names_every_event(header):
    rows = re.findall(r'^\tX\(\w+, +"([a-z0-9-]+)"', (ROOT / header).read_text(), re.M)
    text = (ROOT / 'man/flowmob-events.1.scd').read_text()
    words = set(re.findall(r'[a-z0-9-]+', text.partition('# EVENTS')[2]))
    assert rows and [r for r in rows if r not in words] == []
