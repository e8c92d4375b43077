"""`trailstreams worker` with something left out.

Usage: worker_variant.py [pure] [counting-only]; settings from TRAILSTREAMS_*.
`pure`: as if there had been no C compiler when the package was installed.
`counting-only`: de-duplication and transactions, but no series is watched for anomalies.
"""
# ruff: noqa: PLC0415 - what is left out is left out before the product is imported

import functools
import sys


def main() -> None:
    """Run the worker."""
    if "pure" in sys.argv:
        sys.modules["streams.packed._native"] = None  # type: ignore[assignment]
    if "counting-only" in sys.argv:
        _watch_nothing()
    from streams.cli import main as trailstreams

    sys.argv[1:] = ["worker"]
    trailstreams()


def _watch_nothing() -> None:
    from collections.abc import Sequence

    import numpy as np

    from streams.agents import fold
    from streams.cloudtrail.record import Activity
    from streams.detection.tail import Indices
    from streams.detection.watch import Watch
    from streams.state.partition import Partition

    class Blind(Watch):
        def resolve_all(self, activities: Sequence[Activity]) -> Indices:
            return np.full((len(activities), 3), -1)

    # The partition's seam; nothing in the product sets it.
    fold.Partition = functools.partial(Partition, open_watch=Blind)  # type: ignore[misc]


if __name__ == "__main__":
    main()
