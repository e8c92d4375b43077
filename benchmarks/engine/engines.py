"""Every engine: how it is started, how much it is given, and where its counts are found."""

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from benchmarks.engine import outputs, setup
from benchmarks.engine.outputs import Cell
from benchmarks.engine.setup import PEERS
from streams.broker.java import find_java

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
    needs: Callable[[], str] = setup.nothing
    """Make what the engine needs; return why it cannot run, if so."""
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


def _peer(script: str) -> Callable[[Place], list[str]]:
    own = _python(script)
    return lambda place: [str(setup.PEERS_PYTHON), *own(place)[1:]]


def _worker(*left_out: str) -> Callable[[Place], list[str]]:
    script = PEERS / "worker_variant.py"
    return lambda _: [sys.executable, str(script), *left_out]


def _compiled() -> str:
    return "" if find_spec("streams.packed._native") else "installed without a C compiler"


def kafka_streams(guarantee: str, **overrides: str) -> Callable[[Place], list[str]]:
    """Return the command; what is set beside names was tried out, see peers/README.md."""

    def command(place: Place) -> list[str]:
        properties = {
            "topic": place.records_topic,
            "application.id": place.group,
            "bootstrap.servers": place.bootstrap_servers,
            "state.dir": str(place.directory),
            "processing.guarantee": guarantee,
            "replication.factor": "1",
            "num.stream.threads": "1",
            "commit.interval.ms": "1000",
            **KAFKA_STREAMS,
            **overrides,
        }
        cache = properties.pop("cache")
        heap = properties.pop("heap")
        jvm = [f"-Xms{heap}", f"-Xmx{heap}", properties.pop("gc"), *_JVM]
        given = [f"{name}={value}" for name, value in properties.items()]
        start = [str(find_java()), *jvm, "-cp", setup.java_class_path()]
        return [*start, "CountPeer", cache, *given]

    return command


_JVM = ("-XX:+ExitOnOutOfMemoryError", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
KAFKA_STREAMS = {
    "cache": "true",
    "heap": "4g",
    "gc": "-XX:+UseSerialGC",
    "auto.offset.reset": "earliest",
    "statestore.cache.max.bytes": str(256 << 20),
    "buffered.records.per.partition": "10000",
    "consumer.max.poll.records": "10000",
    "consumer.max.partition.fetch.bytes": str(4 << 20),
    "consumer.check.crcs": "false",
    "producer.batch.size": str(512 << 10),
    "producer.buffer.memory": str(128 << 20),
    "producer.linger.ms": "100",
}

ENGINES: tuple[Engine, ...] = (
    Engine(
        name="worker",
        command=_worker("pure"),
        counts=outputs.activity_counts,
        ours=True,
    ),
    Engine(
        name="worker-compiled",
        command=_worker(),
        counts=outputs.activity_counts,
        needs=_compiled,
        ours=True,
    ),
    Engine(
        name="worker-counting-only",
        command=_worker("pure", "counting-only"),
        counts=outputs.activity_counts,
        ours=True,
    ),
    Engine(
        name="kafka-streams-at-least-once",
        command=kafka_streams("at_least_once"),
        counts=outputs.kafka_streams,
        needs=setup.kafka_streams,
    ),
    Engine(
        name="kafka-streams-exactly-once",
        command=kafka_streams("exactly_once_v2"),
        counts=outputs.kafka_streams,
        needs=setup.kafka_streams,
    ),
    Engine(
        name="librdkafka-loop",
        command=_python("raw_loop.py"),
        counts=outputs.pickled,
    ),
    Engine(
        name="quix-streams",
        command=_peer("quix_streams.py"),
        counts=outputs.quix_streams,
        needs=lambda: setup.peers_python("quixstreams"),
        records=100_000,
    ),
    Engine(
        name="bytewax",
        command=_peer("bytewax_flow.py"),
        counts=outputs.pickled,
        needs=lambda: setup.peers_python("bytewax"),
        records=100_000,
    ),
    Engine(
        name="stock-faust",
        command=_peer("stock_faust.py"),
        counts=outputs.stock_faust,
        needs=lambda: setup.peers_python("faust"),
        records=30_000,
    ),
)
