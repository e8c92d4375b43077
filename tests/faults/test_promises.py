"""What operators are promised in seconds: lag, readiness, ends, restarts, and honest metrics."""

import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest
from helpers.commands import run, stored_positions, wait_for_end
from helpers.kafka import Group, wait_until
from helpers.probes import get, is_ready, samples, wait_ready
from helpers.traffic import Traffic, activities
from helpers.workers import Workers

from streams.broker import Broker
from streams.broker.probe import free_port
from streams.connectors.state_log import Owner
from streams.settings import Settings, load_settings
from streams.topics import TopicNames, apply

SLOW = (sys.executable, str(Path(__file__).parents[1] / "pipeline/slow_worker.py"), "worker")
LAG_SECONDS = 2
STOP_SECONDS = 10
GAP_SECONDS = 10


@pytest.fixture
def ours(settings: Settings) -> Settings:
    """Return settings of a deployment whose topics are there."""
    given = {name: getattr(settings, name) for name in settings.model_fields_set}
    ours = load_settings({}, **given | {"kafka_session_timeout_seconds": 6})
    apply(ours)
    return ours


@pytest.fixture
def workers(ours: Settings, tmp_path: Path) -> Iterator[Workers]:
    with Workers(ours, tmp_path) as workers:
        yield workers


@pytest.fixture
def slow_workers(ours: Settings, tmp_path: Path) -> Iterator[Workers]:
    with Workers(ours, tmp_path, SLOW) as workers:
        yield workers


def start(workers: Workers, name: str, **environment: str) -> int:
    """Start a worker; return its port."""
    port = free_port()
    workers.start(name, TRAILSTREAMS_METRICS_PORT=str(port), **environment)
    return port


def stop_seconds(workers: Workers, name: str) -> float:
    """Stop a worker by SIGTERM; return how long that took."""
    started = time.monotonic()
    assert workers.stop(name) == 0
    return time.monotonic() - started


class Flow:
    """Events published all the time, spread over all partitions, until the context ends."""

    def __init__(self, settings: Settings, events_per_second: int) -> None:
        self.traffic = Traffic(settings)
        self._activities = activities(settings, 5)
        self._pause = len(self._activities) / events_per_second
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._ended.wait(self._pause):
            self.traffic.events(self._activities, len(self._activities))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


# Lag.


def test_lag_is_right_two_seconds_after_the_end_of_the_log_was_committed(
    ours: Settings, workers: Workers
) -> None:
    port = start(workers, "a")
    wait_ready(port)
    # A transaction's marker takes an offset that no record has.
    traffic = Traffic(ours, **{"transactional.id": ours.app_id + "-source"})
    traffic.client.init_transactions()
    traffic.client.begin_transaction()
    traffic.events(activities(ours, 10), 4_000)
    traffic.client.commit_transaction()
    group = Group(ours, TopicNames.of(ours).records)
    wait_for_end(ours)
    committed = time.monotonic()
    name = "trailstreams_consumer_lag_records"
    wait_until(lambda: group.lag() == 0, LAG_SECONDS, "the group's lag")
    wait_until(lambda: set(samples(port, name).values()) == {0}, LAG_SECONDS, "the metric")
    assert time.monotonic() - committed < LAG_SECONDS


def test_lag_is_told_while_there_is_some(ours: Settings, slow_workers: Workers) -> None:
    traffic = Traffic(ours)
    traffic.events(activities(ours, 10), 4_000)
    port = start(slow_workers, "a", SLOW_WORKER_SECONDS="0.3")
    name = "trailstreams_consumer_lag_records"
    wait_until(lambda: 0 < sum(samples(port, name).values()) <= 4_000, 60, "some lag")
    before = 4_000 - sum(stored_positions(ours).values())
    told = sum(samples(port, name).values())
    after = 4_000 - sum(stored_positions(ours).values())
    # The metric is of the last second.
    assert after - 2_000 <= told <= before + 2_000


