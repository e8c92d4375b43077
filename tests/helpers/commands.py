"""Commands of ours as processes, run to their end."""

import json
import subprocess
import sys
from typing import Any

from helpers.kafka import wait_until
from helpers.workers import settings_environment
from streams.connectors.state_log import places, read_state
from streams.engine.meta import META_KEY
from streams.settings import Settings


def run(settings: Settings, *words: object) -> list[dict[str, Any]]:
    """Run a command that prints JSON; fail with its message unless it ends with 0."""
    done = subprocess.run(
        [sys.executable, "-m", "streams", *map(str, words), "--json"],
        env=settings_environment(settings),
        check=False,
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def stored_positions(settings: Settings) -> dict[int, int]:
    """Return the committed position of each partition: the changelog's, not the group's."""
    stored = {p: read_state(settings, p).get(META_KEY) for p in range(settings.kafka_partitions)}
    return {p: json.loads(value)["position"] for p, value in stored.items() if value}


def at_end(settings: Settings) -> bool:
    """Tell whether the committed positions are the log's ends."""
    ends = {p: place.source.end for p, place in places(settings).items() if place.source}
    return stored_positions(settings) == ends


def wait_for_end(settings: Settings, seconds: float = 90) -> None:
    """Return when all that is on the records topic is committed."""
    wait_until(lambda: at_end(settings), seconds, "the state at the end of the log")
