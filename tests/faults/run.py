"""One run: a rig, traffic and faults, all chosen by a seed; then truth."""

import random
import shutil
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from faults import truth
from faults.audit import Difference, Kind, audit
from faults.catalogue import FAULTS, Fault, Needs, choose
from faults.rig import SLOTS, Rig, RunError
from faults.timing import LONG, Timing
from faults.traffic import DAY, Delivery, traffic

Tell = Callable[[str], None]
Steps = list[list[Delivery]]


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
        faults = choose(rng, needs, rng.randint(8, 10))
        return cls(seed=seed, faults=faults, needs=needs, workers=rng.randint(1, 3))

    @classmethod
    def named(cls, seed: int, names: Sequence[str], timing: Timing = LONG) -> "Plan":
        """Make a plan of these faults; raise KeyError for a name that is none."""
        by_name = {fault.name: fault for fault in FAULTS}
        faults = [by_name[name] for name in names]
        needs = Needs(
            brokers=max(fault.needs.brokers for fault in faults),
            static=any(fault.needs.static for fault in faults),
        )
        return cls(seed=seed, faults=faults, needs=needs, workers=2, timing=timing)


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
        """Whether nothing was wrong, lost or repeated, and all went on as it should."""
        return not (self.failure or self.differences)


def run(plan: Plan, logs: Path, tell: Tell = print) -> Result:
    """Do one run; where it fails, the logs of brokers and workers are kept in `logs`."""
    started = time.monotonic()
    result = Result(plan=plan)
    with tempfile.TemporaryDirectory(prefix="trailstreams-faults-") as temporary:
        try:
            _run(plan, Path(temporary), result, tell)
        except RunError as error:
            result.failure = str(error)
        except Exception as error:  # noqa: BLE001 - the other seeds are run all the same
            result.failure = "".join(traceback.format_exception(error))
        if not result.passed:
            _keep_logs(Path(temporary), logs)
    result.seconds = time.monotonic() - started
    return result


def _run(plan: Plan, directory: Path, result: Result, tell: Tell) -> None:
    needs, rng = plan.needs, random.Random(plan.seed)
    steps = traffic(plan.seed)
    with Rig(directory, plan.timing, rng, brokers=needs.brokers, static=needs.static) as rig:
        _break(rig, plan, steps, tell)
        log = truth.read_log(rig.settings)
        counts, folded = truth.count(log), truth.fold(rig.settings, log)
        result.events, result.rows = len(counts.seen), len(counts.closed)
        result.anomalies = len(folded.anomalies)
        result.differences = [
            *_unpublished(steps, counts),
            *audit(rig.settings, counts, folded, rig.group.ends()),
        ]


def _break(rig: Rig, plan: Plan, steps: Steps, tell: Tell) -> None:
    """Feed the workers and break things, one after the other; return when all is counted."""
    for slot in SLOTS[: plan.workers]:
        rig.start(slot)
    rig.feeder.start(steps[:DAY], 0.01)
    rig.until(lambda: sum(rig.group.committed().values()) > 0, 60, "the first commit")
    for fault, part in zip(plan.faults, _parts(steps[DAY:], len(plan.faults)), strict=True):
        rig.feeder.finish()
        rig.feeder.start(part, plan.timing.window_pace_seconds)
        started = time.monotonic()
        fault.inject(rig)
        injected = time.monotonic()
        rig.caught_up()
        tell(
            f"  {fault.name}: {fault.does} ({injected - started:.1f} s, "
            f"caught up {time.monotonic() - injected:.1f} s later)"
        )
    rig.feeder.finish()
    rig.caught_up()
    for slot in rig.running:
        rig.stop(slot)


def _unpublished(steps: Steps, counts: truth.Counts) -> list[Difference]:
    """Return what the sources did not deliver."""
    told = {record.dedup_id for step in steps for delivery in step for record in delivery.records}
    lost = told - counts.seen
    return [Difference(Kind.LOST, f"event {one.hex()} on its way to Kafka") for one in lost]


def _parts(steps: Steps, number: int) -> list[Steps]:
    """Divide steps into parts of about one length."""
    ends = [len(steps) * part // number for part in range(number + 1)]
    return [steps[first:last] for first, last in pairwise(ends)]


def _keep_logs(directory: Path, logs: Path) -> None:
    shutil.rmtree(logs, ignore_errors=True)
    for log in directory.rglob("*.log"):
        # Kafka's data files end in .log, too.
        if "data" not in log.relative_to(directory).parts:
            kept = logs / log.relative_to(directory)
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(log, kept)
