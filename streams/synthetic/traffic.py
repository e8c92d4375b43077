"""A scenario's records, in the order in which CloudTrail would deliver them."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import itemgetter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.synthetic.habits import STEP_MS, Rates
from streams.synthetic.render import SESSION_MS, VARIANTS, render
from streams.synthetic.scenarios import Scenario
from streams.synthetic.words import base32, iso

MAX_DELAY_MS = 600_000
"""Every record is delivered less than this after its event."""

MIN_DELAY_MS = 3_000
"""Every record is delivered at least this long after its event."""

# CloudTrail delivers an account's Region about every 5 minutes; what is ready by then goes along.
_DELIVERY_MS = 300_000
# Event → ready, before the wait for the next delivery: log-normal, cut at both ends. Together they
# give the delays of a real trail: at least 3 s, median about 200 s, p99 about 505 s, below 600 s.
_READY_MEDIAN_MS = 42_000
_READY_SIGMA = 1.0
_READY_MAX_MS = MAX_DELAY_MS - _DELIVERY_MS - 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One delivery, as one log file holds it: one account, one Region, one stamp."""

    account_id: str
    region: str
    stamp_ms: int
    """When it is delivered: a full minute."""
    records: tuple[bytes, ...]
    """JSON objects, not sorted by event time."""
    key: str
    """Name of the object in S3."""


class Event(NamedTuple):
    """One call: what made it, when, and its record."""

    habit: int
    """Index into the scenario's habits."""
    time_ms: int
    """Event time, to the second."""
    failed: bool
    record: bytes


class _Step(NamedTuple):
    """The calls of one step as columns."""

    habit: NDArray[np.int64]
    second: NDArray[np.int64]
    """Since the start of the step."""
    variant: NDArray[np.int64]
    failed: NDArray[np.bool_]
    ready_ms: NDArray[np.int64]
    """Since the start of the step."""
    again: NDArray[np.bool_]
    """Whether the record is delivered twice, if its second delivery is not too late."""
    ids: NDArray[np.bytes_]
    """Request id and event id of each call."""


_Pending = defaultdict[tuple[int, int], list[tuple[int, bytes]]]


