"""One open anomaly as it goes on, and the records it becomes."""

from hashlib import blake2b

import msgspec

from streams.detection.anomaly import Anomaly, Measure, Series, State
from streams.detection.sentence import sentence
from streams.detection.tally import Tally
from streams.errors import StateError

_MINUTE_MS = 60_000
_DAY_MINUTES = 1440


class Episode(msgspec.Struct, kw_only=True):
    """All that is needed to go on with an anomaly; stored as MessagePack. Counts are calls."""

    anomaly_id: str
    type: str
    rule_version: str
    measure: Measure
    series: Series
    window_ms: int
    opened_ms: int
    """Start of the opening window."""
    active_until_ms: int
    """End of the last window that was not quiet, exclusive."""
    judged_until_ms: int
    """End of the last window judged, exclusive."""
    crossed_ms: int
    """Start of the first window beyond the full threshold; -1 while suppressed."""
    provisional: bool
    revision: int
    parent_id: str
    score: float
    threshold: float
    limit: float | None
    """The fixed limit, calls a window; None when the baseline was the measure."""
    usual: tuple[float, float, float]
    """Average, low and high of the baseline, calls a window."""
    baseline_windows: int
    calls: int
    """Since the opening, up to `active_until_ms`."""
    pending_calls: int = 0
    """Since then."""
    peak: int
    """Largest count of any one window."""
    quiet: int = 0
    """Quiet windows in a row."""
    tally: Tally = msgspec.field(default_factory=Tally)

    @property
    def suppressed(self) -> bool:
        """Whether no window has reached the full threshold yet."""
        return self.crossed_ms < 0

    def go_on(self, calls: int, score: float) -> None:
        """Add a window that was not quiet."""
        self.judged_until_ms += self.window_ms
        self.active_until_ms = self.judged_until_ms
        self.calls += self.pending_calls + calls
        self.pending_calls = self.quiet = 0
        self.peak = max(self.peak, calls)
        self.score = max(self.score, score)

    def calm_down(self, calls: int) -> None:
        """Add a quiet window; it belongs to the anomaly only if that goes on."""
        self.judged_until_ms += self.window_ms
        self.pending_calls += calls
        self.quiet += 1

    def record(self, state: State, superseded_by: str = "") -> Anomaly:
        """Return this state of the anomaly; `revision` counts the records made before."""
        window_minutes = self.window_ms / _MINUTE_MS
        minutes = (self.active_until_ms - self.opened_ms) / _MINUTE_MS
        average, low, high = (calls / window_minutes for calls in self.usual)
        observed = self.calls / minutes
        surplus = max(0.0, observed - average) * _DAY_MINUTES
        return Anomaly(
            anomaly_id=self.anomaly_id,
            type=self.type,
            state=state,
            revision=self.revision,
            provisional=self.provisional,
            **self.series._asdict(),
            measure=self.measure,
            parent_id=self.parent_id,
            window_start_ms=self.opened_ms,
            window_end_ms=self.judged_until_ms,
            baseline_average=average,
            baseline_low=low,
            baseline_high=high,
            baseline_duration_minutes=int(self.baseline_windows * window_minutes),
            observed_average=observed,
            observed_peak=self.peak / window_minutes,
            duration_minutes=int(minutes),
            score=self.score,
            threshold=self.threshold,
            rule_version=self.rule_version,
            suppressed=self.suppressed,
            superseded_by=superseded_by,
            attributions=self.tally.attributions(),
            evidence=tuple(self.tally.evidence),
            sentence=sentence(
                self.series,
                state,
                observed=observed,
                usual=average,
                limit=None if self.limit is None else self.limit / window_minutes,
                start_ms=self.opened_ms,
                end_ms=self.active_until_ms,
            ),
            extra_dollars_per_day=surplus * self.tally.dollars_per_call(),
        )


def decode_episode(stored: bytes) -> Episode:
    """Return a stored open anomaly; raise StateError when it cannot be read."""
    try:
        return msgspec.msgpack.decode(stored, type=Episode)
    except msgspec.DecodeError as error:
        raise StateError(
            f"a stored open anomaly cannot be read ({error}); "
            "reset the state with `trailstreams state reset`"
        ) from error


def anomaly_id(app: str, kind: str, series: Series, window_start_ms: int) -> str:
    """Return the id of the anomaly of this type that opens on a series in a window."""
    said = msgspec.msgpack.encode((app, kind, series, window_start_ms))
    return blake2b(said, digest_size=16).hexdigest()
