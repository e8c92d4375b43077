"""Files through the same state as the stream's partitions, in one process, without Kafka.

The oracle of the tests and a tool in itself: for one source that reads the same files in the same
order, final counts and definitive anomalies equal the stream's.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from streams.agents.fold import partition_config
from streams.cloudtrail.record import Activity, Rejected, TrailRecord
from streams.codecs import decode_activity, encode_activity
from streams.connectors.listing import TrailFile, by_delivery, find
from streams.connectors.trail_files import median_event_ms, read_file
from streams.counting.counts import ActivityCount
from streams.counting.reading import Reading
from streams.counting.watermark import progress_activity
from streams.detection.anomaly import Anomaly, State
from streams.settings import Settings
from streams.state.partition import Partition
from streams.state.snapshot import Snapshot

INSTANCE_ID = "scan"
CHUNK_RECORDS = 20_000
"""Records that may wait for a Progress point."""
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


@dataclass(slots=True)
class _Chunk:
    keys: list[bytes] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    times_ms: list[int] = field(default_factory=list)


class Scan:
    """Folds files as workers would, up to one Progress point after the other."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._bodies: dict[Activity, bytes] = {}
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
        advance: Advance = lambda _done, _total: None,
    ) -> Findings:
        """Read files, folders and globs to their end and close the last window.

        Raise InputError for a path that cannot be read.
        """
        files = find(paths)
        if not as_given:
            files = by_delivery(files, self._median_ms)
        for done, file in enumerate(files):
            advance(done, len(files))
            self._read(file)
        self._progress(self._reading.complete())
        watch = self._partition.watch
        self.findings.learning, self.findings.watching = watch.learning, watch.watching
        return self.findings

    def _median_ms(self, file: TrailFile) -> int | None:
        return median_event_ms(file, max_bytes=self._settings.max_object_bytes)

    def _read(self, file: TrailFile) -> None:
        times_ms: list[int] = []
        findings = self.findings
        for item in read_file(file, max_bytes=self._settings.max_object_bytes):
            findings.seen += 1
            if isinstance(item, TrailRecord):
                self._take(item)
                times_ms.append(item.event_time_ms)
            elif isinstance(item, Rejected):
                findings.rejected.append(item)
            else:
                findings.filtered += 1
        self._progress(self._reading.finish(times_ms, stamp_ms=file.stamp_ms))

    def _take(self, record: TrailRecord) -> None:
        body = self._bodies.get(record.activity)
        if body is None:
            body = self._bodies[record.activity] = encode_activity(record.activity)
        dedup = int.from_bytes(record.dedup_id[:8], "little")
        self._add(body, dedup, record.event_time_ms)
        if len(self._chunk.keys) >= CHUNK_RECORDS:
            self._fold()

    def _progress(self, up_to_ms: int | None) -> None:
        """Say what a source would have said, after all that was read before."""
        if up_to_ms is not None:
            self._add(encode_activity(progress_activity(INSTANCE_ID)), 0, up_to_ms)
            self._fold()

    def _add(self, body: bytes, dedup: int, time_ms: int) -> None:
        self._chunk.keys.append(body)
        self._chunk.ids.append(dedup)
        self._chunk.times_ms.append(time_ms)

    def _fold(self) -> None:
        chunk, self._chunk = self._chunk, _Chunk()
        ids = np.array(chunk.ids, dtype=np.uint64)
        times_ms = np.array(chunk.times_ms, dtype=np.int64)
        for _ in self._partition.fold(chunk.keys, ids, times_ms, [0] * len(chunk.keys)):
            pass
        self._keep(self._partition.snapshot())

    def _keep(self, snapshot: Snapshot) -> None:
        findings = self.findings
        for body, start_ms, count in snapshot.counts:
            findings.counts[decode_activity(body), start_ms] = count
        for anomaly in snapshot.anomalies:
            if anomaly.state is State.RETRACTED:
                findings.anomalies.pop(anomaly.anomaly_id, None)
            elif not anomaly.provisional:
                findings.anomalies[anomaly.anomaly_id] = anomaly
        findings.counted += sum(snapshot.increments.events.values())
        findings.duplicates += snapshot.increments.duplicates
        findings.too_late += snapshot.increments.too_late