class Traffic:
    """The traffic of one scenario.

    Every step of 300 s is a function of the scenario and its own number alone, so that any part of
    the traffic can be had, again, with the same bytes.
    """

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self._rates = Rates(scenario.habits)
        self._error_share = np.array([habit.error_share for habit in scenario.habits])
        streams = sorted({(habit.account_id, habit.region) for habit in scenario.habits})
        self._streams = streams
        self._stream = np.array(
            [streams.index((habit.account_id, habit.region)) for habit in scenario.habits],
            dtype=np.int64,
        )
        self._changed = [
            np.array([injection.changes(habit) for habit in scenario.habits])
            for injection in scenario.injections
        ]
        self._spans = np.array(
            [(injection.start_ms, injection.end_ms) for injection in scenario.injections]
        ).reshape(-1, 2)
        self._templates: dict[tuple[int, int, bool], bytes] = {}
        self._session = -1

    def batches(
        self, until_ms: int | None = None, *, after_ms: int | None = None
    ) -> Iterator[Batch]:
        """Yield deliveries in the order of their stamps, those with after_ms < stamp ≤ until_ms.

        None is no bound. Several deliveries may share a stamp: to go on after a crash, give the
        last stamp of which all were handled as `after_ms`.
        Stamps are never waited for: the caller decides when a delivery's time has come.
        """
        after_ms = self.scenario.start_ms if after_ms is None else after_ms
        until_ms = self.scenario.end_ms + MAX_DELAY_MS if until_ms is None else until_ms
        first_ms = max(self.scenario.start_ms, (after_ms - MAX_DELAY_MS) // STEP_MS * STEP_MS)
        pending: _Pending = defaultdict(list)
        for step_ms in range(first_ms, min(self.scenario.end_ms, until_ms), STEP_MS):
            # Nothing rendered from here on is delivered before step_ms + MIN_DELAY_MS.
            yield from self._due(pending, after_ms, min(step_ms, until_ms))
            self._add(pending, step_ms)
        yield from self._due(pending, after_ms, until_ms)

    def events(self, step_ms: int) -> list[Event]:
        """Return the calls of the step that starts at `step_ms`, a multiple of STEP_MS."""
        step = self._draw(step_ms)
        times = (step_ms + step.second * 1000).tolist()
        records = self._records(step, step_ms)
        return list(map(Event, step.habit.tolist(), times, step.failed.tolist(), records))

    def _due(self, pending: _Pending, after_ms: int, until_ms: int) -> Iterator[Batch]:
        for stamp_ms, stream in sorted(key for key in pending if key[0] <= until_ms):
            ready = pending.pop((stamp_ms, stream))
            if stamp_ms <= after_ms:
                continue
            ready.sort(key=itemgetter(0))
            account_id, region = self._streams[stream]
            yield Batch(
                account_id=account_id,
                region=region,
                stamp_ms=stamp_ms,
                records=tuple(record for _, record in ready),
                key=object_key(self.scenario.seed, account_id, region, stamp_ms),
            )

    def _add(self, pending: _Pending, step_ms: int) -> None:
        """Draw and render a step's records, and put each where it will be delivered."""
        step = self._draw(step_ms)
        stream = self._stream[step.habit]
        ready_ms = step_ms + step.ready_ms
        # Deliveries of the accounts' Regions are a minute apart from one another.
        offset_ms = stream % 5 * 60_000
        stamp_ms = -(-(ready_ms - offset_ms) // _DELIVERY_MS) * _DELIVERY_MS + offset_ms
        in_time = stamp_ms + _DELIVERY_MS - step_ms - step.second * 1000 < MAX_DELAY_MS
        again = (step.again & in_time).tolist()
        places = zip(stamp_ms.tolist(), stream.tolist(), strict=True)
        ready = zip(ready_ms.tolist(), self._records(step, step_ms), strict=True)
        for place, item, twice in zip(places, ready, again, strict=True):
            pending[place].append(item)
            if twice:
                pending[place[0] + _DELIVERY_MS, place[1]].append(item)

    def _draw(self, step_ms: int) -> _Step:
        rng = np.random.default_rng([self.scenario.seed, step_ms // STEP_MS])
        counts = self._rates.draw(rng, step_ms // STEP_MS, self._factors(step_ms))
        habit = np.repeat(np.arange(len(counts)), counts)
        total = len(habit)
        second = rng.integers(0, STEP_MS // 1000, total)
        delay_ms = np.exp(rng.normal(np.log(_READY_MEDIAN_MS), _READY_SIGMA, total))
        delay_ms = np.clip(delay_ms.astype(np.int64), MIN_DELAY_MS, _READY_MAX_MS)
        return _Step(
            habit=habit,
            second=second,
            variant=rng.integers(0, VARIANTS, total),
            failed=rng.random(total) < self._error_share[habit],
            ready_ms=second * 1000 + delay_ms,
            again=rng.random(total) < self.scenario.duplicate_share,
            ids=_uuids(rng, 2 * total).reshape(total, 2),
        )

    def _factors(self, step_ms: int) -> NDArray[np.float64]:
        factors = np.ones(len(self.scenario.habits))
        active = (self._spans[:, 0] <= step_ms) & (step_ms < self._spans[:, 1])
        for index in np.flatnonzero(active).tolist():
            factors[self._changed[index]] *= self.scenario.injections[index].factor
        return factors

    def _records(self, step: _Step, step_ms: int) -> list[bytes]:
        self._turn(step_ms // SESSION_MS)
        times = [iso(step_ms + second * 1000).encode() for second in range(STEP_MS // 1000)]
        template = self._template
        return [
            template(habit, variant, failed) % (times[second], *ids)
            for habit, variant, failed, second, ids in zip(
                step.habit.tolist(),
                step.variant.tolist(),
                step.failed.tolist(),
                step.second.tolist(),
                step.ids.tolist(),
                strict=True,
            )
        ]

    def _turn(self, session: int) -> None:
        """Forget the templates of another session."""
        if session != self._session:
            self._session = session
            self._templates.clear()

    def _template(self, habit: int, variant: int, failed: bool) -> bytes:
        key = (habit, variant, failed)
        found = self._templates.get(key)
        if found is None:
            scenario = self.scenario
            found = render(
                scenario.seed, scenario.habits[habit], variant, self._session, failed=failed
            )
            self._templates[key] = found
        return found


def object_key(seed: int, account_id: str, region: str, stamp_ms: int) -> str:
    """Return the S3 object key of a log file, without the trail's prefix."""
    stamp = datetime.fromtimestamp(stamp_ms / 1000, UTC)
    unique = base32(16, seed, account_id, region, stamp_ms)
    return (
        f"AWSLogs/{account_id}/CloudTrail/{region}/{stamp:%Y/%m/%d}/"
        f"{account_id}_CloudTrail_{region}_{stamp:%Y%m%dT%H%MZ}_{unique}.json.gz"
    )


def _uuids(rng: np.random.Generator, count: int) -> NDArray[np.bytes_]:
    """Return random UUIDs (RFC 9562, version 4) as text."""
    raw = np.frombuffer(rng.bytes(16 * count), dtype=np.uint8).reshape(count, 16).copy()
    raw[:, 6] = raw[:, 6] & 0x0F | 0x40
    raw[:, 8] = raw[:, 8] & 0x3F | 0x80
    digits = np.frombuffer(raw.tobytes().hex().encode(), dtype=np.uint8).reshape(count, 32)
    text = np.full((count, 36), ord("-"), dtype=np.uint8)
    columns = [column for column in range(36) if column not in {8, 13, 18, 23}]
    text[:, columns] = digits
    return text.reshape(-1).view("S36")
