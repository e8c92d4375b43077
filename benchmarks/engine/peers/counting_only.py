"""Our worker with de-duplication and transactions, but without detection: no series is watched.

Usage: counting_only.py; settings from TRAILSTREAMS_*, as for `trailstreams worker`.
"""

import asyncio
import functools

from streams.agents import fold
from streams.app import run_worker
from streams.cli.logs import configure_logging
from streams.cloudtrail.record import Activity
from streams.detection.series import UNWATCHED, Resolved
from streams.detection.watch import Watch
from streams.settings import load_settings
from streams.state.partition import Partition


class Blind(Watch):
    """Watches nothing."""

    def resolve(self, activity: Activity) -> Resolved:  # noqa: ARG002
        """Return that no series of the activity is watched."""
        return UNWATCHED


def main() -> None:
    """Run the worker."""
    # The one seam of the product without a setting: this is no way to run it.
    fold.Partition = functools.partial(Partition, open_watch=Blind)  # type: ignore[assignment,misc]
    settings = load_settings()
    configure_logging(settings.log_level)
    asyncio.run(run_worker(settings))


if __name__ == "__main__":
    main()
