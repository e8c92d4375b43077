"""Measure engines on the same counting: events per CPU-second of one pinned core.

Run `python -m benchmarks.engine` from the root of the checkout; `--records 300000 --rounds 1` for a
quick look, `--engine worker` (any number of times) for some engines only.
"""

import argparse
import os
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.engine.engines import ENGINES, Engine
from benchmarks.engine.inputs import Input, publish
from benchmarks.engine.process import cores
from benchmarks.engine.runs import EngineFailedError, Measured, create, run, settings
from benchmarks.results import DIRECTORY
from streams import topics
from streams.broker import Broker

RECORDS = 3_000_000
KEYS = {"usual": (160, 40), "hard": (2_000, 40)}
"""Principals and event names."""
BROKER = {
    # A group of one member starts at once.
    "group.initial.rebalance.delay.ms": "0",
}


def main() -> None:
    """Measure and keep the results."""
    arguments = _arguments()
    began = time.monotonic()
    directory = DIRECTORY / "engine"
    directory.mkdir(parents=True, exist_ok=True)
    chosen = [each for each in ENGINES if not arguments.engine or each.name in arguments.engine]
    chosen = [each for each in chosen if _ready(each)]
    # The broker, and this process, stay off the engines' core.
    os.sched_setaffinity(0, {cores()[1]})
    with Broker(directory / "kafka", config=BROKER) as broker:
        for name in arguments.input or KEYS:
            _measure(name, chosen, arguments, broker.bootstrap_servers, directory)
    print(f"{time.monotonic() - began:.0f} s in all")


def _ready(engine: Engine) -> bool:
    reason = engine.needs()
    if reason:
        print(f"{engine.name}: not run: {reason}")
    return not reason


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=RECORDS, help="events of each input")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each engine on `usual`")
    parser.add_argument("--input", action="append", choices=list(KEYS), help="this input only")
    parser.add_argument("--engine", action="append", choices=[each.name for each in ENGINES])
    return parser.parse_args()


def _measure(
    name: str,
    engines: Sequence[Engine],
    arguments: argparse.Namespace,
    bootstrap_servers: str,
    directory: Path,
) -> list[Measured]:
    inputs = {
        records: make_input(name, records)
        for records in {_records(engine, arguments.records) for engine in engines}
    }
    for given in inputs.values():
        prepare(given, bootstrap_servers)
    measured: list[Measured] = []
    for number in range(arguments.rounds):
        for engine in engines:
            given = inputs[_records(engine, arguments.records)]
            try:
                result = run(engine, given, bootstrap_servers, directory, number=number)
            except EngineFailedError as error:
                print(f"error: {error}")
                continue
            measured.append(result)
            print(line(result), flush=True)
    return measured


def _records(engine: Engine, records: int) -> int:
    return min(engine.records or records, records)


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
        f"{result.input:6} {result.round}  {result.engine:24} {result.records:9,d} records  "
        f"{result.per_cpu_second:9,.0f} events/CPU-s (late {result.late_per_cpu_second:9,.0f})  "
        f"{result.wall_seconds:6.1f} s  {result.peak_bytes / 1e6:6.0f} MB  {wrong}"
    )


if __name__ == "__main__":
    main()
