"""Every engine: how it is started, how much it is given, and where its counts are found."""

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.engine import outputs
from benchmarks.engine.outputs import Cell
from benchmarks.results import ROOT

PEERS = Path(__file__).parent / "peers"

ALL = 0
"""The engine is given the whole input."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where one run of an engine finds its input and leaves its counts."""

    bootstrap_servers: str
    topic_prefix: str
    """`records` follows."""
    group: str
    """Consumer group, and the name of the application; of this run alone."""
    output: Path
    """A file for engines that keep no counts in Kafka."""
    directory: Path
    """A directory of this run alone."""

    @property
    def records_topic(self) -> str:
        """The input."""
        return f"{self.topic_prefix}records"


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """One engine, or one variant of one."""

    name: str
    command: Callable[[Place], list[str]]
    counts: Callable[[Place], Iterable[Cell]]
    """Read back what the engine counted: raw record key, window start (ms), count."""
    environment: Mapping[str, str] = field(default_factory=dict)
    records: int = ALL
    """How many records a slow engine is given."""
    ours: bool = False
    """Whether topics of `trailstreams topics apply` are needed."""


def _python(script: str) -> Callable[[Place], list[str]]:
    def command(place: Place) -> list[str]:
        return [
            sys.executable,
            str(PEERS / script),
            place.bootstrap_servers,
            place.records_topic,
            place.group,
            str(place.output),
        ]

    return command


def _worker(_: Place) -> list[str]:
    return [sys.executable, "-m", "streams", "worker"]


def _counting_only(_: Place) -> list[str]:
    return [sys.executable, str(PEERS / "counting_only.py")]


ENGINES: tuple[Engine, ...] = (
    Engine(
        name="worker",
        command=_worker,
        counts=outputs.activity_counts,
        ours=True,
    ),
    Engine(
        name="worker-counting-only",
        command=_counting_only,
        counts=outputs.activity_counts,
        environment={"PYTHONPATH": str(ROOT)},
        ours=True,
    ),
    Engine(
        name="librdkafka-loop",
        command=_python("raw_loop.py"),
        counts=outputs.pickled,
    ),
)
