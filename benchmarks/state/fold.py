"""Microseconds of CPU an event: folding, snapshots, rows and closes with detection."""

import sys

from benchmarks.state.play import Play
from benchmarks.state.process import result, say
from benchmarks.state.traffic import HARD, USUAL, open_partition


def main() -> None:
    """Measure the case that the command line names."""
    traffic = next(one for one in (USUAL, HARD) if one.name == sys.argv[1])
    play = Play(open_partition())
    play.run(traffic)
    parts = {"fold": play.fold, "close": play.close, "snapshot": play.snapshot, "rows": play.encode}
    total = sum(clock.seconds for clock in parts.values())
    note = ", ".join(
        f"{name} {clock.seconds / play.events * 1e6:.2f}" for name, clock in parts.items()
    )
    case = f"fold, {traffic.name}"
    say([result(case, "CPU an event", total / play.events * 1e6, "us", note=note)])


if __name__ == "__main__":
    main()
