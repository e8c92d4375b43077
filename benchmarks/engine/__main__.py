"""Measure engines on the same counting: events per CPU-second of one pinned core.

Run `python -m benchmarks.engine` from the root of the checkout; `--records 300000 --rounds 1` for a
quick look, `--engine worker` (any number of times) for some engines only.
"""

import argparse
import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.engine.engines import ENGINES, Engine
from benchmarks.engine.inputs import Input, publish
from benchmarks.engine.process import cores
from benchmarks.engine.runs import EngineFailedError, Measured, create, run, settings
from benchmarks.engine.summary import results
from benchmarks.results import DIRECTORY, write
from streams import topics
from streams.broker import Broker

RECORDS = 3_000_000
KEYS = {"usual": (160, 40), "hard": (2_000, 40)}
"""Principals and event names: 39 and 3 events to a windowed key, on average."""
ROUNDS = {"usual": 3, "hard": 1}
BROKER = {
    # A group of one member starts at once.
    "group.initial.rebalance.delay.ms": "0",
}
REMARKS = (
    "Records are compressed with LZ4 in batches of 512 KiB, as our sources publish them.",
    "Every engine is one process on one core of its own; the broker and the clock are on another.",
    (
        "CPU seconds count from the start of the process, interpreter or JVM included, until the "
        "consumer group has committed all input; the last half is measured between commits."
    ),
    "Rounds are interleaved (A B C, A B C); figures are medians.",
    "Every run's counts are compared with the truth for every key and window.",
    "Only our worker takes out duplicates, detects anomalies and serves metrics.",
    "`benchmarks/engine/peers/README.md` has the peers' settings.",
)


def main() -> None:
    """Measure and keep the results."""
    arguments = _arguments()
    began = time.monotonic()
    directory = DIRECTORY / "engine"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    chosen = [each for each in ENGINES if not arguments.engine or each.name in arguments.engine]
    not_run = {each.name: reason for each in chosen if (reason := each.needs())}
    for name, reason in not_run.items():
        print(f"{name}: not run: {reason}", flush=True)
    # The broker, and this process, stay off the engines' core.
    os.sched_setaffinity(0, {cores()[1]})
    measured: list[Measured] = []
    with Broker(directory / "kafka", config=BROKER) as broker:
        for name in arguments.input or KEYS:
            inputs = _publish(name, chosen, arguments.records, broker.bootstrap_servers)
            for number in range(arguments.rounds or ROUNDS[name]):
                engines = [each for each in chosen if each.name not in not_run]
                for engine in engines:
                    given = inputs[_records(engine, arguments.records)]
                    measured += _run(engine, given, broker.bootstrap_servers, directory, number)
    shutil.rmtree(directory / "kafka")
    seconds = time.monotonic() - began
    (directory / "runs.json").write_text(json.dumps([asdict(each) for each in measured], indent=1))
    write("engine", list(results(measured, not_run)), seconds=seconds, remarks=REMARKS)
    print(f"{seconds:.0f} s in all")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=RECORDS, help="events of each input")
    parser.add_argument("--rounds", type=int, help="runs of each engine (usual 3, hard 1)")
    parser.add_argument("--input", action="append", choices=list(KEYS), help="this input only")
    parser.add_argument("--engine", action="append", choices=[each.name for each in ENGINES])
    return parser.parse_args()


def _publish(
    name: str, engines: Sequence[Engine], records: int, bootstrap_servers: str
) -> dict[int, Input]:
    """Publish an input, and the beginnings of it that slow engines are given; by length."""
    lengths = {_records(engine, records) for engine in engines}
    inputs = {length: make_input(name, length) for length in lengths}
    for given in inputs.values():
        prepare(given, bootstrap_servers)
    return inputs


def _records(engine: Engine, records: int) -> int:
    return min(engine.records or records, records)


def _run(
    engine: Engine, given: Input, bootstrap_servers: str, directory: Path, number: int
) -> Iterator[Measured]:
    try:
        result = run(engine, given, bootstrap_servers, directory, number=number)
    except EngineFailedError as error:
        # Its line is missing in the results, and the others' runs are not lost.
        print(f"error: {error}", flush=True)
        return
    print(line(result), flush=True)
    yield result


def make_input(name: str, records: int) -> Input:
    """Return one of the inputs."""
    principals, event_names = KEYS[name]
    return Input(name=name, principals=principals, event_names=event_names, records=records)


def prepare(given: Input, bootstrap_servers: str) -> None:
    """Make the input's topic and publish it."""
    began = time.monotonic()
    records = topics.catalogue(settings(bootstrap_servers, given.topic_prefix, "benchmark"))[0]
    create(bootstrap_servers, records)
    publish(given, bootstrap_servers)
    print(f"{given.topic}: published in {time.monotonic() - began:.0f} s", flush=True)


def line(result: Measured) -> str:
    """Return one run for people."""
    wrong = f"{result.wrong_windows} WRONG" if result.wrong_windows else "exact"
    return (
        f"{result.input:6} {result.round}  {result.engine:26} {result.records:9,d} records  "
        f"{result.per_cpu_second:9,.0f} events/CPU-s (late {result.late_per_cpu_second:9,.0f})  "
        f"{result.wall_seconds:6.1f} s  {result.peak_bytes / 1e6:6.0f} MB  {wrong}"
    )


if __name__ == "__main__":
    main()
