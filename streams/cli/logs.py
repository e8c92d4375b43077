"""Logging of the long-running commands: one line an event, on stderr."""

import logging

# Libraries that tell at INFO what only their authors want to know.
_QUIET = (
    "aiokafka",
    "faust",
    "mode",
    "aiohttp",
    "asyncio",
    # Faust's services log under the names of our subclasses.
    "streams.engine.ownership",
    "streams.engine.transport",
)


def configure_logging(level: str) -> None:
    """Log at `level` (DEBUG, INFO, WARNING or ERROR) to stderr."""
    logging.basicConfig(
        level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
    if level != "DEBUG":
        for name in _QUIET:
            logging.getLogger(name).setLevel(logging.WARNING)
        # A flush that takes longer than its interval is measured, not warned of every second.
        logging.getLogger("mode.timers").setLevel(logging.ERROR)
