"""make install: every piece in the place where systemd and man look for it."""
import os
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
FILES = {'bin/flowmob', 'sbin/flowmobd', 'lib/systemd/system/flowmobd.service', 'lib/sysusers.d/flowmob.conf',
         'lib/tmpfiles.d/flowmob.conf', 'share/man/man1/flowmob.1', 'share/man/man1/flowmob-move.1',
         'share/man/man3/setsc.3', 'share/man/man3/getsc.3', 'include/flowmob/flowmob.h',
         'include/flowmob/preferences.h', 'share/man/man5/flowmob.conf.5', 'share/man/man7/flowmob.7', 'share/man/man8/flowmobd.8'}

LIBRARIES = {'libflowmob.so', 'libflowmob.so.0', 'libflowmob.a', 'flowmob.pc'}


def test_everything_has_its_place(tmp_path):
    done = subprocess.run(['meson', 'install', '-C', ROOT / 'build', '--no-rebuild'], text=True,
                          env=dict(os.environ, DESTDIR=str(tmp_path)), capture_output=True)
    assert done.returncode == 0, done.stderr
    prefix = tmp_path / 'usr/local'
    there = {str(p.relative_to(prefix)) for p in prefix.rglob('*') if p.is_file()}
    assert FILES - there == set()
    libraries = {pathlib.PurePath(p).name for p in there if p.startswith('lib/')}
    assert LIBRARIES - libraries == set(), 'in lib or lib/MULTIARCH'
    unit = (prefix / 'lib/systemd/system/flowmobd.service').read_text()
    daemon = re.search(r'^ExecStart=(\S+)', unit, re.M).group(1)
    assert (tmp_path / daemon.lstrip('/')).stat().st_mode & 0o111
