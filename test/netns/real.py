#!/usr/bin/env python3
"""Writes the scenarios real-MODE-EVENT into a folder: those of steer.py whose accesses follow recorded links.

real.py FOLDER

What is expected is what steer.py expects, and beside it what the two links do not carry by themselves: it is computed
from the recordings, for an agent that leaves an access which went silent within the bound of a silent cut. So a scenario
is false when the steering loses more than its links do.
"""
import pathlib
import re
import sys

import links
import steer

# The preferred link and the other one. Every event meets every pair, in one mode or another.
PAIRS = [('verizon-lte', 'att-lte'), ('5g-2019', 'verizon-lte'), ('att-2023', 'starlink'),
         ('5g-2020', 'att-lte'), ('att-lte', 'starlink'), ('evdo', 'verizon-lte')]
FAMILY = ('ipv6', 'ipv4-nat')
DELAY_MS = (10, 40)  # one way, as in steer.py: the recordings do not say
PEER_MS = 5
RATE = 50            # datagrams a second, flow and direction: the slowest link carries them on most days
OCTETS = 280         # of one, as the access sees it: 160 of payload, two headers, UDP of the tunnel
TICK_MS = 1000 // RATE
LATE_MS = 100        # what waits longer on a link has not come in time
LEAVE_MS = 600       # to leave an access that went silent: the bound of the event silent-cut; and 4 times its jitter
SHORT_MS = 500       # a link that comes back for less is of no use to who steers
SPARE_SHARE = 0.5    # percent: probes and sessions are on the links, too
SPARE_S = 3          # set-up is over, and what waits has arrived
TRAFFIC = {flow: re.sub(r'rate = "\d+/s"', f'rate = "{RATE}/s"  size = 160', text)
           for flow, text in steer.TRAFFIC.items()}


def seconds(text):
    return float(text.rstrip('s'))


def flaps():
    """Twelve seconds of a drive: the carrier is there while the phone is on 5G."""
    begin = 241
    return [f'at = "{at - begin}s"  do = "{"restore" if is_5g else "link-down"}"  access = "wifi"'
            for at, is_5g in links.read_handovers('run112') if begin < at < begin + 12]


def events_of(event):
    return flaps() if event == 'flapping' else steer.EVENTS[event][2]


