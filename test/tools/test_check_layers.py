"""tools/check-layers: which includes fail, and what is said about them."""
import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]

CASES = [
    ('core may not include net', 'core/x.c', '\n\n#include "net/loop.h"\n',
     'check-layers: core/x.c:3: core may not include net (net/loop.h)'),
    ('core may include wire', 'core/x.c', '#include "wire/msg.h"\n', None),
    ('wire may not include core', 'wire/x.h', '#include "core/world.h"\n',
     'check-layers: wire/x.h:1: wire may not include core (core/world.h)'),
    ('wire has no stdio', 'wire/x.c', '#include <stdio.h>\n',
     'check-layers: wire/x.c:1: wire may not include <stdio.h>'),
    ('core has no clock', 'core/x.c', '#include <time.h>\n',
     'check-layers: core/x.c:1: core may not include <time.h>'),
    ('core may include string.h', 'core/x.c', '#include <string.h>\n', None),
    ('datapath sees the types of core', 'datapath/x.c', '#include "core/world.h"\n', None),
    ('datapath sees no decision of core', 'datapath/x.c', '#include "core/host.h"\n',
     'check-layers: datapath/x.c:1: datapath may not include core (core/host.h)'),
    ('daemon does not know the lab', 'daemon/x.c', '#include "lab/world.h"\n',
     'check-layers: daemon/x.c:1: daemon may not include lab (lab/world.h)'),
    ('an include in a comment is none', 'core/x.c', '/*\n#include "net/loop.h"\n*/\n', None),
    ('the line after a comment is right', 'core/x.c', '/*\n *\n */\n#include "net/loop.h"\n',
     'check-layers: core/x.c:4: core may not include net (net/loop.h)'),
    ('includes start at the root', 'core/x.c', '#include "world.h"\n',
     'check-layers: core/x.c:1: write "core/world.h": includes start at the root'),
    ('they name every folder on the way', 'test/unit/x.c', '#include "world.h"\n',
     'check-layers: test/unit/x.c:1: write "test/unit/world.h": includes start at the root'),
    ('an unknown folder is named', 'cli/x.c', '#include "misc/x.h"\n',
     'check-layers: cli/x.c:1: misc is no folder of tools/layers.txt (misc/x.h)'),
]


def run(root, *args):
    return subprocess.run([ROOT / 'tools/check-layers', '--root', root, *args],
                          capture_output=True, text=True)


@pytest.mark.parametrize('path,text,complaint', [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_include(tmp_path, path, text, complaint):
    (tmp_path / 'tools').mkdir()
    shutil.copy(ROOT / 'tools/layers.txt', tmp_path / 'tools/layers.txt')
    file = tmp_path / path
    file.parent.mkdir(parents=True)
    file.write_text(text)
    done = run(tmp_path)
    assert done.stderr.splitlines() == ([complaint] if complaint else [])
    assert done.returncode == (1 if complaint else 0)


def test_this_tree_follows_its_own_arrows():
    done = run(ROOT)
    assert (done.returncode, done.stderr) == (0, '')


def test_the_stamp_is_written_only_when_all_is_well(tmp_path):
    (tmp_path / 'tools').mkdir()
    (tmp_path / 'wire').mkdir()
    shutil.copy(ROOT / 'tools/layers.txt', tmp_path / 'tools/layers.txt')
    stamp, dep = tmp_path / 'stamp', tmp_path / 'dep'
    (tmp_path / 'wire/a.c').write_text('#include <time.h>\n')
    assert run(tmp_path, '--stamp', stamp, '--depfile', dep).returncode == 1
    assert not stamp.exists()
    (tmp_path / 'wire/a.c').write_text('#include <string.h>\n')
    assert run(tmp_path, '--stamp', stamp, '--depfile', dep).returncode == 0
    assert stamp.exists() and str(tmp_path / 'wire/a.c') in dep.read_text()
