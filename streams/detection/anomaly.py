"""The anomaly record: what was seen, against what, who did it, and what it costs."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Level(StrEnum):
    """How finely a series splits one API's calls in one account and Region."""

    EVENT = "event"
    INITIATOR = "initiator"
    """EVENT, split by initiator and calling account."""
    PRINCIPAL = "principal"
    """INITIATOR, split by principal."""


class Measure(StrEnum):
    """What of a series is judged."""

    CALLS = "calls"
    ERRORS = "errors"


class State(StrEnum):
    """Where an anomaly stands; `Start`, then exactly one of `End` and `Retracted`."""

    START = "Start"
    END = "End"
    RETRACTED = "Retracted"


class Series(NamedTuple):
    """One watched series; members finer than its level are empty."""

    level: Level
    account_id: str
    region: str
    event_source: str
    event_name: str
    initiator: str = ""
    caller_account_id: str = ""
    principal: str = ""


class Attribution(NamedTuple):
    """One value's share of an anomaly's calls, as CloudTrail Insights attributes them."""

    attribute: str
    """`principal`, `initiator`, `error_code` (exact) or `user_agent`, `address` (sampled)."""
    value: str
    share: float
    """Of the anomaly's calls, 0 to 1."""
    baseline_share: float | None
    """Of the baseline's calls, 0 to 1; None where it is not known."""


class Evidence(NamedTuple):
    """One record of the anomaly, and where to find it."""

    event_id: str
    topic: str
    partition: int
    offset: int
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomaly:
    """One state of one anomaly; a later `revision` of the same `anomaly_id` replaces an earlier.

    Statistics mean what the AWS CloudTrail Insights record means by them: `baseline_average` is
    per minute, `observed_average` is of the beginning at Start and of the whole duration at End.
    """

    anomaly_id: str
    """32 hexadecimal digits: blake2b-128 over (app, type, series, opening window)."""
    type: str
    """Name of the detector: `Threshold`, `ApiCallRate`, `InternalCallRate`, ..."""
    state: State
    revision: int
    provisional: bool
    """Found in a window that is still open; confirmed or retracted when the window closes."""
    level: Level
    measure: Measure
    parent_id: str
    """The coarsest open anomaly this one is part of: principal within initiator within event."""
    account_id: str
    region: str
    event_source: str
    event_name: str
    initiator: str
    caller_account_id: str
    principal: str
    window_start_ms: int
    """Start of the opening window, milliseconds since the epoch, inclusive."""
    window_end_ms: int
    """End of the last window judged, exclusive."""
    baseline_average: float
    """Expected calls per minute."""
    baseline_low: float
    baseline_high: float
    baseline_duration_minutes: int
    observed_average: float
    """Calls per minute."""
    observed_peak: float
    """Largest calls per minute of any one window."""
    duration_minutes: int
    score: float
    """-log10 of the calibrated tail probability; for Threshold calls / threshold."""
    threshold: float
    """What `score` had to reach (Threshold: calls per window)."""
    rule_version: str
    suppressed: bool
    superseded_by: str
    """Id of the anomaly that replaces a retracted one; empty otherwise."""
    attributions: tuple[Attribution, ...]
    evidence: tuple[Evidence, ...]
    sentence: str
    extra_dollars_per_day: float
    """What CloudTrail charges for the surplus over the baseline, if it went on for a day."""

    @property
    def series(self) -> Series:
        """The series this anomaly is of."""
        return Series(
            self.level,
            self.account_id,
            self.region,
            self.event_source,
            self.event_name,
            self.initiator,
            self.caller_account_id,
            self.principal,
        )
