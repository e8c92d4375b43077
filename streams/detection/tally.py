"""Who made an anomaly's calls: exact shares from counts, sampled ones from records."""

from collections.abc import Iterable, Mapping

import msgspec

from streams.cloudtrail.prices import dollars_per_event
from streams.cloudtrail.record import Activity
from streams.detection.anomaly import Attribution, Evidence

SAMPLES = 200
"""Records sampled for what counts do not carry."""
EVIDENCE = 5
"""Records named as evidence."""
SHOWN = 5
"""Values shown of an attribute, largest share first; as many as CloudTrail Insights shows."""

_KEPT = 200
_LONGEST_VALUE = 256
_EXACT = ("principal", "initiator", "error_code")


class Tally(msgspec.Struct):
    """Calls of an anomaly by attribute and value."""

    calls: int = 0
    dollars: float = 0.0
    """What CloudTrail charges for these calls."""
    exact: dict[str, dict[str, int]] = msgspec.field(default_factory=dict)
    """Exact while an attribute has up to 200 values; then the largest are."""
    baseline: dict[str, dict[str, float]] = msgspec.field(default_factory=dict)
    """Share of the baseline's calls, of the values of the opening window."""
    sampled: int = 0
    samples: dict[str, dict[str, int]] = msgspec.field(default_factory=dict)
    evidence: list[Evidence] = msgspec.field(default_factory=list)

    def add(self, breakdown: Iterable[tuple[Activity, int]]) -> None:
        """Add one window's counts."""
        for activity, calls in breakdown:
            self.calls += calls
            self.dollars += calls * dollars_per_event(activity.event_category)
            for attribute in _EXACT:
                value = getattr(activity, attribute)
                if value:
                    values = self.exact.setdefault(attribute, {})
                    values[value] = values.get(value, 0) + calls
        for attribute, values in self.exact.items():
            if len(values) > _KEPT:
                self.exact[attribute] = dict(_largest(values, _KEPT))

    def sample(self, evidence: Evidence, user_agent: str, address: str) -> None:
        """Add one record; only the first 200 count."""
        if self.sampled >= SAMPLES:
            return
        self.sampled += 1
        if len(self.evidence) < EVIDENCE:
            self.evidence.append(evidence)
        for attribute, value in (("user_agent", user_agent), ("address", address)):
            if value:
                values = self.samples.setdefault(attribute, {})
                kept = value[:_LONGEST_VALUE]
                values[kept] = values.get(kept, 0) + 1

    def adopt_samples(self, other: "Tally") -> None:
        """Take over what another tally of the same anomaly has sampled."""
        self.sampled, self.samples, self.evidence = other.sampled, other.samples, other.evidence

    def attributions(self) -> tuple[Attribution, ...]:
        """Return the largest shares of every attribute."""
        return tuple(
            Attribution(
                attribute, value, calls / self.calls, self.baseline.get(attribute, {}).get(value)
            )
            for attribute in _EXACT
            for value, calls in _largest(self.exact.get(attribute, {}), SHOWN)
        ) + tuple(
            Attribution(attribute, value, records / self.sampled, None)
            for attribute, values in sorted(self.samples.items())
            for value, records in _largest(values, SHOWN)
        )

    def dollars_per_call(self) -> float:
        """Return the average price of these calls, in US dollars."""
        return self.dollars / self.calls if self.calls else 0.0


def _largest(values: Mapping[str, int], number: int) -> list[tuple[str, int]]:
    return sorted(values.items(), key=lambda item: (-item[1], item[0]))[:number]
