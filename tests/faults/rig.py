"""Everything a run consists of: brokers, topics, sources, workers, and what is asked of them."""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from helpers.kafka import Group
from helpers.workers import Workers

from faults.cluster import Cluster
from faults.orders import Orders
from faults.sources import Feeder, PlainSource, TransactionalSource
from faults.timing import Timing
from faults.traffic import AMENDMENT_MS, WINDOW_MS
from streams.broker import Broker
from streams.settings import Settings, load_settings
from streams.topics import TopicNames, apply

SLOTS = ("a", "b", "c")
PARTITIONS = 4
RECOVER_SECONDS = 120.0
_LOOK_SECONDS = 0.05


class RunError(Exception):
    """Raise when the product did not do in time what it must, or a worker ended by itself."""


class Rig:
    """One run's processes; a context, and nothing of it is left afterwards."""

    def __init__(
        self, directory: Path, timing: Timing, rng: random.Random, *, brokers: int, static: bool
    ) -> None:
        self.timing = timing
        self.rng = rng
        self.static = static
        self.cluster = Cluster(directory, SLOTS, brokers)
        self._directory = directory
        self._wanted: set[str] = set()
        self._said_before: dict[str, int] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self.cluster)
            self.settings = self._load_settings()
            apply(self.settings)
            folder = self._directory / "orders"
            folder.mkdir()
            self.orders = Orders(folder)
            self.workers = stack.enter_context(self._workers())
            self.feeder = Feeder(
                {
                    "a": PlainSource(self.settings, "a"),
                    "b": TransactionalSource(self.settings, "b"),
                }
            )
            self.group = Group(self.settings, TopicNames.of(self.settings).records)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def _load_settings(self) -> Settings:
        return load_settings(
            {},
            app_id="faults",
            kafka_bootstrap_servers=self.cluster.bootstrap_servers,
            kafka_partitions=PARTITIONS,
            kafka_replication_factor=len(self.cluster.brokers),
            kafka_session_timeout_seconds=self.timing.session_seconds,
            window_seconds=WINDOW_MS // 1000,
            amendment_seconds=AMENDMENT_MS // 1000,
            flush_seconds=0.3,
            # Few: flushes between the ticks, and the wait for one, are there too.
            flush_rows=400,
            metrics_port=0,
        )

    def _workers(self) -> Workers:
        script = Path(__file__).with_name("worker.py")
        seconds = str(self.timing.transaction_seconds)
        return Workers(
            self.settings,
            self._directory,
            [sys.executable, str(script)],
            {
                "FAULTS_ORDERS": str(self.orders.folder),
                "FAULTS_TRANSACTION_SECONDS": seconds,
            },
        )

    # Workers.

    @property
    def running(self) -> Sequence[str]:
        """The slots in which a worker runs."""
        return sorted(self._wanted)

    def start(self, slot: str) -> None:
        """Start a worker, and again whenever it is gone."""
        self._wanted.add(slot)
        environment = {
            "TRAILSTREAMS_KAFKA_BOOTSTRAP_SERVERS": self.cluster.bootstrap_servers_of(slot)
        }
        if self.static:
            environment["TRAILSTREAMS_KAFKA_GROUP_INSTANCE_ID"] = slot
        self._said_before[slot] = len(self._log(slot))
        self.workers.start(slot, **environment)

    def kill(self, slot: str) -> None:
        """End a worker as a crash does; it is started again."""
        self.workers.kill(slot)
        self.start(slot)

    def stop(self, slot: str) -> None:
        """End a worker by SIGTERM, for good."""
        self._wanted.remove(slot)
        try:
            code = self.workers.stop(slot)
        except subprocess.TimeoutExpired:
            raise RunError(f"worker {slot} did not end within 30 s of SIGTERM") from None
        # Python's start is not ours: a signal that comes within it ends the process as usual.
        if code and not (code == -signal.SIGTERM and not self._said(slot)):
            raise RunError(f"worker {slot} ended with {code} after SIGTERM: {self.tail(slot)}")

    def freeze(self, slot: str, seconds: float) -> None:
        """Stop a worker in its tracks, and let it go on after some time."""
        self.workers.signal(slot, signal.SIGSTOP)
        self.wait(seconds)
        self.workers.signal(slot, signal.SIGCONT)

    def slot_of(self, pid: int) -> str:
        """Return the slot of a running worker."""
        return next(slot for slot, process in self.workers.running.items() if process.pid == pid)

    def look(self) -> None:
        """Start again what was killed on order, or found no broker when it began.

        Raise RunError for a worker that ended by itself: no fault here gives it a reason to.
        """
        for slot in self.running:
            code = self.workers.running[slot].poll()
            if code == -signal.SIGKILL or (code == 1 and self._refused_to_begin(slot)):
                self.start(slot)
            elif code is not None:
                raise RunError(f"worker {slot} ended by itself with {code}: {self.tail(slot)}")

    def tail(self, slot: str) -> str:
        """Return the last line of a worker since it was started."""
        return (self._said(slot) or ["nothing"])[-1]

    def _refused_to_begin(self, slot: str) -> bool:
        said = self._said(slot)
        return len(said) == 1 and said[0].startswith("error: ")

    def _said(self, slot: str) -> list[str]:
        return self._log(slot)[self._said_before[slot] :]

    def _log(self, slot: str) -> list[str]:
        log = self._directory / f"{slot}.log"
        return log.read_text().splitlines() if log.exists() else []

    # Time.

    def wait(self, seconds: float) -> None:
        """Let the run go on for so long; it is a fault's own duration, not a wait for something."""
        end = time.monotonic() + seconds
        self.until(lambda: time.monotonic() >= end, seconds + 1, "the clock")

    def until(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        """Return when the condition holds; raise RunError when it does not in time."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise RunError(f"waited {seconds:.0f} s for {what}")
            self.look()
            time.sleep(_LOOK_SECONDS)

    def caught_up(self) -> None:
        """Return when all that stands on the log now is counted and committed."""
        ends = self.group.ends()
        self.until(
            lambda: all(at >= ends[p] for p, at in self.group.committed().items()),
            RECOVER_SECONDS,
            f"the group to commit {ends}",
        )

    # Brokers.

    @property
    def broker_homes(self) -> Sequence[Path]:
        """The folders of all brokers."""
        return [self._directory / f"broker-{node}" for node in self.cluster.brokers]

    def any_broker(self) -> Broker:
        """Return one of the brokers."""
        return self.rng.choice(list(self.cluster.brokers.values()))
