"""`source files`: log files on disk, each published once, in the order of their delivery."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import islice

from streams.cloudtrail.record import Rejected, Skipped, TrailRecord
from streams.codecs import SourcePosition
from streams.connectors.listing import TrailFile, by_delivery, find
from streams.connectors.options import argument, option
from streams.connectors.outlet import Advance, Outlet, Stop
from streams.connectors.trail_files import median_event_ms, read_file
from streams.counting.reading import Reading, Standing
from streams.errors import InputError
from streams.settings import Settings

WHOLE = ""
"""Object name of the position that speaks of the source itself."""
_LOOK_UP_EVERY = 512
_REMEMBER_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesOptions:
    """What `source files` reads, and how."""

    paths: tuple[str, ...] = argument("Log files, folders (read recursively) and globs.")
    complete: bool = option(False, "Nothing will follow: close the windows of the last events too.")
    as_given: bool = option(False, "Read in the order given, not by the stamps in the file names.")
    again: bool = option(False, "Publish once more what was published before.")
    force: bool = option(False, "Publish even files too old for the workers to count.")


class Files:
    """Publishes log files; `remembered` is what earlier processes of the source finished.

    A file is finished, and remembered with its size and time of change, once all its records are
    delivered. A process that ends before that publishes the whole file again, and de-duplication
    takes out what was there already.
    """

    def __init__(
        self,
        options: FilesOptions,
        settings: Settings,
        *,
        source_id: str,
        remembered: Mapping[str, SourcePosition],
        advance: Advance,
    ) -> None:
        self._options = options
        self._settings = settings
        self._source_id = source_id
        self._remembered = remembered
        self._advance = advance
        lateness_ms = settings.allowed_lateness_seconds * 1000
        self._reading = Reading(
            window_ms=settings.window_seconds * 1000,
            lateness_ms=lateness_ms,
            standing=standing_of(remembered, lateness_ms=lateness_ms),
        )
        self._delivering: list[SourcePosition] = []
        self._remembered_seconds = time.monotonic()
        self._skipped = 0

    def run(self, outlet: Outlet, stop: Stop) -> None:
        """Publish every file that is not finished yet.

        Raise InputError for one that is no input; what was read until then is remembered.
        """
        files = self._plan()
        if self._reading.standing.up_to_ms:
            # Be known from the start: what is behind holds the watermark.
            outlet.progress(self._reading.standing.up_to_ms)
        try:
            for number, file in enumerate(files):
                self._advance(number, len(files))
                if not self._publish(file, outlet, stop):
                    return
            self._end(outlet)
        finally:
            self._remember(outlet)

    def remarks(self) -> tuple[str, ...]:
        """Return how many files were left out."""
        if not self._skipped:
            return ()
        return (f"{self._skipped} files published before are left out; --again publishes them.",)

    def _plan(self) -> tuple[TrailFile, ...]:
        files: list[TrailFile] = []
        for file in find(self._options.paths):
            if not self._options.again and self._is_finished(file):
                self._skipped += 1
            else:
                files.append(file)
        if not self._options.as_given:
            files = list(by_delivery(files, self._median_ms))
        self._refuse_too_old(files)
        return tuple(files)

    def _is_finished(self, file: TrailFile) -> bool:
        done = self._remembered.get(file.name)
        if done is None:
            return False
        return (done.size_bytes, done.modified_ms) == (file.size_bytes, file.modified_ms)

    def _refuse_too_old(self, files: list[TrailFile]) -> None:
        oldest_ms = self._reading.standing.up_to_ms - self._settings.amendment_seconds * 1000
        if oldest_ms <= 0 or self._options.force:
            return
        for file in files:
            delivered_ms = self._median_ms(file) if file.stamp_ms is None else file.stamp_ms
            if delivered_ms is not None and delivered_ms < oldest_ms:
                raise InputError(
                    f"{file.name}: older than what this source published last by more than "
                    f"{self._settings.amendment_seconds} s, so no worker would count it; "
                    "`trailstreams scan` counts it without Kafka, another "
                    "TRAILSTREAMS_TOPIC_PREFIX is another timeline, --force publishes it anyway"
                )

    def _median_ms(self, file: TrailFile) -> int | None:
        return median_event_ms(file, max_bytes=self._settings.max_object_bytes)

    def _publish(self, file: TrailFile, outlet: Outlet, stop: Stop) -> bool:
        """Publish one file; return False where `stop` came before its end."""
        times: list[int] = []
        rejected = filtered = 0
        items = read_file(file, max_bytes=self._settings.max_object_bytes)
        while chunk := list(islice(items, _LOOK_UP_EVERY)):
            for item in chunk:
                outlet.publish(item)
                if isinstance(item, TrailRecord):
                    times.append(item.event_time_ms)
                rejected += isinstance(item, Rejected)
                filtered += isinstance(item, Skipped)
            outlet.heartbeat()
            if stop.is_set():
                return False
        self._finish(file, outlet, times, rejected=rejected, filtered=filtered)
        return True

    def _finish(
        self, file: TrailFile, outlet: Outlet, times: list[int], *, rejected: int, filtered: int
    ) -> None:
        up_to_ms = self._reading.finish(times, stamp_ms=file.stamp_ms)
        self._delivering.append(
            replace(
                self._position(file.name),
                size_bytes=file.size_bytes,
                modified_ms=file.modified_ms,
                seen=len(times) + rejected + filtered,
                published=len(times),
                filtered=filtered,
                rejected=rejected,
            )
        )
        if up_to_ms is not None:
            outlet.progress(up_to_ms)
        if up_to_ms is not None or time.monotonic() - self._remembered_seconds > _REMEMBER_SECONDS:
            self._remember(outlet)

    def _end(self, outlet: Outlet) -> None:
        up_to_ms = self._reading.complete() if self._options.complete else None
        if up_to_ms is not None:
            outlet.progress(up_to_ms)
            self._delivering.append(self._position(WHOLE))

    def _remember(self, outlet: Outlet) -> None:
        """Store the positions of finished files, after what they speak of was delivered."""
        if self._delivering:
            outlet.flush()
            for position in self._delivering:
                outlet.remember(position)
            self._delivering.clear()
        self._remembered_seconds = time.monotonic()

    def _position(self, name: str) -> SourcePosition:
        """Return the position of an object of no size, where the source stands."""
        standing = self._reading.standing
        return SourcePosition(
            source_id=self._source_id,
            object=name,
            size_bytes=0,
            modified_ms=0,
            seen=0,
            published=0,
            filtered=0,
            rejected=0,
            up_to_ms=standing.up_to_ms,
            newest_event_ms=standing.newest_event_ms,
            finished=True,
        )


def standing_of(positions: Mapping[str, SourcePosition], *, lateness_ms: int) -> Standing:
    """Return where the source stopped, from all it remembers."""
    up_to_ms = max((item.up_to_ms for item in positions.values()), default=0)
    newest_ms = max((item.newest_event_ms for item in positions.values()), default=0)
    # `up_to` followed from the newest stamp, so the stamp follows from it.
    stamp_ms = up_to_ms + lateness_ms if up_to_ms else 0
    return Standing(newest_stamp_ms=stamp_ms, newest_event_ms=newest_ms, up_to_ms=up_to_ms)
