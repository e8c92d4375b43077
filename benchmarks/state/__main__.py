"""Measure the state of a partition: memory, closes, folding, recovery.

Run `python -m benchmarks.state` from the root of the checkout. Times are CPU seconds.
"""

import time

from benchmarks.results import write
from benchmarks.state.process import BENCHMARK, results_of
from benchmarks.state.traffic import CHURN, HARD, LIVE, USUAL

PARTS = (
    ("memory", LIVE.name),
    ("memory", CHURN.name),
    ("close",),
    ("fold", USUAL.name),
    ("fold", HARD.name),
    ("recovery",),
    ("takeover",),
)
REMARKS = (
    "Each part runs in a process of its own.",
    "Bytes are growth of the resident set: rows, keys, event ids and watched series together.",
    "Recovery reads a changelog of a real broker, read_committed, on one core.",
    "Takeover: two workers, one partition; its owner is told to end while events keep coming.",
)


def main() -> None:
    """Run all parts and keep their results."""
    began = time.monotonic()
    results = []
    for part in PARTS:
        for one in results_of(*part):
            print(f"{one.case:28} {one.measure:40} {one.value:12,.2f} {one.unit}", flush=True)
            results.append(one)
    write(BENCHMARK, results, seconds=time.monotonic() - began, remarks=REMARKS)


if __name__ == "__main__":
    main()
