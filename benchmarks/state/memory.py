"""Bytes of a million live window rows: their keys, event ids and watched series included."""

import gc
import resource
import sys

from benchmarks.state.play import Play
from benchmarks.state.process import result, say
from benchmarks.state.traffic import CHURN, LIVE, open_partition

GOAL_BYTES = 300


def resident_bytes() -> int:
    """Return the resident set of this process."""
    gc.collect()
    with open("/proc/self/statm", encoding="ascii") as pages:  # noqa: PTH123 - no file
        return int(pages.read().split()[1]) * resource.getpagesize()


def main() -> None:
    """Measure the case that the command line names."""
    traffic = next(one for one in (LIVE, CHURN) if one.name == sys.argv[1])
    play = Play(open_partition())
    before = resident_bytes()
    play.run(traffic)
    grown = resident_bytes() - before
    rows = play.partition.live_rows
    case = f"memory, {traffic.name}"
    say(
        [
            result(
                case, "bytes a live row", grown / rows, "B", at_most=GOAL_BYTES,
                note=f"{rows:,} rows of {min(traffic.keys, rows):,} keys; keys, event ids, "
                "baselines and names of series included",
            ),
            result(case, "longest slice of a close", play.close.longest * 1e3, "ms", at_most=50),
            result(case, "longest snapshot", play.snapshot.longest * 1e3, "ms", at_most=50),
            result(case, "fold", play.fold.seconds / play.events * 1e6, "us"),
        ]
    )  # fmt: skip


if __name__ == "__main__":
    main()
