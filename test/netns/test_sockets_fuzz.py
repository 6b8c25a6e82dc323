"""A user without rights calls everything about sockets and their addresses with random values (sockets_fuzz.py):
others go on as if nothing were, the daemon lives and grows no fatter, and no address is left over.
"""
import json
import os
import pathlib
import random
import subprocess
import sys

import pytest

from test_sockets_churn import KEPT, RELEASED_S, WORLD, Judge
from world import FLOWMOB, PEER6, World, until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason='network namespaces need root')

HERE = pathlib.Path(__file__).resolve().parent
SCRIPT = str(HERE / 'sockets_fuzz.py')
GROWTH_KB = 8192
AS_NOBODY = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--no-new-privs']


def start(world, before, *words):
    return subprocess.Popen([FLOWMOB, 'lab', 'exec', '--instance', world.instance, 'host', '--', *before,
                             '/usr/bin/python3', *map(str, words)], stdout=subprocess.PIPE, text=True)


def descriptors(pid):
    return len(os.listdir(f'/proc/{pid}/fd'))


def is_sanitized(pid):
    return 'libasan' in pathlib.Path(f'/proc/{pid}/maps').read_text()


@pytest.fixture
def script(tmp_path_factory):
    """Where a user without rights may read it."""
    path = pathlib.Path(f'/tmp/sockets-fuzz-{os.getpid()}.py')
    path.write_text(pathlib.Path(SCRIPT).read_text())
    path.chmod(0o644)
    yield path
    path.unlink()


def judged(world, script, programs, seconds, seed):
    """Runs it all. Returns the judge, what the victim says, and calls made, summed up."""
    peer = world.start('peer', sys.executable, HERE / 'churn_peer.py')
    assert peer.stdout.readline() == 'ready\n'
    victim = start(world, [], script, 'victim', seconds + 2, PEER6)
    running = [victim]
    try:
        assert victim.stdout.readline() == 'ready\n'
        judge = Judge(world, victim)
        running += [start(world, AS_NOBODY, script, 'fuzz', seed + i, seconds, world.dir / 'host/run/sc.sock', PEER6)
                    for i in range(programs)]
        said = [json.loads(p.communicate(timeout=seconds + 60)[0]) for p in running]
        assert [p.returncode for p in running] == [0] * len(running)
    finally:
        for p in running + [peer]:
            p.kill()
            p.wait()
    calls = {}
    for one in said[1:]:
        for name, n in one.items():
            calls[name] = calls.get(name, 0) + n
    return judge, said[0], calls


@pytest.mark.parametrize('programs, seconds', [(3, 6), pytest.param(6, 60, marks=pytest.mark.long)])
def test_random_calls_do_nothing_to_others(script, programs, seconds):
    seed = int(os.environ.get('FUZZ_SEED', random.randrange(1 << 30)))
    print(f'seed {seed}')
    with World('fuzz', WORLD) as world:
        until('the host is bound', lambda: world.ask('anchor', 'bindings')['bindings'])
        pids = [world.pid(node) for node in ('host', 'anchor')]
        judged(world, script, 1, 1, seed - 1)  # what is made once is made
        before, files = world.memory_kb('host'), descriptors(pids[0])
        judge, victim, calls = judged(world, script, programs, seconds, seed)
        print(victim, calls)
        assert [world.pid(node) for node in ('host', 'anchor')] == pids
        assert (victim['lost'], victim['errors'], victim['changed']) == (0, 0, 0), victim
        assert victim['sent'] > 20 * seconds
        assert not judge.early
        until('no reference is left', lambda: not judge.counted(), 5)
        until('no request is left', lambda: judge.map('fm_sock_requests_v1') == [], 5)
        until('no client is left', lambda: descriptors(pids[0]) <= files, 10)
        until('all is released but what is kept ready', lambda: list(judge.lent().values()) == [KEPT], RELEASED_S)
        judge.stop()
        assert is_sanitized(pids[0]) or world.memory_kb('host') - before < GROWTH_KB
        for what in ('setsockopt ok', 'setsockopt refused', 'getsockopt ok', 'connect ok', 'bind ok', 'listen ok',
                     'sendto ok', 'sc.sock asked', 'sc.sock ended'):
            assert calls.get(what, 0) > 0, calls
