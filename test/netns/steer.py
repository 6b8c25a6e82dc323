#!/usr/bin/env python3
"""Writes the scenarios steer-MODE-EVENT.scenario: every steering mode beside everything that may
happen to the access it prefers. Without an argument it writes them beside itself; with --check it
says which of them differ from what the tables here say.

What is expected stands in EXPECT, by event and mode; a figure that is not there is the event's.
real.py puts recorded links in the place of these accesses; table_of() shows how all of them went.
"""
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent

# Mode: what stands in the default block, and what is played over it.
MODES = {
    'active-standby': ('mode = active-standby', ('call', 'session')),
    'smallest-delay': ('mode = smallest-delay', ('call', 'session')),
    'load-balancing': ('mode = load-balancing  weights = {"wifi=60", "lte=40"}', ('call', 'call2', 'call3', 'session')),
    'load-by-capacity': ('mode = load-balancing', ('call', 'call2', 'call3', 'session')),
    'priority-based': ('mode = priority-based', ('call', 'session')),
    'redundant': ('mode = redundant', ('call', 'session')),
}
TRAFFIC = {
    'call': 'traffic "call"    { proto = "udp"  rate = "200/s"  direction = "both" }',
    'call2': 'traffic "call2"   { proto = "udp"  rate = "100/s"  direction = "both" }',
    'call3': 'traffic "call3"   { proto = "udp"  rate = "100/s"  direction = "both" }',
    'session': 'traffic "session" { proto = "tcp"  kind = "echo" }',
}

# Event: what it plays, how long the world runs, and its events.
EVENTS = {
    'carrier-loss': ('The preferred access loses its carrier and does not come back.', '6s',
                     ['at = "2s"  do = "link-down"  access = "wifi"']),
    'silent-cut': ('Packets of the preferred access vanish in both directions, the carrier stays.', '6s',
                   ['at = "2s"  do = "cut"  access = "wifi"']),
    'one-way-cut': ('Only what goes up by the preferred access vanishes.', '6s',
                    ['at = "2s"  do = "cut"  access = "wifi"  direction = "up"']),
    'slow-decay': ('The preferred access gets slower second by second, and loses nothing.', '10s',
                   [f'at = "{at}s"  do = "set"  access = "wifi"  delay = "{delay}ms"'
                    for at, delay in ((2, 20), (3, 40), (4, 80), (5, 160), (6, 300))]),
    'loss-ramp': ('The preferred access loses more second by second.', '14s',
                  [f'at = "{at}s"  do = "set"  access = "wifi"  loss = "{loss}%"'
                   for at, loss in ((2, 2), (3, 5), (4, 10), (5, 20), (6, 40))]),
    'flapping': ('The preferred access loses its carrier five times in five seconds: nothing returns to it soon.', '12s',
                 ['at = "1s"  do = "flap"  access = "wifi"  period = "1s"  count = 5']),
    'link-traces': ('Both accesses follow synthetic traces with outages and handovers.', '12s', []),
    'recovery': ('The preferred access is away for two seconds, and everything goes on.', '8s',
                 ['at = "2s"  do = "link-down"  access = "wifi"', 'at = "4s"  do = "restore"  access = "wifi"']),
}

# Accesses: those of every world, but for the events that bring their own.
ACCESSES = {
    '': ['access "wifi" { family = "ipv6"      delay = "10ms"  rate = "50mbit" }',
         'access "lte"  { family = "ipv4-nat"  delay = "40ms"  rate = "20mbit" }'],
    'link-traces': ['access "wifi" { family = "ipv6"      delay = "8ms"   trace = "traces/wifi" }',
                    'access "lte"  { family = "ipv4-nat"  delay = "35ms"  trace = "traces/lte" }'],
}

