"""Documents: what they quote is in the tree, where they point is something."""
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob('*.md'), *ROOT.glob('doc/*.md')])


@pytest.mark.parametrize('document', DOCUMENTS, ids=lambda p: p.name)
def test_links_lead_somewhere(document):
    for target in re.findall(r'\]\((?!https?:)([^)#]+)', document.read_text()):
        assert (document.parent / target).exists(), target


def test_contributing_quotes_the_code():
    text = (ROOT / 'CONTRIBUTING.md').read_text()
    rows = re.findall(r'is a row in `([^`]+)`.*?```c\n(.*?)```', text, re.S)
    assert len(rows) == 4
    for file, code in rows:
        source = (ROOT / file).read_text()
        for line in code.splitlines():
            assert line in source.splitlines(), f'{file}: {line}'


def bare(text):
    """Configuration without comments and with single spaces."""
    return [' '.join(line.split()) for line in text.splitlines() if line.strip() and not line.startswith('#')]


@pytest.mark.parametrize('role', ['host', 'anchor'])
def test_the_sample_configurations_are_those_of_start_md(role):
    text = (ROOT / 'doc/start.md').read_text()
    block = re.search(rf'^```conf on={role} [^\n]*\n(.*?)^```', text, re.M | re.S).group(1)
    assert bare(block) == bare((ROOT / f'packaging/{role}.conf').read_text())


def test_the_readme_says_on_its_first_screen_that_user_packets_are_not_encrypted():
    first = (ROOT / 'README.md').read_text().splitlines()[:24]
    assert 'not encrypted yet' in '\n'.join(first)
