"""Every C file is laid out as .clang-format says; `clang-format -i FILE` does it."""
import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = [line.split(':')[0] for line in (ROOT / 'tools/layers.txt').read_text().splitlines()
           if line[:1].isalpha() and not line.startswith('few')]

pytestmark = pytest.mark.skipif(not shutil.which('clang-format'), reason='clang-format is not there')


def laid_out_otherwise(files):
    done = subprocess.run(['clang-format', '--dry-run', *files], cwd=ROOT,
                          capture_output=True, text=True, check=True)
    return sorted({line.split(':')[0] for line in done.stderr.splitlines() if 'clang-format' in line})


@pytest.mark.parametrize('folder', FOLDERS)
def test_folder(folder):
    files = sorted(p.relative_to(ROOT) for p in (ROOT / folder).rglob('*.[ch]'))
    assert laid_out_otherwise(files) == [] if files else not (ROOT / folder).exists()


def test_another_layout_is_seen(tmp_path):
    shutil.copy(ROOT / '.clang-format', tmp_path)
    wrong, right = tmp_path / 'wrong.c', tmp_path / 'right.c'
    wrong.write_text('int f(void) { return 1; }\n')
    right.write_text('int f(void)\n{\n\treturn 1;\n}\n')
    assert laid_out_otherwise([wrong, right]) == [str(wrong)]
