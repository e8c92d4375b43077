"""One run: a rig, traffic and faults, all chosen by a seed; then truth."""

import random
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from faults import truth
from faults.audit import Difference, Kind, audit
from faults.catalogue import FAULTS, Fault, Needs, possible
from faults.rig import SLOTS, Rig, RunError
from faults.timing import LONG, Timing
from faults.traffic import DAY, Delivery, traffic

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run is made of."""

    seed: int
    faults: Sequence[Fault]
    needs: Needs
    workers: int
    timing: Timing = LONG

    @classmethod
    def of(cls, seed: int) -> "Plan":
        """Choose all of it by the seed; every fourth run has three brokers."""
        rng = random.Random(seed)
        needs = Needs(brokers=3 if seed % 4 == 3 else 1, static=rng.random() < 0.5)
        faults = rng.sample(possible(needs), rng.randint(8, 10))
        return cls(seed=seed, faults=faults, needs=needs, workers=rng.randint(1, 3))

    @classmethod
    def named(cls, seed: int, names: Sequence[str], **other: object) -> "Plan":
        """Make a plan of faults by name."""
        by_name = {fault.name: fault for fault in FAULTS}
        faults = [by_name[name] for name in names]
        needs = Needs(
            brokers=max(fault.needs.brokers for fault in faults),
            static=any(fault.needs.static for fault in faults),
        )
        return cls(seed=seed, faults=faults, needs=needs, workers=2, **other)  # type: ignore[arg-type]


@dataclass(slots=True, kw_only=True)
class Result:
    """What came out."""

    plan: Plan
    seconds: float = 0.0
    events: int = 0
    rows: int = 0
    anomalies: int = 0
    failure: str = ""
    differences: list[Difference] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether nothing was wrong, lost or repeated, and all ended as it should."""
        return not (self.failure or self.differences)

    def count(self, kind: Kind) -> int:
        """Return how many differences are of a kind."""
        return sum(difference.kind is kind for difference in self.differences)


def run(plan: Plan, tell: Tell = print, keep: Path | None = None) -> Result:
    """Do one run; brokers' and workers' logs stay in `keep` where it is given."""
    started = time.monotonic()
    result = Result(plan=plan)
    with tempfile.TemporaryDirectory(prefix="trailstreams-faults-") as temporary:
        directory = keep or Path(temporary)
        directory.mkdir(parents=True, exist_ok=True)
        rig = Rig(
            directory,
            plan.timing,
            random.Random(plan.seed),
            brokers=plan.needs.brokers,
            static=plan.needs.static,
        )
        with rig:
            try:
                _break(rig, plan, tell)
                _judge(rig, plan, result)
            except RunError as error:
                result.failure = str(error)
    result.seconds = time.monotonic() - started
    return result


def _break(rig: Rig, plan: Plan, tell: Tell) -> None:
    """Feed the workers and break things, one after the other; return when all is counted."""
    steps = traffic(plan.seed)
    for slot in SLOTS[: plan.workers]:
        rig.start(slot)
    rig.feeder.start(steps[:DAY], 0.0)
    rig.until(lambda: sum(rig.group.committed().values()) > 0, 60, "the first commit")
    rig.feeder.finish()
    for fault, part in zip(plan.faults, _parts(steps[DAY:], len(plan.faults)), strict=True):
        rig.feeder.start(part, plan.timing.window_pace_seconds)
        started = time.monotonic()
        fault.inject(rig)
        injected = time.monotonic()
        rig.feeder.finish()
        rig.caught_up()
        tell(
            f"  {fault.name}: {fault.does} ({injected - started:.1f} s, "
            f"caught up after {time.monotonic() - injected:.1f} s)"
        )
    for slot in rig.running:
        rig.stop(slot)


def _judge(rig: Rig, plan: Plan, result: Result) -> None:
    """Work truth out and compare."""
    log = truth.read_log(rig.settings)
    counts, folded = truth.count(log), truth.fold(rig.settings, log)
    result.rows, result.anomalies = len(counts.closed), len(folded.anomalies)
    result.events = len(counts.seen)
    told = {
        record.dedup_id
        for step in traffic(plan.seed)
        for delivery in step
        for record in delivery.records
    }
    result.differences = [
        Difference(Kind.LOST, f"event {dedup_id.hex()} before it reached Kafka")
        for dedup_id in told - counts.seen
    ] + audit(rig.settings, counts, folded)


def _parts(steps: list[list[Delivery]], number: int) -> list[list[list[Delivery]]]:
    """Divide steps into parts of about one length."""
    ends = [len(steps) * part // number for part in range(number + 1)]
    return [steps[first:last] for first, last in zip(ends, ends[1:], strict=False)]
