"""What operators are promised in seconds: lag, readiness, ends, restarts, and honest metrics."""

import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest
from helpers.commands import run, stored_positions, wait_for_end
from helpers.kafka import Group, wait_until
from helpers.probes import Samples, get, is_ready, metrics, samples, wait_ready
from helpers.traffic import ACTIVITY, Traffic, activities
from helpers.workers import Workers
from sources import NOON_MS

from streams.broker import Broker
from streams.broker.probe import free_port
from streams.codecs import partition_of
from streams.connectors.state_log import Owner
from streams.errors import TrailstreamsError
from streams.settings import Settings, load_settings
from streams.topics import TopicNames, apply

SLOW = (sys.executable, str(Path(__file__).parents[1] / "pipeline/slow_worker.py"), "worker")
LAG_SECONDS = 2
STOP_SECONDS = 10
GAP_SECONDS = 10
HANDOVER_SECONDS = 10


@pytest.fixture
def ours(settings: Settings) -> Settings:
    """Return settings of a deployment whose topics are there."""
    ours = settings.model_copy(update={"kafka_session_timeout_seconds": 6})
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


def answers(settings: Settings) -> bool:
    try:
        stored_positions(settings)
    except TrailstreamsError:
        return False
    return True


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
            # Kafka's controller shuts a silent broker out, and takes it back after a while.
            wait_until(lambda: answers(ours), 120, "the broker to be back")
    assert seconds < STOP_SECONDS
    start(workers, "b")
    wait_for_end(ours)


# Restarts.


class Gaps:
    """The longest time in which no position of a partition was committed, while it is watched."""

    def __init__(self, settings: Settings) -> None:
        self.seconds = dict.fromkeys(range(settings.kafka_partitions), 0.0)
        self._group = Group(settings, TopicNames.of(settings).records)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        at = self._group.committed()
        moved = dict.fromkeys(at, time.monotonic())
        while not self._ended.wait(0.1):
            now, committed = time.monotonic(), self._group.committed()
            for partition, position in committed.items():
                self.seconds[partition] = max(self.seconds[partition], now - moved[partition])
                if position != at[partition]:
                    moved[partition] = now
            at = committed

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


def test_a_rolling_restart_pauses_each_partition_for_less_than_ten_seconds(
    ours: Settings, workers: Workers
) -> None:
    ports: dict[str, int] = {}

    def start_static(name: str) -> None:
        ports[name] = start(
            workers,
            name,
            TRAILSTREAMS_KAFKA_GROUP_INSTANCE_ID=name,
            TRAILSTREAMS_KAFKA_SESSION_TIMEOUT_SECONDS="30",
        )
        wait_ready(ports[name])

    def spread() -> bool:
        lag = "trailstreams_consumer_lag_records"
        owned = [len(samples(port, lag)) for port in ports.values()]
        return all(map(is_ready, ports.values())) and sum(owned) == 4 and min(owned) > 0

    for name in "abc":
        start_static(name)
    # The last to join made the others give partitions away: that is not what is measured.
    wait_until(spread, 60, "each worker to own partitions")
    with Flow(ours, 400) as flow, Gaps(ours) as gaps:
        for name in "abc":
            print(f"{name} stopped in {stop_seconds(workers, name):.1f} s", gaps.seconds)
            start_static(name)
        target = flow.traffic.published
        wait_until(lambda: sum(stored_positions(ours).values()) > target, 60, "all to go on")
    print(f"longest pauses: {gaps.seconds}")
    assert max(gaps.seconds.values()) < GAP_SECONDS


# Metrics.


class Scraper:
    """Scrapes all workers again and again, and notes what contradicts the truth."""

    def __init__(self, settings: Settings) -> None:
        self.ports: dict[str, int] = {}
        self.counted: dict[str, float] = {}
        """By worker process, what it last said it had counted: its counters begin at 0."""
        self.beyond: list[str] = []
        self.shown: set[str] = set()
        self.longest_overlap = 0.0
        self.rounds = 0
        self._overlaps: dict[str, float] = {}
        self._settings = settings
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._ended.wait(0.1):
            seen = {name: metrics(port) for name, port in list(self.ports.items())}
            for name, found in seen.items():
                if events := found.get("trailstreams_events_total"):
                    assert sum(events.values()) >= self.counted.get(name, 0)
                    self.counted[name] = sum(events.values())
            self._look_at_anomalies(seen)
            self.rounds += 1
            if self.rounds % 5 == 0:
                self._look_at_counts()

    def _look_at_counts(self) -> None:
        """Compare what was said before with what is committed now."""
        said = sum(self.counted.values())
        committed = sum(stored_positions(self._settings).values())
        if said > committed:
            self.beyond.append(f"{said} counted, {committed} committed")

    def _look_at_anomalies(self, seen: dict[str, dict[str, Samples]]) -> None:
        name = "trailstreams_anomaly_info"
        # Labels come in alphabetical order: account_id, anomaly_id, ...
        shown = [labels[1] for found in seen.values() for labels in found.get(name, {})]
        now = time.monotonic()
        twice = {anomaly for anomaly in shown if shown.count(anomaly) > 1}
        self._overlaps = {anomaly: self._overlaps.get(anomaly, now) for anomaly in twice}
        for since in self._overlaps.values():
            self.longest_overlap = max(self.longest_overlap, now - since)
        self.shown |= set(shown)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


def publish_anomalies(settings: Settings, traffic: Traffic) -> None:
    """Publish more calls in one window than the fixed threshold allows, in every partition."""
    calls = ACTIVITY._replace(
        event_source="monitoring.amazonaws.com", event_name="GetMetricData", initiator="internal"
    )
    regions = (calls._replace(region=f"us-example-{n}") for n in range(100))
    by_partition = {partition_of(call, settings.kafka_partitions): call for call in regions}
    for call in by_partition.values():
        for _ in range(1_600):
            traffic.event(call, NOON_MS)
    traffic.client.flush()


def test_metrics_never_exceed_the_truth_and_no_anomaly_is_shown_twice(
    ours: Settings, workers: Workers
) -> None:
    with Flow(ours, 1_000) as flow, Scraper(ours) as scraper:

        def begin(name: str) -> None:
            scraper.ports[name] = start(workers, name)
            wait_ready(scraper.ports[name])

        begin("a")
        publish_anomalies(ours, flow.traffic)
        wait_until(lambda: len(scraper.shown) == ours.kafka_partitions, 60, "the anomalies")
        begin("b")
        workers.kill("a")
        del scraper.ports["a"]
        begin("c")
        port = scraper.ports.pop("b")
        workers.signal("b", signal.SIGSTOP)
        begin("d")
        time.sleep(8)  # longer than b's session
        workers.signal("b", signal.SIGCONT)
        scraper.ports["b"] = port
        for name in "bcd":
            wait_ready(scraper.ports[name])
        assert workers.stop("c") == 0
        target = flow.traffic.published
        wait_until(lambda: sum(stored_positions(ours).values()) > target, 60, "all to go on")
    wait_for_end(ours)
    print(f"{scraper.rounds} rounds, {scraper.longest_overlap:.1f} s of overlap")
    assert scraper.beyond == []
    assert len(scraper.shown) == ours.kafka_partitions
    assert scraper.longest_overlap < HANDOVER_SECONDS
    assert 0 < sum(scraper.counted.values()) <= flow.traffic.published
