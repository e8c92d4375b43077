"""Records of the derived topics and their form on the wire; times end in `_ms` here, not there."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from streams.cloudtrail.record import Origin, Reason, Rejected
from streams.counting.counts import ActivityCount
from streams.detection.anomaly import Anomaly, Attribution, Evidence, Level, Measure, State

MAX_RAW_BYTES = 64 * 1024
"""What a dead letter keeps of the rejected bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """One input that is no countable record, and why."""

    reason: Reason
    origin: Origin
    offset: int = -1
    """Byte offset in the unpacked origin; -1 where it is not known."""
    error: str
    raw: bytes
    """The first `MAX_RAW_BYTES` of the rejected bytes."""
    raw_length: int
    """Of all the rejected bytes."""
    sha256: str
    """Of all the rejected bytes, hexadecimal."""
    source_id: str
    rejected_at_ms: int
    """By the source's clock."""

    @classmethod
    def of(
        cls, rejected: Rejected, *, source_id: str, rejected_at_ms: int, offset: int = -1
    ) -> "DeadLetter":
        """Return the dead letter of a rejected input, its bytes cut to `MAX_RAW_BYTES`."""
        return cls(
            reason=rejected.reason,
            origin=rejected.origin,
            offset=offset,
            error=rejected.error,
            raw=rejected.raw[:MAX_RAW_BYTES],
            raw_length=len(rejected.raw),
            sha256=hashlib.sha256(rejected.raw).hexdigest(),
            source_id=source_id,
            rejected_at_ms=rejected_at_ms,
        )

    @property
    def key(self) -> bytes:
        """Key on `dead-letters`: the origin and the index in it."""
        return f"{self.origin.object}#{self.origin.index}".encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcePosition:
    """How far a source has come in one object; `seen == published + filtered + rejected`."""

    source_id: str
    """The logical source, the same across restarts; without a tab."""
    object: str
    size_bytes: int
    modified_ms: int
    etag: str = ""
    seen: int
    published: int
    filtered: int
    rejected: int
    up_to_ms: int
    """The source's Progress after this object."""
    newest_event_ms: int = 0
    """Newest event time of the source so far, without those far past its newest delivery."""
    finished: bool

    @property
    def key(self) -> bytes:
        """Key on `source-positions`; the first tab ends the source id."""
        return f"{self.source_id}\t{self.object}".encode()


_MS = "_ms"


def to_datum(record: Any) -> dict[str, Any]:
    """Return the fields of a dataclass by their names on the wire."""
    return {item.name.removesuffix(_MS): getattr(record, item.name) for item in fields(record)}


def from_datum(kind: Any, datum: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the wire says of the fields of the dataclass `kind`, by their names there."""
    return {item.name: datum[item.name.removesuffix(_MS)] for item in fields(kind)}


def count_datum(count: ActivityCount) -> dict[str, Any]:
    """Return the wire's form of a count."""
    return {name.removesuffix(_MS): value for name, value in count._asdict().items()}


def count_of(datum: Mapping[str, Any]) -> ActivityCount:
    """Return the count of a decoded value."""
    return ActivityCount(*(datum[name.removesuffix(_MS)] for name in ActivityCount._fields))


def anomaly_datum(anomaly: Anomaly) -> dict[str, Any]:
    """Return the wire's form of an anomaly."""
    return {
        **to_datum(anomaly),
        "attributions": [item._asdict() for item in anomaly.attributions],
        "evidence": [item._asdict() for item in anomaly.evidence],
    }


def anomaly_of(datum: Mapping[str, Any]) -> Anomaly:
    """Return the anomaly of a decoded value; raise ValueError for words outside the closed sets."""
    members = from_datum(Anomaly, datum)
    return Anomaly(
        **members
        | {
            "state": State(datum["state"]),
            "level": Level(datum["level"]),
            "measure": Measure(datum["measure"]),
            "attributions": tuple(Attribution(**item) for item in datum["attributions"]),
            "evidence": tuple(Evidence(**item) for item in datum["evidence"]),
        }
    )


def dead_letter_datum(letter: DeadLetter) -> dict[str, Any]:
    """Return the wire's form of a dead letter."""
    return {
        **to_datum(letter),
        "origin": letter.origin.object,
        "origin_index": letter.origin.index,
        "origin_offset": letter.offset,
    }


def dead_letter_of(datum: Mapping[str, Any]) -> DeadLetter:
    """Return the dead letter of a decoded value; raise ValueError for an unknown reason."""
    return DeadLetter(
        reason=Reason(datum["reason"]),
        origin=Origin(datum["origin"], datum["origin_index"]),
        offset=datum["origin_offset"],
        error=datum["error"],
        raw=datum["raw"],
        raw_length=datum["raw_length"],
        sha256=datum["sha256"],
        source_id=datum["source_id"],
        rejected_at_ms=datum["rejected_at"],
    )
