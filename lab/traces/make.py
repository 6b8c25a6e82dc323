#!/usr/bin/env python3
"""Synthetic link traces in mahimahi's format: one line for each chance to send 1500 octets.

make.py KIND SECONDS SEED > FILE

Each kind is a rate that walks between two bounds, with outages where its cells or channels change.
Nothing is measured: the figures are chosen to look like such links, and the seed decides the rest.
"""
import random
import sys

# kind: (lowest, highest Mbit/s, step of the walk per 20 ms, seconds between outages, outage ms)
KINDS = {
    "lte": (4, 40, 0.08, (6, 12), (60, 350)),    # handover between cells
    "wifi": (6, 90, 0.15, (4, 15), (20, 250)),   # roaming, interference
    "5g": (20, 200, 0.12, (8, 20), (20, 120)),   # handover, blocked beams
}
SLICE_MS = 20
BITS = 1500 * 8


def slices(kind, seconds, rng):
    """Megabits per second for each slice of time; 0 during an outage."""
    low, high, step, between, outage = KINDS[kind]
    rate = (low + high) / 2
    next_outage = rng.uniform(*between) * 1000
    end_outage = 0.0
    for start in range(0, seconds * 1000, SLICE_MS):
        rate = min(high, max(low, rate * (1 + rng.uniform(-step, step))))
        if start >= next_outage:
            end_outage = start + rng.uniform(*outage)
            next_outage = end_outage + rng.uniform(*between) * 1000
        yield 0.0 if start < end_outage else rate


def lines(kind, seconds, seed):
    rng = random.Random(f"{kind} {seed}")
    credit = 0.0
    for number, rate in enumerate(slices(kind, seconds, rng)):
        for ms in range(SLICE_MS):
            credit += rate * 1000 / BITS
            while credit >= 1:
                credit -= 1
                yield number * SLICE_MS + ms
    yield seconds * 1000  # the trace repeats from here


def main():
    if len(sys.argv) != 4 or sys.argv[1] not in KINDS:
        sys.exit(f"usage: make.py {'|'.join(KINDS)} SECONDS SEED")
    for ms in lines(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])):
        print(ms)


if __name__ == "__main__":
    main()
