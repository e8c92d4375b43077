"""Named scenarios: an organization's habits, and what was injected into them, with labels."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from streams.errors import ConfigurationError
from streams.synthetic import callers
from streams.synthetic.apis import catalogue
from streams.synthetic.habits import STEP_MS, Habit, Rhythm
from streams.synthetic.organization import MEMBER_ACCOUNTS, MONITORING_ACCOUNT, REGIONS, habits

HOUR_MS = 3_600_000

DEFAULT_START_MS = 1_767_571_200_000
"""2026-01-05T00:00:00Z, a Monday: a fixed date, so that output depends on arguments only."""

DEMO_MS = 60 * HOUR_MS
"""Event time that the scenario `demo` needs at least: two quiet days, then the anomalies."""

# 2038-01-01T00:00:00Z: no parser has to take later events.
_LAST_MS = 2_145_916_800_000

# A fair detector judges a series after a day; half a day more settles its baseline.
_LEARNING_MS = 36 * HOUR_MS
_BUSY_ENOUGH = 6.0


class Kind(StrEnum):
    """What was done to a series."""

    SPIKE = "spike"
    """Calls times `factor` for a while."""
    LEVEL_SHIFT = "level_shift"
    """Calls times `factor` from then on: a deployment, nothing to alert on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Injection:
    """A labelled change of one principal's calls of one API, during `[start_ms, end_ms)`.

    Both ends are multiples of 300 s since the epoch.
    """

    kind: Kind
    account_id: str
    region: str
    event_source: str
    event_name: str
    initiator: str
    caller_account_id: str
    principal: str
    start_ms: int
    end_ms: int
    factor: float
    expected: bool
    """Whether a good detector reports it."""

    def changes(self, habit: Habit) -> bool:
        """Return whether the habit is what this injection changes."""
        return (
            self.account_id == habit.account_id
            and self.region == habit.region
            and self.event_source == habit.api.event_source
            and self.event_name == habit.api.event_name
            and self.principal == habit.caller.principal
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Everything that determines the traffic: the same scenario gives the same bytes.

    Events lie in `[start_ms, end_ms)`; numpy promises the same random numbers within one of its
    versions only (NEP 19).
    """

    name: str
    seed: int
    start_ms: int
    end_ms: int
    habits: tuple[Habit, ...]
    injections: tuple[Injection, ...]
    duplicate_share: float = 0.0
    """Share of records delivered a second time, within the same ten minutes."""


def scenario(  # noqa: PLR0913 - one argument for each choice of `generate`
    name: str,
    seed: int,
    *,
    start_ms: int = DEFAULT_START_MS,
    end_ms: int | None = None,
    events_per_day: int | None = None,
    duplicate_share: float = 0.0,
) -> Scenario:
    """Return a named scenario over `[start_ms, end_ms)`, both taken to multiples of 300 s.

    `end_ms` defaults to DEMO_MS after the start.
    `events_per_day` scales all habits to about that many; None leaves the scenario's own volume.
    Raise ConfigurationError for an unknown name, an empty or too short time, or a bad share.
    """
    start_ms = start_ms // STEP_MS * STEP_MS
    end_ms = -(-(start_ms + DEMO_MS if end_ms is None else end_ms) // STEP_MS) * STEP_MS
    if name not in _BUILDERS:
        raise ConfigurationError(f"no scenario {name!r}: choose one of {', '.join(_BUILDERS)}")
    if not 0 <= start_ms < end_ms <= _LAST_MS:
        raise ConfigurationError(
            f"a scenario lies between 1970 and 2038 and ends after it starts, not {start_ms} ms "
            f"to {end_ms} ms"
        )
    if not 0 <= duplicate_share <= 1:
        raise ConfigurationError(f"the share of duplicates is 0 to 1, not {duplicate_share}")
    found, injections = _BUILDERS[name](np.random.default_rng(seed), start_ms, end_ms)
    return Scenario(
        name=name,
        seed=seed,
        start_ms=start_ms,
        end_ms=end_ms,
        habits=found if events_per_day is None else _scaled(found, events_per_day),
        injections=injections,
        duplicate_share=duplicate_share,
    )


def names() -> tuple[str, ...]:
    """Return the names of all scenarios."""
    return tuple(_BUILDERS)


def _demo(
    rng: np.random.Generator, start_ms: int, end_ms: int
) -> tuple[tuple[Habit, ...], tuple[Injection, ...]]:
    """Two accounts, two Regions, five anomalies after two quiet days, one ordinary deployment."""
    if end_ms - start_ms < DEMO_MS:
        raise ConfigurationError(f"the scenario demo needs {DEMO_MS // HOUR_MS} h of event time")
    usual = habits(rng, accounts=MEMBER_ACCOUNTS[:2], regions=REGIONS, busy=3)
    account, apis = MEMBER_ACCOUNTS[0], catalogue()
    observer = callers.internal(MONITORING_ACCOUNT, "CloudWatch-CrossAccountObserver")
    # Caller, API, calls in a step, hour of the change, its length in minutes, factor.
    plan = (
        (callers.role(account, "thumbnail-service"), "s3:GetObject", 40, 51, 30, 3),
        (observer, "monitoring:GetMetricData", 25, 52, 30, 80),
        (callers.role(account, "inventory-scanner"), "ec2:DescribeInstances", 15, 54, 40, 10),
        (callers.role(account, "payments-service"), "kms:Decrypt", 20, 55, 25, 8),
        (callers.user(account, "backup-operator"), "secretsmanager:GetSecretValue", 12, 57, 30, 12),
    )
    anchors = [
        Habit(caller=caller, api=apis[api], account_id=account, region=REGIONS[0], rate=rate)
        for caller, api, rate, *_ in plan
    ]
    spikes = [
        _injection(Kind.SPIKE, habit, start_ms + hour * HOUR_MS, minutes * 60_000, factor)
        for habit, (*_, hour, minutes, factor) in zip(anchors, plan, strict=True)
    ]
    deployed = Habit(
        caller=callers.role(account, "checkout-service"),
        api=apis["dynamodb:GetItem"],
        account_id=account,
        region=REGIONS[1],
        rate=12,
    )
    shift_ms = start_ms + 50 * HOUR_MS
    shift = _injection(Kind.LEVEL_SHIFT, deployed, shift_ms, end_ms - shift_ms, 1.6)
    return (*usual, *anchors, deployed), (shift, *spikes)


def _organisation(
    rng: np.random.Generator, start_ms: int, end_ms: int
) -> tuple[tuple[Habit, ...], tuple[Injection, ...]]:
    """Three accounts, two Regions, and a spike of a random steady series every two hours."""
    usual = habits(rng, accounts=MEMBER_ACCOUNTS, regions=REGIONS, busy=6)
    steady = [
        habit for habit in usual if habit.rhythm is Rhythm.STEADY and habit.rate >= _BUSY_ENOUGH
    ]
    order = [steady[index] for index in rng.permutation(len(steady))]
    return usual, _random_injections(rng, order, start_ms + _LEARNING_MS, end_ms)


def _random_injections(
    rng: np.random.Generator, order: Sequence[Habit], start_ms: int, end_ms: int
) -> tuple[Injection, ...]:
    """Return a level shift of the first habit, and spikes of the others in turn."""
    if end_ms <= start_ms:
        return ()
    shifted, *others = order
    injections = [_injection(Kind.LEVEL_SHIFT, shifted, start_ms, end_ms - start_ms, 1.5)]
    slot_ms, longest_ms = 2 * HOUR_MS, HOUR_MS
    # The last slot leaves time for the anomaly to end within the trail.
    for number, slot in enumerate(range(start_ms, end_ms - 2 * slot_ms, slot_ms)):
        offset_ms = int(rng.integers(0, slot_ms - longest_ms))
        minutes = int(rng.choice([20, 30, 45, 60]))
        factor = float(rng.choice([5, 6, 8, 10]))
        habit = others[number % len(others)]
        injections.append(_injection(Kind.SPIKE, habit, slot + offset_ms, minutes * 60_000, factor))
    return tuple(injections)


def _injection(
    kind: Kind, habit: Habit, start_ms: int, duration_ms: int, factor: float
) -> Injection:
    aligned_ms = start_ms // STEP_MS * STEP_MS
    return Injection(
        kind=kind,
        account_id=habit.account_id,
        region=habit.region,
        event_source=habit.api.event_source,
        event_name=habit.api.event_name,
        initiator=habit.caller.initiator,
        caller_account_id=habit.caller.account_id,
        principal=habit.caller.principal,
        start_ms=aligned_ms,
        end_ms=aligned_ms + -(-duration_ms // STEP_MS) * STEP_MS,
        factor=factor,
        expected=kind is Kind.SPIKE,
    )


def _scaled(found: Sequence[Habit], events_per_day: int) -> tuple[Habit, ...]:
    usual = sum(habit.rate for habit in found) * 86_400_000 / STEP_MS
    return tuple(replace(habit, rate=habit.rate * events_per_day / usual) for habit in found)


_Builder = Callable[
    [np.random.Generator, int, int], tuple[tuple[Habit, ...], tuple[Injection, ...]]
]
_BUILDERS: Mapping[str, _Builder] = {"demo": _demo, "organisation": _organisation}
