"""An engine as a process on one core: its CPU time, memory, and what became of it. Linux only."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

_TICKS = os.sysconf("SC_CLK_TCK")


def cores() -> tuple[int, int]:
    """Return the core of the engine and that of everything else; one and the same if need be."""
    available = sorted(os.sched_getaffinity(0))
    return available[-1], available[0]


class Pinned:
    """A process on one core from its first instruction on; killed at the context's end."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], log: Path, core: int
    ) -> None:
        self._log = log
        with log.open("wb") as output:
            # Set here and inherited: a function that runs between fork and exec is not safe.
            before = os.sched_getaffinity(0)
            os.sched_setaffinity(0, {core})
            try:
                self._process = subprocess.Popen(
                    list(command), env=dict(environment), stdout=output, stderr=output
                )
            finally:
                os.sched_setaffinity(0, before)
        self.started = time.monotonic()

    def cpu_seconds(self) -> float:
        """Return CPU seconds of the process and all its children since its start."""
        return sum(map(cpu_seconds_of, _family(self._process.pid)))

    def peak_bytes(self) -> int:
        """Return the largest resident set of the process and its children."""
        return sum(map(_peak_bytes, _family(self._process.pid)))

    def ended(self) -> bool:
        """Tell whether the process has ended by itself."""
        return self._process.poll() is not None

    def stop(self, seconds: float = 60) -> int:
        """Ask the process to end, wait, and return its exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(seconds)

    def last_lines(self) -> str:
        """Return the end of what it has printed."""
        return "\n".join(self._log.read_text("utf-8", errors="replace").splitlines()[-15:])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def _family(pid: int) -> list[int]:
    """Return a process and its living descendants."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            found += map(int, _text(task).split())
    return found


def cpu_seconds_of(pid: int) -> float:
    """Return CPU seconds of a process since its start, and of its children that ended."""
    # After the name, which may hold anything: state is field 3; utime, stime and those of children
    # that were waited for are fields 14 to 17 (proc_pid_stat(5)).
    fields = _text(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / _TICKS


def _peak_bytes(pid: int) -> int:
    for line in _text(Path(f"/proc/{pid}/status")).splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return ""