# Readiness.


def test_ready_is_said_when_recovered_and_taken_back_while_a_partition_is_away(
    ours: Settings, slow_workers: Workers
) -> None:
    port = start(slow_workers, "a", SLOW_OPEN_SECONDS="3")
    wait_until(lambda: get(port, "/healthz")[0] == 200, 60, "the probes")
    wait_until(lambda: "opening" in slow_workers.log("a"), 60, "the recovery")
    assert not is_ready(port)
    wait_ready(port)
    assert slow_workers.log("a").count(" open at ") == ours.kafka_partitions
    # Another owner of partition 0 fences the worker, which hears of it when it next writes.
    traffic = Traffic(ours)
    Owner(ours, 0)
    traffic.events(activities(ours, 1), ours.kafka_partitions)
    wait_until(lambda: not is_ready(port), 10, "a lost partition")
    assert samples(port, "trailstreams_ready") == {(): 0}
    wait_ready(port)
    wait_for_end(ours)


def test_a_worker_without_partitions_is_ready(kafka: Broker, tmp_path: Path) -> None:
    one = load_settings(
        {},
        app_id="one-partition",
        topic_prefix="one-partition.",
        kafka_bootstrap_servers=kafka.bootstrap_servers,
        kafka_partitions=1,
        kafka_replication_factor=1,
        kafka_session_timeout_seconds=6,
    )
    apply(one)
    with Workers(one, tmp_path) as workers:
        ports = [start(workers, name) for name in "ab"]
        for port in ports:
            wait_ready(port)
        lag = "trailstreams_consumer_lag_records"
        wait_until(lambda: len([p for p in ports if samples(p, lag)]) == 1, 30, "one owner")
        wait_until(lambda: all(map(is_ready, ports)), 10, "both ready")


# Idle workers.


def test_an_idle_worker_sees_its_state_moved_and_reset(ours: Settings, workers: Workers) -> None:
    traffic = Traffic(ours)
    port = start(workers, "a")
    traffic.events(activities(ours, 10), 1_000)
    wait_for_end(ours)
    again = "trailstreams_duplicate_events_total"
    events = "trailstreams_events_total"
    run(ours, "state", "seek", "--to", "earliest", "--yes")
    wait_until(lambda: samples(port, again) == {(): 1_000}, 30, "all of it read again")
    assert sum(samples(port, events).values()) == 1_000
    run(ours, "state", "reset", "--to", "earliest", "--yes")
    wait_until(lambda: sum(samples(port, events).values()) == 2_000, 30, "all of it counted anew")
    wait_ready(port)


# Ends.


def test_sigterm_under_load_ends_a_worker_in_time(ours: Settings, workers: Workers) -> None:
    with Flow(ours, 4_000):
        port = start(workers, "a")
        wait_ready(port)
        wait_until(lambda: sum(stored_positions(ours).values()) > 4_000, 60, "some counts")
        assert stop_seconds(workers, "a") < STOP_SECONDS


def test_sigterm_ends_a_worker_that_recovers_in_time(slow_workers: Workers) -> None:
    start(slow_workers, "a", SLOW_OPEN_SECONDS="3")
    wait_until(lambda: "opening" in slow_workers.log("a"), 60, "the recovery")
    assert stop_seconds(slow_workers, "a") < STOP_SECONDS


def test_sigterm_ends_a_worker_in_time_while_the_broker_does_not_answer(
    ours: Settings, workers: Workers, kafka: Broker
) -> None:
    port = start(workers, "a")
    wait_ready(port)
    with Flow(ours, 1_000):
        wait_until(lambda: sum(stored_positions(ours).values()) > 1_000, 60, "some counts")
        kafka.pause()
        try:
            time.sleep(6)
            seconds = stop_seconds(workers, "a")
        finally:
            kafka.resume()
    assert seconds < STOP_SECONDS
    start(workers, "b")
    wait_for_end(ours)
