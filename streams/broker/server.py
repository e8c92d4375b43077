"""Start and stop a single-node Apache Kafka in KRaft mode."""

import base64
import fcntl
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import IO, Self

from streams.broker import guard
from streams.broker.configuration import LOG4J, server_properties
from streams.broker.jars import KAFKA_VERSION, kafka_jars
from streams.broker.java import find_java
from streams.broker.probe import HOST, free_port, port_is_free, serves
from streams.errors import KafkaUnavailableError

_START_TIMEOUT_SECONDS = 90
_STOP_GRACE_SECONDS = 15
_JVM_OPTIONS = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")

logger = logging.getLogger(__name__)


class Broker:
    """A Kafka broker of this process's own, on the loopback interface; ends when it ends.

    `directory` holds the data and is used again at the next start; None takes a temporary one,
    which `stop` removes. `port` 0 picks a free one. `config` overrides server.properties.
    `tell` gets a line where one waits.
    """

    def __init__(
        self,
        directory: Path | None = None,
        port: int = 0,
        config: Mapping[str, str] = MappingProxyType({}),
        tell: Callable[[str], None] = logger.info,
    ) -> None:
        self._given_directory = directory
        self._directory = directory
        self._port = port
        self._config = dict(config)
        self._tell = tell
        self._guard: subprocess.Popen[str] | None = None
        self._jvm_pid = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def bootstrap_servers(self) -> str:
        """Address for clients, `host:port`; known once the broker was started."""
        return f"{HOST}:{self._port}"

    @property
    def pid(self) -> int:
        """Process id of the Java process; of the last one after it ended."""
        return self._jvm_pid

    @property
    def log_path(self) -> Path:
        """File of Kafka's own log, appended to at every start."""
        return self._home / "kafka.log"

    @property
    def _home(self) -> Path:
        if self._directory is None:
            raise RuntimeError("the broker was not started")
        return self._directory

    def start(self) -> None:
        """Start Kafka and return when it serves requests.

        Raise KafkaUnavailableError where jars, Java, port or directory are not to be had.
        """
        if self._guard is not None:
            raise RuntimeError("the broker runs already")
        jars, java = kafka_jars(self._tell), find_java()
        self._choose_port()
        self._make_directory()
        command = [str(java), *_JVM_OPTIONS, "-Dlog4j2.configurationFile=log4j2.properties"]
        command += ["-cp", os.pathsep.join(map(str, jars))]
        try:
            self._launch(command)
            self._wait_until_ready()
        except BaseException:
            # Ctrl-C included: whatever runs by now is stopped before the caller sees it.
            self.stop()
            raise

    def stop(self) -> None:
        """Stop Kafka in order, by force after 15 s; remove a temporary directory."""
        self._end_guard()
        if self._given_directory is None and self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None

    def kill(self) -> None:
        """Kill Kafka as a crash would (SIGKILL); `start` brings it back: same port, same data."""
        process = self._guard
        self._signal(signal.SIGKILL)
        if process is not None:
            # First seen dead by its guard: one that is asked to stop removes a temporary directory.
            process.wait()
        self._end_guard()

    def wait(self) -> None:
        """Return when Kafka has ended, whatever ended it."""
        if self._guard is not None:
            self._guard.wait()

    def pause(self) -> None:
        """Freeze Kafka (SIGSTOP): connections stay open and nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused Kafka go on (SIGCONT)."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._guard is None or self._guard.poll() is not None:
            raise RuntimeError("the broker does not run")
        os.kill(self._jvm_pid, number)

    def _choose_port(self) -> None:
        if self._port == 0:
            self._port = free_port()
        elif not port_is_free(self._port):
            raise KafkaUnavailableError(
                f"port {self._port} on {HOST} is in use: stop what listens there or take another"
            )

    def _make_directory(self) -> None:
        if self._directory is None:
            self._directory = Path(tempfile.mkdtemp(prefix="trailstreams-kafka-"))
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise KafkaUnavailableError(
                f"cannot keep Kafka's data in {self._directory}: {error.strerror}"
            ) from error

    def _launch(self, java: list[str]) -> None:
        with (self._home / ".lock").open("w") as lock, self.log_path.open("a") as log:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise KafkaUnavailableError(
                    f"another broker runs on {self._home}: stop it or take another directory"
                ) from None
            controller_port = free_port(besides=self._port)
            properties = server_properties(self._port, controller_port, self._config)
            (self._home / "server.properties").write_text(properties, "utf-8")
            (self._home / "log4j2.properties").write_text(LOG4J, "utf-8")
            self._format(java, log)
            self._guard = self._start_guard([*java, "kafka.Kafka", "server.properties"], lock, log)
        pid = self._guard.stdout.readline() if self._guard.stdout else ""
        if not pid:
            raise KafkaUnavailableError(f"Java does not start: {self.last_log_line()}")
        self._jvm_pid = int(pid)

    def _format(self, java: list[str], log: IO[str]) -> None:
        """Prepare the data directory once, with a cluster id of its own."""
        if (self._home / "formatted").exists():
            return
        command = [*java, "kafka.tools.StorageTool", "format", "--config", "server.properties"]
        command += ["--ignore-formatted", "--cluster-id", _cluster_id()]
        done = subprocess.run(  # noqa: S603 - the arguments are ours
            command, cwd=self._home, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False
        )
        if done.returncode:
            raise KafkaUnavailableError(
                f"cannot format Kafka's data directory {self._home}: {self.last_log_line()}"
            )
        # Written last: a format that was interrupted is done again.
        (self._home / "formatted").write_text(f"{KAFKA_VERSION}\n", "utf-8")

    def _start_guard(
        self, command: list[str], lock: IO[str], log: IO[str]
    ) -> subprocess.Popen[str]:
        options = [f"--parent={os.getpid()}", f"--grace={_STOP_GRACE_SECONDS}"]
        if self._given_directory is None:
            options.append(f"--remove={self._home}")
        return subprocess.Popen(  # noqa: S603 - the arguments are ours
            [sys.executable, "-I", "-S", guard.__file__, *options, "--", *command],
            cwd=self._home,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            # The guard, not this process, holds the directory's lock: as long as Kafka may run.
            pass_fds=[lock.fileno()],
            # A Ctrl-C in the terminal is for this process, which then stops Kafka in order.
            start_new_session=True,
        )

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            if self._guard is None or self._guard.poll() is not None:
                raise KafkaUnavailableError(f"Kafka does not start: {self.last_log_line()}")
            if serves(self._port):
                return
            time.sleep(0.05)
        raise KafkaUnavailableError(
            f"Kafka does not serve after {_START_TIMEOUT_SECONDS} s: {self.last_log_line()}"
        )

    def _end_guard(self) -> None:
        process, self._guard = self._guard, None
        if process is None:
            return
        # The end of its stdin asks the guard to stop Kafka; it then ends by itself.
        if process.stdin is not None:
            process.stdin.close()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()

    def last_log_line(self) -> str:
        """Return the newest line that names an error, else the newest line."""
        lines = self.log_path.read_text("utf-8", errors="replace").splitlines()[-200:]
        errors = [line for line in lines if "ERROR" in line or "Exception" in line]
        return (errors or lines or ["no output"])[-1].strip()


def _cluster_id() -> str:
    """Return a random Kafka Uuid: 16 bytes, URL-safe Base64, not starting with a dash."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):
            return text
