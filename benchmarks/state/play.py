"""Traffic through a partition as a worker would do it: fold, flush, close, under clocks."""

from collections.abc import Iterator

from benchmarks.state.traffic import FLUSH_EVENTS, Clock, Traffic, chunks
from streams.state.partition import Partition
from streams.state.snapshot import Snapshot


class Play:
    """What playing some traffic cost."""

    def __init__(self, partition: Partition) -> None:
        self.partition = partition
        self.fold, self.close, self.snapshot, self.encode = Clock(), Clock(), Clock(), Clock()
        self.events = 0
        self.changelog: dict[bytes, bytes] = {}

    def run(self, traffic: Traffic, *, keep: bool = False) -> None:
        """Play all of it; `keep` the changelog."""
        since = 0
        for chunk in chunks(traffic):
            closing = len(chunk[0]) == 1
            (self.close if closing else self.fold).run(self.partition.fold(*chunk))
            self.events += len(chunk[0])
            since += len(chunk[0])
            if since >= FLUSH_EVENTS or closing:
                since = 0
                self._flush(keep=keep)
        self._flush(keep=keep)

    def _flush(self, *, keep: bool) -> None:
        taken: list[Snapshot] = []
        self.snapshot.run(self._take(taken))
        self.encode.run(self._encode(taken.pop(), keep=keep))

    def _take(self, taken: list[Snapshot]) -> Iterator[None]:
        taken.append(self.partition.snapshot())
        yield

    def _encode(self, snapshot: Snapshot, *, keep: bool) -> Iterator[None]:
        for key, value in snapshot.rows:
            if not keep:
                continue
            if value is None:
                self.changelog.pop(key, None)
            else:
                self.changelog[key] = value
        yield
