"""From single runs to results: medians, ratios and goals."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import median

from benchmarks.engine.runs import Measured
from benchmarks.results import Result

PURE, COMPILED = "worker", "worker-compiled"
OURS = (PURE, COMPILED, "worker-counting-only")
RIVAL, ANCESTOR = "kafka-streams-exactly-once", "stock-faust"
GOALED = "usual"
RATES = {PURE: 150_000, COMPILED: 250_000}
RATIOS = {RIVAL: 3.0, ANCESTOR: 50.0}
_SPEED = "events per CPU-second"
_LATE_SPEED = "events per CPU-second, last half"


def results(runs: Sequence[Measured], not_run: Mapping[str, str]) -> Iterator[Result]:
    """Yield medians over rounds by input and engine, then how many times faster the worker is."""
    for name in dict.fromkeys(run.input for run in runs):
        of_input = [run for run in runs if run.input == name]
        for engine in dict.fromkeys(run.engine for run in of_input):
            yield from _of_engine(name, engine, [r for r in of_input if r.engine == engine])
        for ours in (PURE, COMPILED):
            yield from _ratios(name, ours, of_input)
    for engine, reason in not_run.items():
        yield _result(engine, _SPEED, None, "1/s", note=f"not run: {reason}")


def _of_engine(name: str, engine: str, runs: Sequence[Measured]) -> Iterator[Result]:
    case = f"{name}: {engine}"
    wrong = max(run.wrong_windows for run in runs)
    note = f"{wrong} windowed keys are WRONG" if wrong else ""
    goal = RATES.get(engine) if name == GOALED else None
    yield _result(case, _SPEED, _speed(runs), "1/s", at_least=goal, note=note)
    if late := _late_speed(runs):
        yield _result(case, _LATE_SPEED, late, "1/s")
    yield _result(case, "CPU time", median(run.cpu_seconds for run in runs), "s")
    yield _result(case, "elapsed time", median(run.wall_seconds for run in runs), "s")
    yield _result(case, "peak memory", median(run.peak_bytes for run in runs) / 1e6, "MB")
    yield _result(case, "records", runs[0].records, "")
    yield _result(case, "wrong windowed keys", wrong, "", at_most=0 if engine in OURS else None)


def _ratios(name: str, ours: str, runs: Sequence[Measured]) -> Iterator[Result]:
    mine = [run for run in runs if run.engine == ours]
    for other, goal in RATIOS.items():
        theirs = [run for run in runs if run.engine == other]
        if not (mine and theirs):
            continue
        wanted = goal if name == GOALED else None
        case = f"{name}: {ours} / {other}"
        yield _result(case, _SPEED, _speed(mine) / _speed(theirs), "x", at_least=wanted)
        late = _late_speed(theirs)
        if late and _late_speed(mine):
            ratio = _late_speed(mine) / late
            yield _result(case, _LATE_SPEED, ratio, "x", at_least=wanted)


def _speed(runs: Sequence[Measured]) -> float:
    return median(run.per_cpu_second for run in runs)


def _late_speed(runs: Sequence[Measured]) -> float:
    return median(run.late_per_cpu_second for run in runs)


def _result(  # noqa: PLR0913 - a row of the table
    case: str,
    measure: str,
    value: float | None,
    unit: str,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    note: str = "",
) -> Result:
    return Result(
        benchmark="engine",
        case=case,
        measure=measure,
        value=value,
        unit=unit,
        at_least=at_least,
        at_most=at_most,
        note=note,
    )
