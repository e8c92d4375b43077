"""What is said of runs, for people."""

from collections import Counter
from collections.abc import Iterator, Sequence

from faults.audit import Difference, Kind
from faults.run import Plan, Result

_MOST_LINES = 20


def describe_plan(plan: Plan) -> str:
    """Return a run's line before it begins."""
    kind = "static" if plan.needs.static else "dynamic"
    faults = ", ".join(fault.name for fault in plan.faults)
    return (
        f"seed {plan.seed}: {_many(plan.needs.brokers, 'broker')}, "
        f"{_many(plan.workers, f'{kind} worker')}: {faults}"
    )


def describe_result(result: Result) -> Iterator[str]:
    """Yield what came out of a run; of a failed one its seed, faults and differences."""
    yield (
        f"seed {result.plan.seed}: {'passed' if result.passed else 'FAILED'} in "
        f"{result.seconds:.0f} s: {result.events} events, {result.rows} rows, "
        f"{result.anomalies} anomalies, {_tally(result.differences)}"
    )
    if result.passed:
        return
    yield describe_plan(result.plan)
    if result.failure:
        yield f"  {result.failure}"
    yield from (f"  {difference}" for difference in result.differences[:_MOST_LINES])
    if (more := len(result.differences) - _MOST_LINES) > 0:
        yield f"  and {_many(more, 'more difference')}"


def _tally(differences: Sequence[Difference]) -> str:
    kinds = Counter(difference.kind for difference in differences)
    return ", ".join(f"{kinds[kind]} {kind}" for kind in Kind)


def _many(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"
