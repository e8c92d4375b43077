"""The guard of the embedded Kafka, with children that are cheaper than a JVM."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from streams.broker import guard

WAITING = "import signal; print('up', flush=True); signal.pause()"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {WAITING}"
# Starts the guard of its first argument's child and lives until it is killed.
PARENT = """
import os, signal, subprocess, sys
path, folder, child = sys.argv[1:]
options = [f"--parent={os.getpid()}", "--grace=1", f"--remove={folder}"]
subprocess.Popen([sys.executable, path, *options, "--", sys.executable, "-c", child])
signal.pause()
"""


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@contextmanager
def python(*arguments: str, stdin: int = subprocess.PIPE) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=stdin, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def guarded(child: str, *options: str) -> list[str]:
    command = [guard.__file__, f"--parent={os.getpid()}", *options]
    return [*command, "--", sys.executable, "-c", child]


def read_pid(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    return int(process.stdout.readline())


def wait_until_up(process: subprocess.Popen[str]) -> None:
    assert process.stderr is not None
    assert process.stderr.readline() == "up\n"


def test_the_end_of_stdin_stops_the_child_and_removes_the_folder(tmp_path: Path) -> None:
    with python(*guarded(WAITING, "--grace=30", f"--remove={tmp_path}")) as process:
        pid = read_pid(process)
        wait_until_up(process)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(20) == 0
    assert not exists(pid)
    assert not tmp_path.exists()


def test_sigterm_to_the_guard_stops_the_child() -> None:
    with python(*guarded(WAITING, "--grace=30")) as process:
        pid = read_pid(process)
        wait_until_up(process)
        process.terminate()
        assert process.wait(20) == 0
    assert not exists(pid)


@pytest.mark.parametrize("paused", [False, True])
def test_a_child_that_does_not_listen_is_killed(paused: bool) -> None:
    with python(*guarded(DEAF, "--grace=0.1")) as process:
        pid = read_pid(process)
        wait_until_up(process)
        if paused:
            os.kill(pid, signal.SIGSTOP)
        process.terminate()
        assert process.wait(20) == 0
    assert not exists(pid)


def test_a_child_that_ends_by_itself_passes_its_exit_code_on(tmp_path: Path) -> None:
    """Its folder stays: that was a crash, and the data may be wanted."""
    with python(*guarded("raise SystemExit(7)", "--grace=1", f"--remove={tmp_path}")) as process:
        assert process.wait(20) == 7
    assert tmp_path.is_dir()


def test_a_dead_parent_is_noticed_behind_an_open_pipe(tmp_path: Path) -> None:
    """A forked sibling can hold the pipe open; here this test does."""
    reader, writer = os.pipe()
    arguments = ("-c", PARENT, guard.__file__, str(tmp_path), WAITING)
    with python(*arguments, stdin=reader) as process:
        wait_until_up(process)
        process.kill()
        assert process.stderr is not None
        # End of file comes when the last holder, guard or child, is gone.
        assert process.stderr.read() == ""
    os.close(reader)
    os.close(writer)
    assert not tmp_path.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's")
def test_the_child_dies_with_its_guard() -> None:
    with python(*guarded(WAITING, "--grace=1")) as process:
        wait_until_up(process)
        process.kill()
        assert process.stderr is not None
        assert process.stderr.read() == ""