# Event: mode ('' for all that say nothing themselves): what every flow must hold, {} of one flow beside it.
EXPECT = {
    'carrier-loss': {'': 'max-gap = "250ms"  max-duplicated = 0  last-path = "lte"',
                     'redundant': 'max-gap = "250ms"  max-lost = 0  max-duplicated = 0'},
    'silent-cut': {'': 'max-gap = "600ms"  max-duplicated = 0  last-path = "lte"',
                   'redundant': 'max-gap = "250ms"  max-lost = 0  max-duplicated = 0'},
    'one-way-cut': {'': 'max-gap = "600ms"  max-duplicated = 0  last-path = "lte"',
                    'redundant': 'max-gap = "250ms"  max-lost = 0  max-duplicated = 0'},
    'slow-decay': {'': 'max-gap = "450ms"  max-lost = 0  max-duplicated = 0  last-path = "lte"',
                   'redundant': 'max-gap = "250ms"  max-lost = 0  max-duplicated = 0'},
    'loss-ramp': {'': 'max-lost = "12%"  max-duplicated = 0  last-path = "lte"',
                  'redundant': 'max-lost = 0  max-duplicated = 0'},
    'flapping': {'': 'max-gap = "250ms"  max-duplicated = 0  last-path = "lte"',
                 'redundant': 'max-gap = "250ms"  max-lost = 0  max-duplicated = 0'},
    'link-traces': {'': 'max-lost = "10%"  max-gap = "800ms"  max-duplicated = 0',
                    'redundant': 'max-lost = "1%"  max-gap = "400ms"  max-duplicated = 0'},
    'recovery': {'': 'max-gap = "250ms"  max-duplicated = 0  last-path = "wifi"',
                 'load-balancing': 'max-gap = "250ms"  max-duplicated = 0',
                 'load-by-capacity': 'max-gap = "250ms"  max-duplicated = 0',
                 'redundant': 'max-gap = "250ms"  max-lost = 0  max-duplicated = 0'},
}


def name_of(mode, event):
    return f'steer-{mode}-{event}'


def expect_of(mode, event):
    """What every flow must hold, by key."""
    text = EXPECT[event].get(mode, EXPECT[event][''])
    return {'broken': 'false', **dict(part.split(' = ') for part in text.split('  '))}


def text_of(mode, event, **given):
    """The scenario; given name, accesses, events, traffic and expect take the place of what the tables say."""
    host, flows = MODES[mode]
    what, duration, events = EVENTS[event]
    events, traffic = given.get('events', events), given.get('traffic', TRAFFIC)
    expect = given.get('expect') or expect_of(mode, event)
    lines = [
        f'# {what} Mode {mode}.',
        '# Written by steer.py.',
        f'scenario "{given.get("name", name_of(mode, event))}" {{',
        f'  duration = "{duration}"',
        '  peer   { delay = "5ms" }',
        *(f'  {access}' for access in given.get('accesses', ACCESSES.get(event, ACCESSES['']))),
        f'  host   {{ default {{ type = "session-lasting"  {host}  via = {{"wifi", "lte"}} }} }}',
        '',
    ]
    lines += [f'  {traffic[flow]}' for flow in flows]
    lines += [f'  event {{ {e} }}' for e in events]
    for flow in flows:
        # TCP loses and doubles nothing; a lost segment is a retransmission away
        wanted = [f'{key} = {value}' for key, value in expect.items() if flow != 'session' or not key.startswith('max-')]
        lines.append(f'  expect "{flow}" {{ {"  ".join(wanted)} }}')
    return '\n'.join(lines + ['}', ''])


def cell_of(report, why):
    """How one scenario went: the longest gap of its datagrams at the receivers, how many were lost, how many came twice."""
    if report is None:
        return why and 'no report'
    calls = [f for f in report['flows'] if f['proto'] == 'udp']
    gap = max(f['max_gap_ms'] for f in calls)
    lost, twice = (sum(f[key] for f in calls) for key in ('lost', 'duplicated'))
    return f'{"FAIL" if why else "pass"} {gap:.0f}/{lost}/{twice}'


def table_of(played, title):
    """Lines of a table, mode by event; played: name after its prefix: (report, why it is not as it should be)."""
    events = [e for e in EVENTS if any(f'{m}-{e}' in played for m in MODES)]
    if not events:
        return []
    rows = [[title, *events]]
    rows += [[m, *(cell_of(*played[f'{m}-{e}']) if f'{m}-{e}' in played else '' for e in events)]
             for m in MODES if any(f'{m}-{e}' in played for e in events)]
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    lines = [f'| {" | ".join(text.ljust(width) for text, width in zip(row, widths))} |' for row in rows]
    return [*lines, '| (gap in ms / datagrams lost / delivered twice, at the receivers)']


def main():
    differ = []
    for mode in MODES:
        for event in EVENTS:
            path = HERE / f'{name_of(mode, event)}.scenario'
            text = text_of(mode, event)
            if '--check' not in sys.argv[1:]:
                path.write_text(text, encoding='utf-8')
            elif not path.exists() or path.read_text(encoding='utf-8') != text:
                differ.append(path.name)
    for name in differ:
        print(f'{name} differs: run test/netns/steer.py')
    return 1 if differ else 0


if __name__ == '__main__':
    sys.exit(main())
