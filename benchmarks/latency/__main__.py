"""Measure how soon a log file that lands is counted, and flagged: seconds on the clock.

Run `python -m benchmarks.latency` from the root of the checkout. Broker, worker and source share
the machine. Each file is read by the connector of `trailstreams source files` in this process: the
start of a program, which a source has once, is left out; its producer's start, once a file here,
is in.
"""

import argparse
import gzip
import json
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles
from typing import Self

from confluent_kafka import Consumer, TopicPartition
from prometheus_client import CollectorRegistry

from benchmarks.results import Result, write
from benchmarks.workers import events_counted, when, worker
from streams import topics
from streams.broker import Broker
from streams.broker.probe import free_port
from streams.codecs import Codecs
from streams.connectors import running
from streams.connectors.files import FilesOptions
from streams.connectors.registry import SOURCES
from streams.metrics import Metrics
from streams.settings import Settings, load_settings

FILES = 120
PERIOD_SECONDS = 1.0
PROBE_EVENTS = 1_600
"""Of one account's GetMetricData by AWS itself: the shipped limit is 1,500 a window."""
BACKGROUND_EVENTS = 1_000
BACKGROUND_CALLERS = 200
GOAL_SECONDS = 3.0
_FIRST_ACCOUNT = 111_122_220_000
_BACKGROUND_ACCOUNT = "111122223333"


def main() -> None:
    """Measure and keep the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=FILES, help="how many files land")
    arguments = parser.parse_args()
    began = time.monotonic()
    with Broker() as broker, tempfile.TemporaryDirectory() as folder:
        settings = load_settings(
            {},
            kafka_bootstrap_servers=broker.bootstrap_servers,
            kafka_partitions=4,
            kafka_replication_factor=1,
            metrics_port=free_port(),
        )
        topics.apply(settings)
        with worker(settings, "latency-worker"), _Alarms(settings) as alarms:
            samples = _land_files(settings, Path(folder), arguments.files, alarms)
    seconds = time.monotonic() - began
    results = list(_results(samples))
    for result in results:
        print(f"{result.case:26} {result.measure}  {result.value:6.2f} s")
    write("latency", results, seconds=seconds, remarks=_remarks(arguments.files))


def _remarks(files: int) -> Sequence[str]:
    return (
        f"{files} files, one each {PERIOD_SECONDS:.0f} s, of {PROBE_EVENTS:,} calls: over a limit.",
        f"Before each, a file of {BACKGROUND_EVENTS:,} ordinary calls.",
        "Times are from the moment the file is complete on disk.",
        "Published: the broker has confirmed all its records.",
        "Counted: `trailstreams_events_total` at `/metrics` shows them all.",
        "Flagged: a consumer of committed records has the provisional anomaly.",
        "The connector of `source files` runs in the measuring process, once a file, producer too.",
        "Broker, worker and source share the machine.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One file: seconds after it landed."""

    published: float
    counted: float
    flagged: float


def _results(samples: Sequence[Sample]) -> Iterator[Result]:
    for case in ("published", "counted", "flagged"):
        values = [getattr(sample, case) for sample in samples]
        cuts = quantiles(values, n=100, method="inclusive")
        for percent in (50, 95, 99):
            goal = GOAL_SECONDS if percent == 95 and case != "published" else None
            yield Result(
                benchmark="latency",
                case=f"file lands → {case}",
                measure=f"p{percent}",
                value=cuts[percent - 1],
                unit="s",
                at_most=goal,
            )


def _land_files(settings: Settings, folder: Path, files: int, alarms: "_Alarms") -> list[Sample]:
    samples = []
    for number in range(files):
        began = time.monotonic()
        background = [_event(_BACKGROUND_ACCOUNT, at) for at in range(BACKGROUND_EVENTS)]
        _publish(settings, _write(folder, background))
        account = str(_FIRST_ACCOUNT + number)
        path = _write(folder, [_call(account) for _ in range(PROBE_EVENTS)])
        landed = time.monotonic()
        _publish(settings, path)
        published = time.monotonic()
        counted = when(
            lambda account=account: events_counted(settings, account) == PROBE_EVENTS,
            f"{path.name} to be counted",
        )
        when(lambda account=account: account in alarms.heard, f"{path.name} to be flagged")
        samples.append(
            Sample(
                published=published - landed,
                counted=counted - landed,
                flagged=alarms.heard[account] - landed,
            )
        )
        time.sleep(max(0.0, began + PERIOD_SECONDS - time.monotonic()))
    return samples


# What lands.


def _call(account: str) -> dict[str, object]:
    """Return a call of CloudWatch's own, which the account did not ask for."""
    return _event(account, 0) | {
        "eventName": "GetMetricData",
        "userIdentity": {"type": "AWSService", "invokedBy": "monitoring.amazonaws.com"},
        "sourceIPAddress": "AWS Internal",
        "userAgent": "AWS Internal",
    }


def _event(account: str, number: int) -> dict[str, object]:
    user = f"example-{number % BACKGROUND_CALLERS}"
    return {
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "IAMUser",
            "arn": f"arn:aws:iam::{account}:user/{user}",
            "accountId": account,
            "userName": user,
        },
        "eventTime": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "eventSource": "monitoring.amazonaws.com",
        "eventName": "DescribeAlarms",
        "awsRegion": "us-east-1",
        "sourceIPAddress": "192.0.2.1",
        "userAgent": "aws-cli/2",
        "requestParameters": {"period": 60, "namespace": "AWS/ApplicationELB"},
        "eventID": str(uuid.uuid4()),
        "eventCategory": "Management",
        "recipientAccountId": account,
    }


def _write(folder: Path, records: Sequence[object]) -> Path:
    stamp = datetime.now(UTC)
    unique = uuid.uuid4().hex[:16]
    name = f"{_BACKGROUND_ACCOUNT}_CloudTrail_us-east-1_{stamp:%Y%m%dT%H%MZ}_{unique}.json.gz"
    path = folder / name
    path.write_bytes(gzip.compress(json.dumps({"Records": records}).encode()))
    return path


def _publish(settings: Settings, path: Path) -> None:
    """Do what `trailstreams source files PATH` does."""
    connector = running.prepare(
        SOURCES["files"],
        FilesOptions(paths=(str(path),)),
        settings,
        source_id="files",
        advance=lambda _done, _total: None,
    )
    metrics = Metrics(CollectorRegistry(), max_series=100)
    running.run(connector, settings, metrics, threading.Event(), source_id="files")


# What is seen of it.


class _Alarms:
    """Hears every committed anomaly: when each account's first one came."""

    def __init__(self, settings: Settings) -> None:
        self.heard: dict[str, float] = {}
        self._settings = settings
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._listen)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _listen(self) -> None:
        codecs = Codecs()
        consumer = Consumer(
            {
                "bootstrap.servers": self._settings.kafka_bootstrap_servers,
                "group.id": "benchmark-latency",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 20,
            }
        )
        name = topics.topic_name(self._settings, topics.ANOMALIES)
        partitions = range(self._settings.kafka_partitions)
        consumer.assign([TopicPartition(name, number, 0) for number in partitions])
        while not self._stop.is_set():
            message = consumer.poll(0.05)
            if message is not None and message.error() is None:
                account = codecs.decode_anomaly(message.value()).series.account_id
                self.heard.setdefault(account, time.monotonic())
        consumer.close()


if __name__ == "__main__":
    main()
