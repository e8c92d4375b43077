"""What was found against what was injected."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from streams.detection.anomaly import Anomaly, Level
from streams.synthetic.scenarios import Injection


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Injections with the anomalies that found them, and the anomalies that found none."""

    found: tuple[tuple[Injection, tuple[Anomaly, ...]], ...]
    """Every expected injection, in order of time; an empty tuple is a miss."""
    strays: tuple[Anomaly, ...]
    """Anomalies that overlap no expected injection."""

    @property
    def missed(self) -> int:
        """How many expected injections nothing found."""
        return sum(not anomalies for _, anomalies in self.found)


def score(injections: Iterable[Injection], anomalies: Sequence[Anomaly]) -> Score:
    """Hold definitive, unsuppressed anomalies against labels.

    An anomaly finds an injection when both are of one API in one account and Region, none of the
    anomaly's finer members contradicts the injection's, and the opening window lies within the
    injected time.
    """
    expected = sorted((i for i in injections if i.expected), key=lambda i: i.start_ms)
    judged = [a for a in anomalies if not (a.provisional or a.suppressed)]
    found = tuple((i, tuple(a for a in judged if _finds(a, i))) for i in expected)
    used = {a.anomaly_id for _, finders in found for a in finders}
    return Score(found=found, strays=tuple(a for a in judged if a.anomaly_id not in used))


def _finds(anomaly: Anomaly, injection: Injection) -> bool:
    members = ["account_id", "region", "event_source", "event_name"]
    if anomaly.level is not Level.EVENT:
        members += ["initiator", "caller_account_id"]
    if anomaly.level is Level.PRINCIPAL:
        members.append("principal")
    same = all(getattr(anomaly, name) == getattr(injection, name) for name in members)
    return same and injection.start_ms <= anomaly.window_start_ms < injection.end_ms
