"""Trail files on disk: which there are, and in which order they are read."""

import glob
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple, NoReturn

from streams.errors import InputError

# ACCOUNT_CloudTrail_REGION_YYYYMMDDTHHMMZ_UNIQUE.json.gz (AWS CloudTrail User Guide, "CloudTrail
# log file name format"); the stamp is when the file was delivered.
_STAMP = re.compile(r"_(\d{8}T\d{4}Z)_")


class TrailFile(NamedTuple):
    """One file as it was when it was listed; path, size and mtime identify its content."""

    path: str
    name: str
    """The absolute path, as text: what origins and positions call it."""
    size_bytes: int
    modified_ms: int
    stamp_ms: int | None
    """Delivery stamp in the name, milliseconds since the epoch; None without one."""


def find(paths: Iterable[str]) -> tuple[TrailFile, ...]:
    """List files, folders (recursively, by name) and globs, each file once, as first given.

    Raise InputError for a path that is not there, cannot be read, or holds no file.
    """
    found: dict[str, TrailFile] = {}
    # A folder holds many files, and each of its parents may be a link.
    real_folder = lru_cache(1)(os.path.realpath)
    for given in paths:
        files = list(_files(given))
        if not files:
            raise InputError(f"{given}: no file there")
        for path in files:
            folder, name = os.path.split(path)
            is_link = os.path.islink(path)  # noqa: PTH114
            real = os.path.realpath(path) if is_link else f"{real_folder(folder)}/{name}"
            if real not in found:
                found[real] = describe(path)
    return tuple(found.values())


def describe(path: str) -> TrailFile:
    """Return the file's identity; raise InputError if it is gone or may not be read."""
    try:
        status = os.stat(path)  # noqa: PTH116 - paths stay text: they are positions' keys
        if not os.access(path, os.R_OK, effective_ids=os.access in os.supports_effective_ids):
            raise PermissionError(13, "no permission to read it")
    except OSError as error:
        unusable(path, error)
    # Positions must find it again from any folder; surrogates of a name that is no UTF-8 cannot
    # be written to a topic.
    name = os.fsencode(os.path.abspath(path)).decode(errors="backslashreplace")  # noqa: PTH100
    return TrailFile(path, name, status.st_size, status.st_mtime_ns // 1_000_000, stamp_ms(path))


def by_delivery(
    files: Sequence[TrailFile], median_event_ms: Callable[[TrailFile], int | None]
) -> tuple[TrailFile, ...]:
    """Order files by delivery stamp, then path; a median event time stands for a missing stamp."""

    def delivered_ms(file: TrailFile) -> int:
        return file.stamp_ms if file.stamp_ms is not None else median_event_ms(file) or 0

    return tuple(sorted(files, key=lambda file: (delivered_ms(file), file.path)))


def stamp_ms(path: str) -> int | None:
    """Return the delivery stamp in a log file's name, milliseconds since the epoch, or None."""
    match = _STAMP.search(os.path.basename(path))  # noqa: PTH119
    return None if match is None else _instant_ms(match[1])


@lru_cache(1024)
def _instant_ms(text: str) -> int | None:
    try:
        stamp = datetime.strptime(text, "%Y%m%dT%H%MZ").replace(tzinfo=UTC)
    except ValueError:
        return None
    return int(stamp.timestamp()) * 1000


def unusable(path: str, error: OSError) -> NoReturn:
    """Raise the operating system's refusal as an InputError of one line."""
    reason = (error.strerror or str(error)).lower()
    raise InputError(f"{path}: cannot read it: {reason}") from error


def _files(given: str) -> Iterator[str]:
    if os.path.isdir(given):  # noqa: PTH112
        yield from _walk(given)
    elif os.path.exists(given) or not glob.has_magic(given):  # noqa: PTH110
        yield given
    else:
        for match in sorted(glob.iglob(given, recursive=True)):  # noqa: PTH207
            yield from _walk(match) if os.path.isdir(match) else (match,)  # noqa: PTH112


def _walk(folder: str) -> Iterator[str]:
    for parent, folders, names in os.walk(folder, onerror=lambda error: unusable(folder, error)):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(parent, name)  # noqa: PTH118
            if os.path.isfile(path):  # noqa: PTH113 - no FIFO or socket lying about in a folder
                yield path
