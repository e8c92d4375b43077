"""Files through the same state as the stream's partitions, without Kafka.

The oracle of the tests and a tool in itself: for one source that reads the same files in the same
order, final counts and definitive anomalies equal the stream's.
"""

from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from streams.agents.fold import partition_config
from streams.cloudtrail.record import Activity, Rejected
from streams.codecs import decode_activity, encode_activity
from streams.connectors.columns import FileColumns
from streams.connectors.listing import TrailFile, by_delivery, find
from streams.connectors.processes import processes_for, read_in_order
from streams.connectors.trail_files import median_event_ms
from streams.counting.columns import Integers
from streams.counting.counts import ActivityCount
from streams.counting.dedup import Ids
from streams.counting.reading import Reading
from streams.counting.watermark import progress_activity
from streams.detection.anomaly import Anomaly, State
from streams.settings import Settings
from streams.state.partition import Partition
from streams.state.snapshot import Snapshot

INSTANCE_ID = "scan"
CHUNK_RECORDS = 20_000
"""Records that may wait for a Progress point, and the rest of their file."""
_ACTIVITIES = 65_536
Advance = Callable[[int, int], None]
"""Called with files read and files in all."""


@dataclass(slots=True)
class Findings:
    """What a scan found; counts by activity and window start in milliseconds."""

    counts: dict[tuple[Activity, int], ActivityCount] = field(default_factory=dict)
    anomalies: dict[str, Anomaly] = field(default_factory=dict)
    """Latest record of each definitive anomaly, by id."""
    seen: int = 0
    counted: int = 0
    filtered: int = 0
    rejected: list[Rejected] = field(default_factory=list)
    duplicates: int = 0
    too_late: int = 0
    learning: int = 0
    watching: int = 0


class _Chunk:
    """Records that wait for a fold, as columns."""

    def __init__(self) -> None:
        self.keys: list[bytes] = []
        self._ids: list[Ids] = []
        self._times_ms: list[Integers] = []

    def add(self, keys: Iterable[bytes], ids: Ids, times_ms: Integers) -> None:
        """Append records."""
        self.keys.extend(keys)
        self._ids.append(ids)
        self._times_ms.append(times_ms)

    def columns(self) -> tuple[list[bytes], Ids, Integers]:
        """Return keys, ids and times of all of them; there is at least one."""
        return self.keys, np.concatenate(self._ids), np.concatenate(self._times_ms)


class Scan:
    """Folds files as workers would, up to one Progress point after the other."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        # One object for each key, whichever process it came from: its hash is kept in it.
        self._bodies: dict[bytes, bytes] = {}
        self._activity = lru_cache(_ACTIVITIES)(decode_activity)
        self._chunk = _Chunk()
        # One partition for all: nothing that is counted or found depends on how many there are.
        self._partition = Partition(
            partition_config(settings, partitions=settings.kafka_partitions),
            lambda body: (body, decode_activity(body)),
            decode_body=decode_activity,
        )
        self._reading = Reading(
            window_ms=settings.window_seconds * 1000,
            lateness_ms=settings.allowed_lateness_seconds * 1000,
        )
        self.findings = Findings()

    def run(
        self,
        paths: Iterable[str],
        *,
        as_given: bool = False,
        processes: int = 0,
        advance: Advance = lambda _done, _total: None,
    ) -> Findings:
        """Read files, folders and globs to their end and close the last window.

        `processes` read the files, 0 as many as are worth it; findings do not depend on them.
        Raise InputError for a path that cannot be read, TrailstreamsError where a process ended.
        """
        files = find(paths)
        if not as_given:
            files = by_delivery(files, self._median_ms)
        read = read_in_order(
            files,
            max_bytes=self._settings.max_object_bytes,
            processes=processes or processes_for(files),
        )
        with closing(read):
            for done, (file, columns) in enumerate(zip(files, read, strict=True)):
                advance(done, len(files))
                self._take(file, columns)
        self._progress(self._reading.complete())
        watch = self._partition.watch
        self.findings.learning, self.findings.watching = watch.learning, watch.watching
        return self.findings

    def _median_ms(self, file: TrailFile) -> int | None:
        return median_event_ms(file, max_bytes=self._settings.max_object_bytes)

    def _take(self, file: TrailFile, columns: FileColumns) -> None:
        findings = self.findings
        findings.seen += len(columns.keys) + len(columns.rejected) + columns.filtered
        findings.filtered += columns.filtered
        findings.rejected.extend(columns.rejected)
        bodies = [self._bodies.setdefault(body, body) for body in columns.bodies]
        keys = map(bodies.__getitem__, columns.keys.tolist())
        self._chunk.add(keys, columns.ids, columns.times_ms)
        if len(self._chunk.keys) >= CHUNK_RECORDS:
            self._fold()
        self._progress(self._reading.finish(columns.times_ms.tolist(), stamp_ms=file.stamp_ms))

    def _progress(self, up_to_ms: int | None) -> None:
        """Say what a source would have said, after all that was read before."""
        if up_to_ms is not None:
            key = encode_activity(progress_activity(INSTANCE_ID))
            self._chunk.add([key], np.zeros(1, np.uint64), np.array([up_to_ms], np.int64))
            self._fold()

    def _fold(self) -> None:
        (keys, ids, times_ms), self._chunk = self._chunk.columns(), _Chunk()
        for _ in self._partition.fold(keys, ids, times_ms, [0] * len(keys)):
            pass
        self._keep(self._partition.snapshot())

    def _keep(self, snapshot: Snapshot) -> None:
        findings = self.findings
        for body, start_ms, count in snapshot.counts:
            findings.counts[self._activity(body), start_ms] = count
        for anomaly in snapshot.anomalies:
            if anomaly.state is State.RETRACTED:
                findings.anomalies.pop(anomaly.anomaly_id, None)
            elif not anomaly.provisional:
                findings.anomalies[anomaly.anomaly_id] = anomaly
        findings.counted += sum(snapshot.increments.events.values())
        findings.duplicates += snapshot.increments.duplicates
        findings.too_late += snapshot.increments.too_late
