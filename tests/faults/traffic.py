"""Made-up traffic of two sources that a seed determines to the last record, and their troubles.

A quiet first day, so that detection has baselines, then the time in which the faults happen.
Source `a` tells of a window when it has ended; `b` is late by some windows, repeats some of what
`a` said, falls silent for a while, and begins a little before where it stopped when it is back.
"""

import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from streams.cloudtrail.record import Activity, Origin, TrailRecord

WINDOW_MS = 900_000
AMENDMENT_MS = 12 * WINDOW_MS
START_MS = 1_767_571_200_000
"""2026-01-05T00:00:00Z, a Monday."""
DAY = 96
ACTIVE = 192
"""Windows of the first day, and of the time after it."""
_LAG = 3
_RETURN = 3
_OPEN = 4
"""Windows that `b` is behind `a`, that it tells again when it is back, and that never close."""
_REPEATED, _ECHOED, _LATE, _TOO_LATE, _AHEAD = 0.02, 0.04, 0.02, 0.005, 0.003
"""Shares of events delivered twice at once, by both sources, after some windows, after the purge,
and before their time."""
_INTERNAL_CALLS = 4_600
"""In one window: more than the shipped threshold of GetMetricData."""
_APIS = tuple(
    (service, name)
    for service, names in {
        "s3": ("GetObject", "PutObject", "ListBuckets"),
        "ec2": ("DescribeInstances", "RunInstances"),
        "kms": ("Decrypt", "GenerateDataKey"),
        "sts": ("AssumeRole",),
        "iam": ("GetRole", "ListUsers"),
        "lambda": ("Invoke", "GetFunction"),
        "dynamodb": ("PutItem", "Query"),
    }.items()
    for name in names
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What a source publishes at once, as it does a log file, and says afterwards."""

    source: str
    records: tuple[TrailRecord, ...]
    up_to_ms: int
    """Its Progress: nothing older will still come from it (if it keeps its word)."""
    unreadable: int = 0
    """Records that no schema reads, published with it."""


@dataclass(slots=True)
class _Told:
    """What is to be told at the end of one window, by source."""

    events: dict[str, list[TrailRecord]] = field(default_factory=lambda: defaultdict(list))


def traffic(seed: int) -> list[list[Delivery]]:
    """Return what is delivered at the end of each window, in order."""
    rng = random.Random(seed)
    told = [_Told() for _ in range(DAY + ACTIVE + 1)]
    for window, record in _events(rng):
        _tell(rng, told, window, record)
    silences = _silences(rng)
    return [list(_deliveries(rng, told, step, silences)) for step in range(len(told))]


def _events(rng: random.Random) -> Iterator[tuple[int, TrailRecord]]:
    activities = [_activity(*api, user) for api in _APIS for user in range(rng.randint(1, 3))]
    levels = {activity: rng.uniform(1, 6) for activity in activities}
    spikes = _spikes(rng, activities)
    # The last windows are told ahead of their time and stay open.
    for window in range(DAY + ACTIVE + _OPEN):
        for activity in activities:
            level = levels[activity] * spikes.get((activity, window), 1) / (3 - 2 * (window >= DAY))
            for _ in range(_around(rng, level)):
                yield window, _record(rng, window, activity)
    for _ in range(2):
        window = rng.randrange(DAY, DAY + ACTIVE)
        for _ in range(_INTERNAL_CALLS):
            yield window, _record(rng, window, _internal())


def _spikes(rng: random.Random, activities: list[Activity]) -> dict[tuple[Activity, int], float]:
    spikes: dict[tuple[Activity, int], float] = {}
    for first in range(DAY + 4, DAY + ACTIVE - 12, 12):
        activity, factor = rng.choice(activities), rng.uniform(6, 14)
        for window in range(first, first + rng.randint(2, 10)):
            spikes[activity, window] = factor
    # One that goes on at the end: its anomaly stays open.
    activity = rng.choice(activities)
    spikes |= {(activity, window): 14 for window in range(DAY + ACTIVE - 6, DAY + ACTIVE + _OPEN)}
    return spikes


def _tell(rng: random.Random, told: list[_Told], window: int, record: TrailRecord) -> None:
    """Decide when a record is told, by whom, and how often."""
    step, chance = window, rng.random()
    if chance < _TOO_LATE:
        step += 16 + rng.randrange(30)
    elif chance < _TOO_LATE + _LATE:
        step += 4 + rng.randrange(8)
    elif chance < _TOO_LATE + _LATE + _AHEAD:
        step -= rng.randrange(60)
    step = min(max(step, 0), len(told) - 1)
    source = rng.choice("ab")
    told[step].events[source] += [record] * (2 if rng.random() < _REPEATED else 1)
    if rng.random() < _ECHOED:
        told[step].events["b" if source == "a" else "a"].append(record)


def _silences(rng: random.Random) -> list[tuple[int, int]]:
    """Return when `b` is silent, as steps `[first, back)`: long enough to be taken for dead."""
    starts = [DAY + ACTIVE // 8 + rng.randrange(20), DAY + ACTIVE // 2 + rng.randrange(20)]
    return [(start, start + rng.randint(16, 40)) for start in starts]


def _deliveries(
    rng: random.Random, told: list[_Told], step: int, silences: list[tuple[int, int]]
) -> Iterator[Delivery]:
    yield _delivery(rng, told, "a", step)
    last = len(told) - 1
    if step == last:
        # The end of `b`'s input, however far behind it was.
        steps = range(step - _LAG, last + 1)
    elif any(first <= step < back for first, back in silences):
        return
    else:
        silent = next((first for first, back in silences if step == back), step)
        steps = range(silent - (_RETURN if silent < step else 0) - _LAG, step - _LAG + 1)
    for one in steps:
        if one >= 0:
            yield _delivery(rng, told, "b", one)


def _delivery(rng: random.Random, told: list[_Told], source: str, step: int) -> Delivery:
    return Delivery(
        source=source,
        records=tuple(told[step].events[source]),
        up_to_ms=START_MS + (step + 1) * WINDOW_MS,
        unreadable=int(source == "b" and rng.random() < 0.02),
    )


def _around(rng: random.Random, level: float) -> int:
    return max(0, round(rng.gauss(level, level**0.5)))


def _activity(service: str, name: str, user: int) -> Activity:
    account = "111122223333"
    return Activity(
        account_id=account,
        region="us-east-1",
        event_source=f"{service}.amazonaws.com",
        event_name=name,
        event_category="Management",
        initiator="direct",
        caller_account_id=account,
        principal=f"arn:aws:iam::{account}:user/example-{user}",
        error_code="",
    )


def _internal() -> Activity:
    return _activity("monitoring", "GetMetricData", 0)._replace(
        initiator="internal", principal="monitoring.amazonaws.com"
    )


def _record(rng: random.Random, window: int, activity: Activity) -> TrailRecord:
    dedup_id = rng.randbytes(16)
    event_id, address = dedup_id.hex(), "192.0.2.1"
    return TrailRecord(
        activity=activity,
        dedup_id=dedup_id,
        event_time_ms=START_MS + window * WINDOW_MS + rng.randrange(WINDOW_MS),
        origin=Origin("made-up", int.from_bytes(dedup_id[:4])),
        initiator_rule="made-up",
        session_name="",
        access_key_id="",
        event_id=event_id,
        event_type="",
        source_ip_address=address,
        user_agent="",
        raw=msgspec.json.encode({"eventID": event_id, "sourceIPAddress": address}),
    )
