"""libflowmob as programs meet it: installed, found by pkg-config, linked both ways, from C, C++ and Python."""
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
HEADER = ROOT / 'include/flowmob/flowmob.h'
EXAMPLES = ROOT / 'doc/examples'

# Says what a kernel without flowmob's programs in this network namespace says, and that the socket still works.
PROGRAM = '''
#include <flowmob/flowmob.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

int main(void)
{
	struct in6_addr source;
	struct sockaddr_in6 to = { AF_INET6, htons(9), 0, IN6ADDR_LOOPBACK_INIT, 0 };
	int fd = socket(AF_INET6, SOCK_DGRAM, 0);
	int result = setsc(fd, &source, SESSION_LASTING_IP_ADDRESS);

	printf("%d %d %d\\n", result, errno == ENOPROTOOPT, connect(fd, (struct sockaddr *)&to, sizeof(to)));
	return 0;
}
'''
SAYS = '-1001 1 0\n'


def run(*words, **more):
    done = subprocess.run(list(map(str, words)), text=True, capture_output=True, timeout=60, **more)
    assert done.returncode == 0, f'{words}\n{done.stdout}{done.stderr}'
    return done.stdout


@pytest.fixture(scope='module')
def installed(tmp_path_factory):
    """The build, installed under a folder of its own, and the environment that pkg-config needs for it."""
    top = tmp_path_factory.mktemp('installed')
    run('meson', 'install', '-C', ROOT / 'build', '--no-rebuild', env=dict(os.environ, DESTDIR=str(top)))
    pc = next(top.rglob('flowmob.pc'))
    return top, dict(os.environ, PKG_CONFIG_SYSROOT_DIR=str(top), PKG_CONFIG_LIBDIR=str(pc.parent),
                     LD_LIBRARY_PATH=str(pc.parent.parent))


def flags(env, *which):
    return run('pkg-config', *which, 'flowmob', env=env).split()


def build(installed, tmp_path, compiler, suffix, *more, text=PROGRAM):
    top, env = installed
    source, program = tmp_path / f'program.{suffix}', tmp_path / 'program'
    source.write_text(text)
    run(*compiler, *flags(env, '--cflags'), source, '-o', program, *more)
    return program


def in_a_namespace(program, env=None):
    return run('unshare', '-n', 'sh', '-c', f'ip link set lo up && exec {program}', env=env)


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason='network namespaces need root')


@needs_root
@pytest.mark.parametrize('compiler', ['gcc', 'clang'])
def test_a_program_links_with_the_shared_library(installed, tmp_path, compiler):
    program = build(installed, tmp_path, [compiler, '-Wall', '-Wextra', '-Werror'], 'c',
                    *flags(installed[1], '--libs'))
    assert 'libflowmob.so.0' in run('readelf', '-d', program)
    assert in_a_namespace(program, installed[1]) == SAYS


@needs_root
def test_a_static_program(installed, tmp_path):
    program = build(installed, tmp_path, ['gcc', '-static'], 'c', *flags(installed[1], '--static', '--libs'))
    assert 'statically linked' in run('readelf', '-d', program) or 'no dynamic section' in run('readelf', '-d', program)
    assert in_a_namespace(program) == SAYS


@needs_root
@pytest.mark.skipif(not shutil.which('g++'), reason='no C++ compiler')
@pytest.mark.parametrize('standard', ['c++11', 'c++20'])
def test_the_header_is_clean_in_cplusplus(installed, tmp_path, standard):
    compiler = ['g++', f'-std={standard}', '-Wall', '-Wextra', '-Wpedantic', '-Wold-style-cast', '-Werror']
    text = PROGRAM.replace('(struct sockaddr *)&to', 'reinterpret_cast<struct sockaddr *>(&to)')
    # Those of the compiler's own headers are not meant.
    text = text.replace(', IN6ADDR_LOOPBACK_INIT, 0 }', ', in6_addr(), 0 }').replace(
        'int fd', 'to.sin6_addr.s6_addr[15] = 1;\n\tint fd', 1)
    program = build(installed, tmp_path, compiler, 'cc', *flags(installed[1], '--libs'), text=text)
    assert in_a_namespace(program, installed[1]) == SAYS


@pytest.mark.parametrize('standard', ['c99', 'c11', 'c17'])
def test_the_headers_stand_alone(installed, tmp_path, standard):
    for header in ('flowmob', 'preferences'):
        build(installed, tmp_path, ['gcc', f'-std={standard}', '-pedantic', '-Wall', '-Wextra', '-Werror', '-c'], 'c',
              text=f'#include <flowmob/{header}.h>\n')


def declared():
    return set(re.findall(r'^(?:int|const char \*)\s*(\w+)\(', HEADER.read_text(), re.M))


def test_exactly_what_the_header_declares_is_exported(installed):
    library = next(p for p in installed[0].rglob('libflowmob.so.0') if p.exists())
    names = {line.split()[-1] for line in run('nm', '-D', '--defined-only', library).splitlines()}
    assert names == {f'{name}@@FLOWMOB_0.1' for name in declared()} | {'FLOWMOB_0.1'}


def test_it_needs_nothing_but_libc(installed):
    library = next(installed[0].rglob('libflowmob.so.0'))
    assert re.findall(r'NEEDED.*\[(.*)\]', run('readelf', '-d', library)) == ['libc.so.6']


def test_the_manual_names_all_that_the_header_declares():
    text = (ROOT / 'man/setsc.3.scd').read_text().replace('\\', '')
    constants = set(re.findall(r'\b(?:EAI|SC|IPV6)_[A-Z_]+|\b[A-Z_]+_IP_ADDRESS\b', HEADER.read_text()))
    assert {n for n in declared() | constants if n not in text} == {'EAI_'} & constants


@needs_root
@pytest.mark.parametrize('words', [[sys.executable, EXAMPLES / 'session.py'], ['{c}']], ids=['python', 'c'])
def test_examples_say_what_is_missing(installed, tmp_path, words):
    """Without flowmob in their network namespace they say so, and go on."""
    program = build(installed, tmp_path, ['gcc', '-Wall', '-Wextra', '-Werror'], 'c', *flags(installed[1], '--libs'),
                    text=(EXAMPLES / 'session.c').read_text())
    line = ' '.join(str(w).format(c=program) for w in words)
    said = run('unshare', '-n', 'sh', '-c', f'ip link set lo up && exec {line} ::1 9 2>&1', env=installed[1])
    assert 'not offered here' in said and 'from ::1' in said


def test_the_python_example_is_short():
    assert len((EXAMPLES / 'session.py').read_text().splitlines()) <= 40
