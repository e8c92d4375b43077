"""The watermark of a partition: what its sources say, on a clock that only the log moves."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from streams.cloudtrail.record import Activity

PROGRESS_EVENT_SOURCE = "trailstreams.internal"
"""The reserved `event_source` of Progress records; their principal is the instance id."""

PROGRESS_EVENT_NAME = "Progress"

DEAD_AFTER_MS = 300_000
"""A source silent for this long on the liveness clock no longer holds the watermark back."""

LONGEST_STEP_MS = 60_000
"""What one pause between two Progress records may add to the liveness clock: a pause of all
sources kills none of them."""


def progress_activity(instance_id: str) -> Activity:
    """Return the key of a source instance's Progress records."""
    return Activity(
        account_id="",
        region="",
        event_source=PROGRESS_EVENT_SOURCE,
        event_name=PROGRESS_EVENT_NAME,
        event_category="",
        initiator="none",
        caller_account_id="",
        principal=instance_id,
        error_code="",
    )


class SourceProgress(NamedTuple):
    """The last word of one source instance."""

    up_to_ms: int
    """Nothing older will still come from it."""
    heard_at_ms: int
    """The liveness clock at its last Progress record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatermarkState:
    """All of a watermark, to be stored and restored."""

    watermark_ms: int | None = None
    clock_ms: int = 0
    last_append_ms: int | None = None
    sources: Mapping[str, SourceProgress]


class Watermark:
    """The largest so far of min(latest `up_to`) over the live source instances.

    The liveness clock advances between consecutive Progress records by their append times'
    difference, at least 0 and at most LONGEST_STEP_MS; an instance is dead, and forgotten, when
    the clock moved DEAD_AFTER_MS since its last record. No other clock is involved, so that a
    replay of the log gives the same watermarks.
    """

    __slots__ = ("_clock_ms", "_last_append_ms", "_sources", "value_ms")

    def __init__(self, state: WatermarkState | None = None) -> None:
        state = state or WatermarkState(sources={})
        self.value_ms = state.watermark_ms
        """Milliseconds since the epoch; None before the first Progress record."""
        self._clock_ms = state.clock_ms
        self._last_append_ms = state.last_append_ms
        self._sources = dict(state.sources)

    def observe(self, instance_id: str, up_to_ms: int, append_ms: int) -> int:
        """Take one Progress record, in log order, and return the watermark after it.

        Neither an instance's `up_to` nor the watermark ever goes back.
        """
        self._advance_clock(append_ms)
        before = self._sources.get(instance_id)
        latest = up_to_ms if before is None else max(up_to_ms, before.up_to_ms)
        self._sources[instance_id] = SourceProgress(latest, self._clock_ms)
        self._forget_dead()
        lowest = min(source.up_to_ms for source in self._sources.values())
        self.value_ms = lowest if self.value_ms is None else max(self.value_ms, lowest)
        return self.value_ms

    def state(self) -> WatermarkState:
        """Return a copy of everything that the next `observe` depends on."""
        return WatermarkState(
            watermark_ms=self.value_ms,
            clock_ms=self._clock_ms,
            last_append_ms=self._last_append_ms,
            sources=dict(self._sources),
        )

    def _advance_clock(self, append_ms: int) -> None:
        if self._last_append_ms is not None:
            self._clock_ms += min(max(append_ms - self._last_append_ms, 0), LONGEST_STEP_MS)
        self._last_append_ms = append_ms

    def _forget_dead(self) -> None:
        oldest = self._clock_ms - DEAD_AFTER_MS
        if any(source.heard_at_ms <= oldest for source in self._sources.values()):
            self._sources = {
                instance_id: source
                for instance_id, source in self._sources.items()
                if source.heard_at_ms > oldest
            }
