"""A whole deployment on this machine for a few minutes: Kafka, topics, a worker, one source."""

import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from streams import topics
from streams.broker import Broker
from streams.broker.probe import free_port
from streams.codecs import Codecs
from streams.connectors.outlet import Connector
from streams.connectors.publisher import Publisher
from streams.connectors.reader import read
from streams.detection.anomaly import Anomaly
from streams.errors import TrailstreamsError
from streams.metrics import Metrics
from streams.settings import PREFIX, Settings, environment, load_settings

PARTITIONS = 4
POLL_SECONDS = 0.5
GIVE_UP_SECONDS = 900
STOP_SECONDS = 15
SOURCE_ID = "demo"


class StageError(TrailstreamsError):
    """Raise when a part of the deployment ends before the play does."""


@dataclass(slots=True)
class Scene:
    """What can be seen of the run at one moment."""

    seconds: float = 0.0
    published: int = 0
    rejected: int = 0
    counted: int = 0
    duplicates: int = 0
    learning: int = 0
    watching: int = 0
    watermark_ms: int = 0
    """The oldest partition's; 0 before the first."""
    anomalies: Mapping[str, Anomaly] = field(default_factory=dict)
    """Latest record of each anomaly, by id."""


class Audience(Protocol):
    """Who watches: called some times a second."""

    def __call__(self, scene: Scene) -> None:
        """Take in the scene."""


class Stage:
    """Use as a context manager; everything it started or wrote is gone at its end.

    `tell` gets a line where one waits.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._stack = ExitStack()
        self.settings: Settings

    def __enter__(self) -> Self:
        try:
            self._set_up()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def _set_up(self) -> None:
        self._folder = Path(
            self._stack.enter_context(tempfile.TemporaryDirectory(prefix="trailstreams-"))
        )
        broker = self._stack.enter_context(Broker(tell=self._tell))
        self.settings = load_settings(
            kafka_bootstrap_servers=broker.bootstrap_servers,
            kafka_security_protocol="PLAINTEXT",
            kafka_partitions=PARTITIONS,
            kafka_replication_factor=1,
            schema_registry_url="",
            metrics_port=free_port(),
            log_level="WARNING",
        )
        topics.apply(self.settings)
        self._worker = self._start_worker()

    def _start_worker(self) -> subprocess.Popen[bytes]:
        own = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        log = self._stack.enter_context((self._folder / "worker.log").open("wb"))
        worker = subprocess.Popen(
            [sys.executable, "-m", "streams", "worker"],
            env=own | environment(self.settings),
            stdout=log,
            stderr=log,
            # Ctrl-C is for this process, which then ends the worker in order.
            start_new_session=True,
        )
        self._stack.callback(self._stop_worker, worker)
        return worker

    @staticmethod
    def _stop_worker(worker: subprocess.Popen[bytes]) -> None:
        worker.terminate()
        try:
            worker.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()

    def play(self, connector: Connector, audience: Audience) -> Scene:
        """Run a bounded source to its end and return what the worker made of it.

        Raise StageError when the worker dies or does not come to the end.
        """
        outlet = Publisher(
            self.settings,
            Codecs(),
            Metrics(CollectorRegistry(), max_series=self.settings.metrics_max_series),
            source_id=SOURCE_ID,
            instance_id=SOURCE_ID,
        )
        source = _Running(connector, outlet)
        source.start()
        try:
            return self._watch(source, outlet, audience)
        finally:
            source.stop.set()
            source.join()

    def _watch(self, source: "_Running", outlet: Publisher, audience: Audience) -> Scene:
        started = time.monotonic()
        while True:
            scene = self._look(outlet, time.monotonic() - started)
            audience(scene)
            if source.error is not None:
                raise source.error
            # Every partition's watermark has reached the source's last word: nothing is left.
            if not source.is_alive() and scene.watermark_ms >= (outlet.up_to_ms or 0):
                return scene
            if self._worker.poll() is not None:
                raise StageError(f"the worker ended: {self._last_words()}")
            if scene.seconds > GIVE_UP_SECONDS:
                raise StageError(f"not finished after {GIVE_UP_SECONDS} s: {self._last_words()}")
            time.sleep(POLL_SECONDS)

    def _look(self, outlet: Publisher, seconds: float) -> Scene:
        scraped = _scrape(self.settings.metrics_port)
        lags = [value for _, value in scraped.get("trailstreams_watermark_lag_seconds", [])]
        complete = len(lags) == self.settings.kafka_partitions
        series = {labels["state"]: int(v) for labels, v in scraped.get("trailstreams_series", [])}
        return Scene(
            seconds=seconds,
            published=outlet.tally.published,
            rejected=outlet.tally.rejected,
            counted=_total(scraped, "trailstreams_events_total"),
            duplicates=_total(scraped, "trailstreams_duplicate_events_total"),
            learning=series.get("learning", 0),
            watching=series.get("watching", 0),
            # A second is more than the scrape took, and less than a window.
            watermark_ms=int((time.time() - max(lags) + 1) * 1000) if complete else 0,
            anomalies=self._anomalies(),
        )

    def _anomalies(self) -> dict[str, Anomaly]:
        codecs = Codecs()
        topic = topics.TopicNames.of(self.settings).anomalies
        messages = read(self.settings, topic, until_end=True)
        records = [codecs.decode_anomaly(m.value) for m in messages if m.value is not None]
        return {record.anomaly_id: record for record in records}

    def _last_words(self) -> str:
        lines = (self._folder / "worker.log").read_text(errors="replace").splitlines()
        return lines[-1] if lines else "it said nothing"


class _Running(threading.Thread):
    """A connector in a thread of its own."""

    def __init__(self, connector: Connector, outlet: Publisher) -> None:
        super().__init__(name="source")
        self._connector = connector
        self._outlet = outlet
        self.stop = threading.Event()
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            with self._outlet:
                self._connector.run(self._outlet, self.stop)
        except BaseException as error:  # noqa: BLE001 - the watching thread raises it
            self.error = error


def _scrape(port: int) -> dict[str, list[tuple[Mapping[str, str], float]]]:
    """Return the samples of /metrics by name; nothing while the worker is not there yet."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            text = answer.read().decode()
    except OSError:
        return {}
    samples: dict[str, list[tuple[Mapping[str, str], float]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            samples.setdefault(sample.name, []).append((sample.labels, sample.value))
    return samples


def _total(samples: Mapping[str, list[tuple[Mapping[str, str], float]]], name: str) -> int:
    return int(sum(value for _, value in samples.get(name, [])))
