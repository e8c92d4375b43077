"""`scan` with reading processes of its own leaves none behind, and no traceback."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from helpers.kafka import wait_until


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    """Make a file that is read until somebody has written it."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    return path


@pytest.fixture
def scan(fifo: Path) -> Iterator["subprocess.Popen[str]"]:
    """Start a scan of it, in a process group of its own as a terminal gives one."""
    words = ["scan", str(fifo), "--as-given", "--processes", "2"]
    with subprocess.Popen(
        [sys.executable, "-m", "streams", *words],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.kill()


def writing_end(fifo: Path) -> int:
    """Open the other end, once a process reads."""
    opened: list[int] = []

    def is_open() -> bool:
        with suppress(OSError):  # nobody reads yet
            opened.append(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
        return bool(opened)

    wait_until(is_open, 60, "no process reads")
    return opened[0]


def test_ctrl_c_ends_a_scan_without_a_traceback(scan: "subprocess.Popen[str]", fifo: Path) -> None:
    end = writing_end(fifo)
    os.killpg(scan.pid, signal.SIGINT)
    os.close(end)
    _, said = scan.communicate(timeout=60)
    assert scan.returncode == 130
    assert "Traceback" not in said


def test_reading_processes_end_with_a_scan_that_was_killed(
    scan: "subprocess.Popen[str]", fifo: Path
) -> None:
    end = writing_end(fifo)
    scan.kill()

    def nobody_reads() -> bool:
        try:
            os.write(end, b" ")
        except BrokenPipeError:
            return True
        return False

    wait_until(nobody_reads, 60, "a process still reads")
    os.close(end)
