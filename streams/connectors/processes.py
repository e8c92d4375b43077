"""Files read by several processes, their columns handed over in the order of the files."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from itertools import chain

from streams.connectors.columns import FileColumns, portions, read_all, read_columns
from streams.connectors.listing import TrailFile
from streams.errors import TrailstreamsError

_PORTION_BYTES = 512 * 1024
"""Packed bytes handed to a process at once: a tenth of a second of its work."""
_PORTION_FILES = 64
_WORTH_BYTES = 8 * 1024 * 1024
"""Below so many packed bytes a process takes longer to start than to read."""
_AHEAD = 3
"""Portions under way for each process, so that none waits while results are folded."""


def usable_processors() -> int:
    """Return how many processors this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processes_for(files: tuple[TrailFile, ...]) -> int:
    """Return how many processes read these files fastest: 1 is this one alone."""
    packed_bytes = sum(file.size_bytes for file in files)
    return 1 if packed_bytes < _WORTH_BYTES else usable_processors()


def read_in_order(
    files: tuple[TrailFile, ...], *, max_bytes: int, processes: int
) -> Generator[FileColumns, None, None]:
    """Yield each file's columns in the order of the files, read by so many other processes.

    With one process this one reads. What is yielded does not depend on their number.
    Raise InputError at the first file that cannot be read, TrailstreamsError where a process ended.
    """
    if processes == 1:
        yield from (read_columns(file, max_bytes=max_bytes) for file in files)
        return
    with closing(_read_ahead(files, max_bytes, processes)) as read:
        yield from chain.from_iterable(read)


def _read_ahead(
    files: tuple[TrailFile, ...], max_bytes: int, processes: int
) -> Generator[tuple[FileColumns, ...], None, None]:
    pending: deque[Future[tuple[FileColumns, ...]]] = deque()
    # Spawned, not forked: the progress bar has a thread, and macOS forks no process with threads.
    executor = ProcessPoolExecutor(
        processes, multiprocessing.get_context("spawn"), initializer=_end_with_the_parent
    )
    try:
        for portion in portions(files, most_bytes=_PORTION_BYTES, most_files=_PORTION_FILES):
            pending.append(_submit(executor, portion, max_bytes))
            if len(pending) >= processes * _AHEAD:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    except BrokenProcessPool as error:
        raise TrailstreamsError(
            "a reading process ended before its work did, perhaps for want of memory: "
            "--processes 1 reads in this process alone"
        ) from error
    finally:
        executor.shutdown(cancel_futures=True)


def _submit(
    executor: ProcessPoolExecutor, portion: tuple[TrailFile, ...], max_bytes: int
) -> Future[tuple[FileColumns, ...]]:
    """Hand a portion over; a process that starts for it leaves Ctrl-C to this one."""
    # A blocked signal stays blocked in a process started meanwhile; here it comes afterwards.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return executor.submit(read_all, portion, max_bytes)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with_the_parent() -> None:
    """End this process when its parent ended, however it did: the queues would never tell."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # noqa: S101 - a spawned process has one
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: "multiprocessing.process.BaseProcess") -> None:
    parent.join()
    os._exit(1)
