"""Recorded links as accesses: reads what ../shared/data/links holds, cuts the seconds of a scenario out of it, and
says what such a link does to packets by itself, so that a scenario is judged by what its links leave possible.
"""
import bisect
import os
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DATA = pathlib.Path(os.environ.get('FLOWMOB_DATA', ROOT.parent / 'shared/data')) / 'links'
CHANCE = 1500  # octets that one line of a trace lets pass


def read_mahimahi(name):
    """Milliseconds of the chances to send, (up, down)."""
    return tuple([int(ms) for ms in (DATA / f'mahimahi_{name}.{way}').read_text().split()] for way in ('up', 'down'))


def spread(kbits):
    """Chances to send, evenly over each second, from kbit/s by second."""
    credit, chances = 0, []
    for second, kbit in enumerate(kbits):
        for ms in range(1000):
            credit += int(kbit)  # bits, a millisecond's worth
            while credit >= 8 * CHANCE:
                credit -= 8 * CHANCE
                chances.append(second * 1000 + ms)
    return chances


def read_satcell(name):
    """Throughput of each second as iperf saw it downwards; the same both ways."""
    text = (DATA / f'satcell_mob_att_{name}.iperf.txt').read_text()
    unit = {'': 0.001, 'K': 1, 'M': 1000, 'G': 1000000}
    kbits = [float(number) * unit[kind] for number, kind in
             re.findall(r'^\[ +\d+\] +[\d.]+-[\d.]+ +sec +[\d.]+ \w+ +([\d.]+) ([KMG]?)bits/sec *$', text, re.M)]
    chances = spread(kbits)
    return chances, chances


def read_ucc5g(name):
    """Rate downwards of each second in which the phone was downloading; the same both ways."""
    rows = [line.split(',') for line in (DATA / f'ucc5g_driving_B_{name}.csv').read_text().splitlines()]
    rate, state = rows[0].index('DL_bitrate'), rows[0].index('State')
    chances = spread([int(row[rate]) for row in rows[1:] if row[state] == 'D'])
    return chances, chances


def read_handovers(name):
    """Seconds at which a drive changed between 5G and LTE: (second, True when 5G came)."""
    rows = [line.split(',') for line in (DATA / f'wild5g_{name}-handoff.csv').read_text().splitlines()[1:]]
    return sorted((int(at), kind == '4t5') for at, _, kind in rows if kind in ('4t5', '5t4'))


# Name: how it is read.
RECORDED = {
    'verizon-lte': lambda: read_mahimahi('Verizon-LTE-short'),
    'att-lte': lambda: read_mahimahi('ATT-LTE-driving-2016'),
    'evdo': lambda: read_mahimahi('Verizon-EVDO-driving'),
    'starlink': lambda: read_satcell('sp_mob'),
    'att-2023': lambda: read_satcell('sp_att'),
    '5g-2019': lambda: read_ucc5g('2019.12.16_12.27.05'),
    '5g-2020': lambda: read_ucc5g('2020.02.27_17.30.15'),
}


def cut(chances, start_s, length_s):
    """The chances of some seconds of a recording, counted from there; it goes on at its beginning when it ends."""
    period = chances[-1]
    found = []
    for turn in range(2):
        base = turn * period - start_s * 1000 % period
        low, high = bisect.bisect_left(chances, -base), bisect.bisect_left(chances, length_s * 1000 - base)
        found += [base + ms for ms in chances[low:high]]
    return found


class Link:
    """One direction, as lab/shape.c serves it: a packet waits for its chance, and is dropped behind a full queue."""

    def __init__(self, chances, length_s, delay_ms):
        self.chances, self.delay_ms = chances, delay_ms
        self.room = len(chances) * CHANCE / length_s / 10  # octets: 100 ms at the mean
        self.at, self.left, self.waiting = 0, CHANCE, []

    def send(self, now_ms, octets):
        """When it arrives, in ms; None when it is lost."""
        self.waiting = [(out, n) for out, n in self.waiting if out > now_ms]
        if self.waiting and sum(n for _, n in self.waiting) + octets > self.room:
            return None
        if self.at < len(self.chances) and self.chances[self.at] < now_ms:
            self.at, self.left = bisect.bisect_left(self.chances, now_ms, self.at), CHANCE
        need = octets
        while need > self.left:
            need, self.at, self.left = need - self.left, self.at + 1, CHANCE
        self.left -= need
        if self.at >= len(self.chances):
            return None
        self.waiting.append((self.chances[self.at], octets))
        return self.chances[self.at] + self.delay_ms
