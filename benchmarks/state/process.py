"""Each part of the benchmark in a process of its own: nothing is warm, nothing is left over."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict

from benchmarks.results import ROOT, Result

BENCHMARK = "state"


def result(case: str, measure: str, value: float, unit: str, **rest: float | str) -> Result:
    """Return one figure of this benchmark."""
    return Result(
        benchmark=BENCHMARK, case=case, measure=measure, value=value, unit=unit,
        **rest,  # type: ignore[arg-type]
    )  # fmt: skip


def say(results: Sequence[Result]) -> None:
    """Hand results to the process that started this one."""
    print(json.dumps([asdict(one) for one in results]))


def results_of(module: str, *arguments: str) -> list[Result]:
    """Run a module in a fresh process and return its results."""
    command = [sys.executable, "-m", f"benchmarks.state.{module}", *arguments]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return [Result(**one) for one in json.loads(done.stdout.splitlines()[-1])]
