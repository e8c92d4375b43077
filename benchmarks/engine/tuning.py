"""Try settings of Kafka Streams, one change at a time: the best are the ones in `engines.py`.

Run `python -m benchmarks.engine.tuning`; what came out once is in peers/README.md.
"""

import argparse
import os

from benchmarks.engine import outputs, setup
from benchmarks.engine.__main__ import BROKER, KEYS, line, make_input, prepare
from benchmarks.engine.engines import Engine, kafka_streams
from benchmarks.engine.process import cores
from benchmarks.engine.runs import run
from benchmarks.results import DIRECTORY
from streams.broker import Broker

VARIANTS: dict[str, dict[str, str]] = {
    "chosen": {},
    "cache-off": {"cache": "false"},
    "cache-64mb": {"statestore.cache.max.bytes": str(64 << 20)},
    "parallel-gc": {"gc": "-XX:+UseParallelGC"},
    "g1": {"gc": "-XX:+UseG1GC"},
    "heap-1g": {"heap": "1g"},
    "heap-4g": {"heap": "4g"},
    "poll-1000": {
        "consumer.max.poll.records": "1000",
        "buffered.records.per.partition": "1000",
    },
    "fetch-1mb": {"consumer.max.partition.fetch.bytes": str(1 << 20)},
    "batch-16kb": {"producer.batch.size": str(16 << 10)},
    "linger-5ms": {"producer.linger.ms": "5"},
    "crcs-checked": {"consumer.check.crcs": "true"},
}


def main() -> None:
    """Run every variant once and print a line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--input", choices=list(KEYS), default="usual")
    parser.add_argument("--guarantee", default="exactly_once_v2")
    parser.add_argument("--variant", action="append", choices=list(VARIANTS))
    arguments = parser.parse_args()
    if reason := setup.kafka_streams():
        raise SystemExit(f"error: {reason}")
    given = make_input(arguments.input, arguments.records)
    directory = DIRECTORY / "tuning"
    directory.mkdir(parents=True, exist_ok=True)
    os.sched_setaffinity(0, {cores()[1]})
    with Broker(config=BROKER) as broker:
        prepare(given, broker.bootstrap_servers)
        for name in arguments.variant or VARIANTS:
            engine = Engine(
                name=name,
                command=kafka_streams(arguments.guarantee, **VARIANTS[name]),
                counts=outputs.kafka_streams,
            )
            print(
                line(run(engine, given, broker.bootstrap_servers, directory, number=0)), flush=True
            )


if __name__ == "__main__":
    main()
