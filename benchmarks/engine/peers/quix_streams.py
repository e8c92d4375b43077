"""Quix Streams: a tumbling window with RocksDB and a changelog, committed every second.

Usage: quix_streams.py BOOTSTRAP TOPIC GROUP OUTPUT; the counts are in the changelog, and OUTPUT is
only a place for its state. At least once; duplicates are not looked for.
"""

import sys
from pathlib import Path
from typing import Any

from event_time import event_ms
from quixstreams import Application
from quixstreams.dataframe.windows import Count

LATENESS_MS = 600_000


def main() -> None:
    """Count until SIGTERM."""
    bootstrap, topic, group, output = sys.argv[1:]
    app = Application(
        broker_address=bootstrap,
        consumer_group=group,
        auto_offset_reset="earliest",
        commit_interval=1.0,
        state_dir=Path(output).parent / "state",
        auto_create_topics=True,
        loglevel="WARNING",
        consumer_extra_config={"check.crcs": False, "fetch.wait.max.ms": 50},
        producer_extra_config={"linger.ms": 20, "batch.size": 512 * 1024},
    )
    records = app.topic(
        topic,
        key_deserializer="bytes",
        value_deserializer="bytes",
        timestamp_extractor=_event_time,
    )
    windows = app.dataframe(records).tumbling_window(300_000, grace_ms=LATENESS_MS, name="counts")
    # Nothing reads what is emitted: the state is the result, as it is for the others.
    windows.agg(count=Count()).current()
    app.run()


def _event_time(value: Any, _headers: Any, _timestamp: float, _kind: Any) -> int:
    return event_ms(value)


if __name__ == "__main__":
    main()
