"""Workers as processes: started, watched, stopped, killed, frozen."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from streams.settings import PREFIX, Settings, environment


def settings_environment(settings: Settings) -> dict[str, str]:
    """Return the environment that gives a process these settings."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return clean | environment(settings)


class Workers:
    """A context of worker processes; all are gone at its end, their output is in `directory`."""

    def __init__(
        self,
        settings: Settings,
        directory: Path,
        command: Sequence[str] = (sys.executable, "-m", "streams", "worker"),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._environment = settings_environment(settings) | dict(environment or {})
        self._directory = directory
        self._command = command
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start a worker under a name."""
        with (self._directory / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                self._command, env=self._environment | environment, stdout=log, stderr=log
            )
        self.running[name] = process
        return process

    def kill(self, name: str) -> None:
        """End a worker as a crash does."""
        process = self.running.pop(name)
        process.kill()
        process.wait()

    def stop(self, name: str, seconds: float = 30) -> int:
        """End a worker by SIGTERM and return its exit code."""
        process = self.running.pop(name)
        process.terminate()
        return process.wait(seconds)

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send any signal (SIGSTOP, SIGCONT, ...)."""
        self.running[name].send_signal(number)

    def log(self, name: str) -> str:
        """Return what a worker has printed so far."""
        return (self._directory / f"{name}.log").read_text()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for name, process in self.running.items():
            process.kill()
            process.wait()
            if kind is not None:
                print(f"--- {name}\n{self.log(name)[-4000:]}")
