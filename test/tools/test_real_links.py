"""What test/netns/links.py and real.py say of recorded links, by small examples and by the recordings where they are."""
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / 'test/netns'))

import links  # noqa: E402
import real  # noqa: E402

RECORDED = pytest.mark.skipif(not links.DATA.is_dir(), reason='../shared/data/links is absent')


def test_a_link_serves_as_the_lab_does():
    """The moments of a_trace_gives_the_opportunities in test/unit/lab_shape.c, and a queue that is full."""
    link = links.Link([2, 2, 10], 0.010, 0)
    link.room = 1000000
    assert link.send(0, 1500) == 2 and link.send(0, 700) == 2 and link.send(0, 700) == 2
    assert link.send(0, 200) == 10
    full = links.Link([100] * 9, 1, 5)
    assert full.room == 1350 and full.send(0, 1000) == 105
    assert full.send(1, 1000) is None and full.send(101, 1000) is None  # no chance is left


def test_rates_become_chances():
    chances = links.spread([12000, 0, 1200])
    assert [sum(start <= ms < start + 1000 for ms in chances) for start in (0, 1000, 2000)] == [1000, 0, 100]


def test_a_window_goes_on_at_the_beginning():
    assert links.cut([100, 900, 2000], 1, 2) == [1000, 1100, 1900]


def test_short_breaks_join_what_is_dark():
    flags = [False, True, True, False, True, False, False, False, True]
    assert real.runs(flags) == [(1, 2), (4, 1), (8, 1)]
    assert real.runs(real.close(flags, 2)) == [(1, 4), (8, 1)]


@RECORDED
@pytest.mark.parametrize('name', links.RECORDED)
def test_each_recording_rises_and_is_long(name):
    for chances in links.RECORDED[name]():
        assert chances == sorted(chances) and chances[-1] > 100000


def test_every_recording_is_an_access_of_some_pair():
    assert {name for pair in real.PAIRS for name in pair} == set(links.RECORDED)
