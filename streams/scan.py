"""Files through the same partitions as the stream, in one process, without Kafka.

The oracle of the tests and a tool in itself: for one source that reads the same files in the same
order, final counts and definitive anomalies equal the stream's.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from streams.agents.fold import partition_config
from streams.cloudtrail.record import Activity, Rejected, TrailRecord
from streams.codecs import decode_activity, encode_activity, partition_of
from streams.connectors.listing import TrailFile, by_delivery, find
from streams.connectors.trail_files import median_event_ms, read_file
from streams.counting.counts import ActivityCount
from streams.counting.reading import Reading
from streams.counting.watermark import progress_activity
from streams.detection.anomaly import Anomaly, State
from streams.settings import Settings
from streams.state.partition import Partition

INSTANCE_ID = "scan"
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
    """Folds files, one chunk a file and partition; each partition is folded as a worker does."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._bodies: dict[Activity, tuple[bytes, int]] = {}
        self._partitions = [
            Partition(
                partition_config(settings),
                lambda body: (body, decode_activity(body)),
                decode_body=decode_activity,
            )
            for _ in range(settings.kafka_partitions)
        ]
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
        self._sum_up()
        return self.findings

    def _median_ms(self, file: TrailFile) -> int | None:
        return median_event_ms(file, max_bytes=self._settings.max_object_bytes)

    def _read(self, file: TrailFile) -> None:
        chunks: dict[int, _Chunk] = defaultdict(_Chunk)
        times_ms: list[int] = []
        findings = self.findings
        for item in read_file(file, max_bytes=self._settings.max_object_bytes):
            findings.seen += 1
            if isinstance(item, TrailRecord):
                body, partition = self._body(item.activity)
                chunk = chunks[partition]
                chunk.keys.append(body)
                chunk.ids.append(int.from_bytes(item.dedup_id[:8], "little"))
                chunk.times_ms.append(item.event_time_ms)
                times_ms.append(item.event_time_ms)
            elif isinstance(item, Rejected):
                findings.rejected.append(item)
            else:
                findings.filtered += 1
        for partition, chunk in chunks.items():
            self._fold(self._partitions[partition], chunk)
        self._progress(self._reading.finish(times_ms, stamp_ms=file.stamp_ms))

    def _body(self, activity: Activity) -> tuple[bytes, int]:
        known = self._bodies.get(activity)
        if known is None:
            partition = partition_of(activity, len(self._partitions))
            known = self._bodies[activity] = encode_activity(activity), partition
        return known

    def _progress(self, up_to_ms: int | None) -> None:
        if up_to_ms is None:
            return
        body = encode_activity(progress_activity(INSTANCE_ID))
        for partition in self._partitions:
            self._fold(partition, _Chunk([body], [0], [up_to_ms]))

    def _fold(self, partition: Partition, chunk: _Chunk) -> None:
        ids = np.array(chunk.ids, dtype=np.uint64)
        times_ms = np.array(chunk.times_ms, dtype=np.int64)
        for _ in partition.fold(chunk.keys, ids, times_ms, [0] * len(chunk.keys)):
            pass
        snapshot = partition.snapshot()
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

    def _sum_up(self) -> None:
        for partition in self._partitions:
            self.findings.learning += partition.watch.learning
            self.findings.watching += partition.watch.watching
