"""What only the daemon can judge in a host's section is refused like every other fault of a scenario:
exit code 2, with the file and the line of the scenario.
"""
import os
import pathlib
import subprocess

import pytest

from world import FLOWMOB

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason='network namespaces need root')

ROWS = [
    ('a match of unknown words', 'rule "voip" { match = {"luck"} }', 'match "luck" is not a match'),
    ('an access named twice', 'default { type = session-lasting  via = {"wifi", "wifi"} }', 'it is named twice'),
    ('a quota without an amount', 'access "wifi" { quota = "5X/month" }', 'quota "5X/month" is not an amount'),
]


@pytest.mark.parametrize('command', ['run', 'up'])
@pytest.mark.parametrize('name,block,what', ROWS, ids=[r[0] for r in ROWS])
def test_a_host_section_is_refused_with_its_line(tmp_path: pathlib.Path, command, name, block, what):
    file = tmp_path / 'refused.scenario'
    file.write_text('scenario "refused" {\n  access "wifi" { }\n  host {\n    '
                    f'{block}\n  }}\n  traffic "call" {{ proto = "udp" }}\n}}\n')
    done = subprocess.run([FLOWMOB, 'lab', command, file, '--instance', f'refused-{os.getpid()}'], text=True,
                          capture_output=True, timeout=60)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith(f'flowmob: {file}:4: ') and what in done.stderr, done.stderr
    assert not list(pathlib.Path('/run/netns').glob(f'*refused-{os.getpid()}*'))