def away(events, length_ms):
    """When the preferred access is cut, down or at its worst, by tick and direction (up, down)."""
    found = [[False] * (length_ms // TICK_MS) for _ in range(2)]
    for text in events:
        keys = dict(re.findall(r'(\S+) = "([^"]*)"', text))
        what = {'link-down': True, 'cut': True, 'restore': False, 'set': text == events[-1] or None}.get(keys['do'])
        for way, name in enumerate(('up', 'down')):
            if what is not None and keys.get('direction', name) == name:
                first = int(seconds(keys['at']) * 1000) // TICK_MS
                found[way][first:] = [what] * (len(found[way]) - first)
    return found


class Way:
    """What one direction of one link makes of datagrams sent at each tick: is it in time, and how long it takes."""

    def __init__(self, chances, length_s, n_flows):
        link = links.Link(chances, length_s + SPARE_S, 0)
        self.late, waits = [], []
        for tick in range(length_s * RATE):
            outs = [link.send(tick * TICK_MS, OCTETS) for _ in range(n_flows)]
            self.late.append(None in outs or max(outs) > tick * TICK_MS + LATE_MS)
            waits += [] if self.late[-1] else [out - tick * TICK_MS for out in outs]
        mean = sum(waits) / max(1, len(waits))
        self.jitter_ms = sum(abs(w - mean) for w in waits) / max(1, len(waits))


def runs(flags):
    """(first, length) of each stretch of ticks in which flags hold."""
    found, first = [], None
    for tick, flag in enumerate([*flags, False]):
        if flag and first is None:
            first = tick
        elif not flag and first is not None:
            found.append((first, tick - first))
            first = None
    return found


def close(flags, short):
    """The same, where short stretches without them count as with them."""
    flags = list(flags)
    for first, length in runs([not f for f in flags]):
        if length < short and 0 < first and first + length < len(flags):
            flags[first:first + length] = [True] * length
    return flags


def either(*lists):
    return [any(flags) for flags in zip(*lists)]


def both(*lists):
    return [all(flags) for flags in zip(*lists)]


class Window:
    """Some seconds of the two links of a pair, with the events of a scenario played over the first one."""

    def __init__(self, pair, mode, event, start_s):
        self.start_s, self.length_s = start_s, int(seconds(steer.EVENTS[event][1]))
        self.chances = [[links.cut(way, start_s, self.length_s + SPARE_S) for way in recording(name)] for name in pair]
        n_flows = len(steer.MODES[mode][1]) - 1
        self.ways = [[Way(c, self.length_s, n_flows) for c in way] for way in self.chances]
        events = events_of(event)
        self.begin_s = int(re.search(r'"(\d+)s"', events[0])[1]) if events else 1
        gone = away(events, self.length_s * 1000)
        self.late = [[either(w.late, gone[n]) if link == 0 else w.late for n, w in enumerate(ways)]
                     for link, ways in enumerate(self.ways)]
        self.bad = [either(*ways) for ways in self.late]
        self.has_silence = any(length * TICK_MS > LATE_MS for ways in self.ways for w in ways for _, length in runs(w.late))
        # silence is found in 3 round trips and 4 times their jitter: what is rough takes longer
        self.leave_ms = LEAVE_MS + int(4 * max(sum(w.jitter_ms for w in ways) for ways in self.ways))

    def is_fit(self):
        """The preferred link works until something happens to it, and at the end one of them does."""
        quiet, last = self.begin_s * RATE, SPARE_S * RATE
        return not any(self.bad[0][:quiet]) and not any(self.bad[1][:RATE]) and \
            (not any(self.bad[0][-last:]) or not any(self.bad[1][-last:]))


RECORDINGS = {}


def recording(name):
    if name not in RECORDINGS:
        RECORDINGS[name] = links.RECORDED[name]()
    return RECORDINGS[name]


def longest_outage(name):
    """Second at which the longest stretch begins in which nothing passes."""
    chances = recording(name)[0]
    return max(zip(chances, chances[1:]), key=lambda pair: pair[1] - pair[0])[0] // 1000


def window_of(mode, event):
    """The pair and the seconds that a scenario plays: others for each, the first that are fit."""
    modes, names = list(steer.MODES), list(steer.EVENTS)
    row, column = modes.index(mode), names.index(event)
    for turn in range(len(PAIRS)):
        pair = PAIRS[(row + column + turn) % len(PAIRS)]
        period_s = max(recording(name)[0][-1] // 1000 for name in pair)
        start_s = (row * 29 + column * 17) % period_s
        if event == 'link-traces':  # the outages are what happens
            start_s = max(0, longest_outage(pair[0]) - 4)
        for later_s in range(min(period_s, 150)):
            window = Window(pair, mode, event, start_s + later_s)
            if window.is_fit():
                return pair, window
    raise RuntimeError(f'no seconds of the recordings are fit for {mode}, {event}')


def milliseconds(text):
    return int(re.sub(r'\D', '', text))


def alone(mode, event, window, gone):
    """What the links do by themselves: (longest time without any, datagrams lost), when each is left in time."""
    if mode == 'redundant':  # a copy goes by each
        dark = [both(window.late[0][n], window.late[1][n]) for n in range(2)]
        lost = sum(map(sum, dark))
    else:
        dark = [close(both(*window.bad), SHORT_MS // TICK_MS)]
        lost = 2 * (sum(dark[0]) + sum(min(length, leave_ms(mode, event, gone[first], window) // TICK_MS)
                                       for bad in window.bad for first, length in runs(bad)))
    return TICK_MS * max([length for flags in dark for _, length in runs(flags)], default=0), lost


def expect_of(mode, event, window):
    """What steer.py expects, and what the links allow."""
    expect = steer.expect_of(mode, event)
    gone = either(*away(events_of(event), window.length_s * 1000))
    if event == 'link-traces' and mode != 'redundant':  # these are counted
        expect.pop('max-gap')
        expect.pop('max-lost')
    dark_ms, lost = alone(mode, event, window, gone)
    bound_ms = milliseconds(expect.get('max-gap', f'"{LEAVE_MS}ms"'))
    if mode != 'redundant' and (window.has_silence or bound_ms >= LEAVE_MS):
        bound_ms = max(bound_ms, window.leave_ms)
    expect['max-gap'] = f'"{bound_ms + dark_ms}ms"'
    share = float(expect.get('max-lost', '0').strip('"%')) + 100 * lost / (2 * window.length_s * RATE)
    expect['max-lost'] = f'"{share + SPARE_SHARE:.2f}%"'
    drop_last_path(expect, mode, window, gone)
    return expect


def leave_ms(mode, event, is_event, window):
    """How long an access that went silent may be used on. The event has its own bound, or its own share of losses."""
    if not is_event:
        return window.leave_ms
    if event in ('slow-decay', 'loss-ramp'):
        return 0
    return milliseconds(steer.expect_of(mode, event)['max-gap'])


def drop_last_path(expect, mode, window, gone):
    """The access at the end is known where the other one is gone, or where both links were well for long."""
    late = window.length_s * RATE // 3
    if expect.get('last-path') == '"lte"' and any(window.bad[1][-late:]) and not gone[-1]:
        del expect['last-path']
    if expect.get('last-path') == '"wifi"' and (any(window.bad[0][-2 * late:]) or mode == 'smallest-delay'):
        del expect['last-path']


def write_one(folder, name, mode, event, change=lambda text: text):
    """Writes one scenario and its traces."""
    pair, window = window_of(mode, event)
    accesses = []
    for n, access in enumerate(('wifi', 'lte')):
        for chances, way in zip(window.chances[n], ('up', 'down')):
            (folder / f'{name}-{access}.{way}').write_text('\n'.join(map(str, chances)) + '\n', encoding='utf-8')
        accesses.append(f'access "{access}" {{ family = "{FAMILY[n]}"  delay = "{DELAY_MS[n]}ms"  trace = "{name}-{access}" }}')
    text = steer.text_of(mode, event, name=name, accesses=accesses, events=events_of(event), traffic=TRAFFIC,
                         expect=expect_of(mode, event, window))
    note = f'# wifi is {pair[0]}, lte is {pair[1]}, from second {window.start_s} of the recordings.\n'
    (folder / f'{name}.scenario').write_text(change(note + text), encoding='utf-8')


def stay(text):
    """A host that does not leave the silent access: what is expected of its call must be found false."""
    text = re.sub(r'via = \{.*?\}', 'via = {"wifi"}  on-none = wait', text)
    return '# fails: call\n' + re.sub(r'  expect "session".*\n', '', text)


def write(folder):
    """Writes every scenario with its traces. Returns how many, 0 where the recordings are absent."""
    if not links.DATA.is_dir():
        return 0
    for mode in steer.MODES:
        for event in steer.EVENTS:
            write_one(folder, f'real-{mode}-{event}', mode, event)
    write_one(folder, 'real-control-silent-cut', 'active-standby', 'silent-cut', stay)
    return len(steer.MODES) * len(steer.EVENTS) + 1


if __name__ == '__main__':
    if len(sys.argv) != 2:
        sys.exit(f'usage: real.py FOLDER (reads {links.DATA})')
    print(write(pathlib.Path(sys.argv[1])))
