"""Where a connector's records go: the port between reading a source and writing to Kafka."""

from collections.abc import Callable
from dataclasses import dataclass
from threading import Event
from typing import Protocol

from streams.cloudtrail.record import Rejected, Skipped, TrailRecord
from streams.codecs import SourcePosition

Item = TrailRecord | Rejected | Skipped
Stop = Event
"""Set when the process was asked to end: a connector then returns soon, at no particular place."""
Advance = Callable[[int, int], None]
"""Takes how much is done, of how much, for a progress bar."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What became of the records so far; `seen == published + filtered + rejected` after a flush.

    `published` and `rejected` count confirmed deliveries: of a record and of a dead letter.
    """

    seen: int = 0
    published: int = 0
    filtered: int = 0
    rejected: int = 0

    def since(self, earlier: "Tally") -> "Tally":
        """Return what was added since an earlier tally of the same outlet."""
        return Tally(
            seen=self.seen - earlier.seen,
            published=self.published - earlier.published,
            filtered=self.filtered - earlier.filtered,
            rejected=self.rejected - earlier.rejected,
        )


class Outlet(Protocol):
    """Takes what a connector read; every method raises KafkaUnavailableError when Kafka fails."""

    def publish(self, item: Item) -> None:
        """Take one record, dead letter or filtered input; waits while too much is under way."""

    def progress(self, up_to_ms: int) -> None:
        """Say, after all before it is delivered, that nothing older than `up_to_ms` will come."""

    def heartbeat(self) -> None:
        """Repeat the last Progress once it is 30 s old; say nothing before the first."""

    def remember(self, position: SourcePosition) -> None:
        """Store a position; the caller has flushed what it speaks of."""

    def flush(self) -> None:
        """Wait until everything taken is delivered."""

    @property
    def tally(self) -> Tally:
        """What became of the records so far."""


class Connector(Protocol):
    """Reads one source from where it stands to its end, or until it is stopped."""

    def run(self, outlet: Outlet, stop: Stop) -> None:
        """Read, publish, and say how far; return at the end or soon after `stop` is set."""

    def remarks(self) -> tuple[str, ...]:
        """Return what a person should know at the end besides the numbers, a sentence each."""
