"""Write docs/performance.md and its plot from the results that are kept.

Run `python -m benchmarks.report` to write them again without measuring.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from benchmarks import machine, plot
from benchmarks.results import ROOT, Result, Run, read_all

PAGE = ROOT / "docs" / "performance.md"
PLOT = ROOT / "docs" / "performance.svg"
_HEAD = """\
# Performance

Measured, not promised: `make bench` writes this page, and `make bench BENCH=engine` its part.
A goal that was missed is shown as missed.
"""


def write_page() -> Path:
    """Write the page; the plot only where the engine benchmark has run."""
    runs = list(read_all())
    speeds = plot.speeds([result for run in runs for result in run.results])
    parts = [_HEAD, _machine()]
    if speeds:
        PLOT.write_text(plot.draw(speeds), "utf-8")
        parts.append(f"![Events per CPU-second of each engine]({PLOT.name})\n")
    parts += [_goals(runs), *map(_benchmark, runs)]
    PAGE.write_text("\n".join(part for part in parts if part), "utf-8")
    return PAGE


def _machine() -> str:
    lines = [f"| {name} | {value} |" for name, value in machine.describe().items()]
    return "\n".join(("## Machine", "", "| | |", "|---|---|", *lines, ""))


def _goals(runs: Sequence[Run]) -> str:
    rows = [
        f"| {result.benchmark} | {result.case} | {result.measure} | {_value(result)} "
        f"| {_goal(result)} | {'met' if result.met else '**missed**'} |"
        for run in runs
        for result in run.results
        if result.met is not None
    ]
    if not rows:
        return ""
    head = ("| benchmark | case | measure | value | goal | |", "|---|---|---|--:|--:|---|")
    return "\n".join(("## Goals", "", *head, *rows, ""))


def _benchmark(run: Run) -> str:
    title = run.benchmark.capitalize()
    said = f"`{run.command}`, {run.seconds / 60:.0f} minutes, {run.finished_at[:10]}.\n"
    remarks = "".join(f"- {remark}\n" for remark in run.remarks)
    measured = [result for result in run.results if result.value is not None]
    parts = [f"## {title}\n", said, remarks, *_tables(measured), _notes(run.results)]
    return "\n".join(part for part in parts if part)


def _tables(results: Sequence[Result]) -> Iterator[str]:
    """Yield a table for cases of the same measures that follow each other."""
    by_case = [list(group) for _, group in groupby(results, lambda result: result.case)]
    for measures, alike in groupby(by_case, _measures):
        head = " | ".join(f"{name}, {unit}" if unit else name for name, unit in measures)
        rows = [
            f"| {case[0].case} | {' | '.join(_number(result) for result in case)} |"
            for case in alike
        ]
        rule = "|---|" + "--:|" * len(measures)
        yield "\n".join((f"| | {head} |", rule, *rows, ""))


def _measures(case: Sequence[Result]) -> list[tuple[str, str]]:
    return [(result.measure, result.unit) for result in case]


def _notes(results: Sequence[Result]) -> str:
    return "".join(f"- {result.case}: {result.note}.\n" for result in results if result.note)


def _value(result: Result) -> str:
    return f"{_number(result)} {result.unit}".strip()


def _goal(result: Result) -> str:
    parts = []
    if result.at_least is not None:
        parts.append(f"≥ {_figure(result.at_least)}")
    if result.at_most is not None:
        parts.append(f"≤ {_figure(result.at_most)}")
    return " and ".join(parts)


def _number(result: Result) -> str:
    return "" if result.value is None else _figure(result.value)


def _figure(value: float) -> str:
    """Return three digits that matter, with separators from a thousand on."""
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


if __name__ == "__main__":
    print(write_page().relative_to(ROOT))
