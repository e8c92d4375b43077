"""What every benchmark leaves behind: one JSON file of results, for `benchmarks/report.py`.

A benchmark is a module `benchmarks/<name>.py` or a package `benchmarks/<name>/` with a `__main__`,
is run as `python -m benchmarks.<name>` from the root of the checkout, and ends with `write`.
"""

import json
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
DIRECTORY = ROOT / ".make" / "bench"
"""Results, logs and whatever else a benchmark needs; ignored by git."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One measured figure, with its goal if it has one."""

    benchmark: str
    """Name of the benchmark, for example `engine`."""
    case: str
    """What was measured: an engine, an input, a variant."""
    measure: str
    """The quantity, for example `events per CPU-second`."""
    value: float | None
    """None where it was not run; `note` then says why."""
    unit: str
    """`1/s`, `s`, `ms`, `MB`, `B`, `us`, or empty for a plain number."""
    at_least: float | None = None
    """The goal where more is better."""
    at_most: float | None = None
    """The goal where less is better."""
    note: str = ""
    """What a reader must know of this figure, for example why a goal was missed."""

    @property
    def met(self) -> bool | None:
        """Whether the goal was met; None without a goal or a value."""
        if self.value is None or (self.at_least is None and self.at_most is None):
            return None
        enough = self.at_least is None or self.value >= self.at_least
        return enough and (self.at_most is None or self.value <= self.at_most)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """All results of one run of a benchmark."""

    benchmark: str
    command: str
    """What gives these figures again."""
    finished_at: str
    """UTC, ISO 8601."""
    seconds: float
    """How long the run took."""
    remarks: tuple[str, ...]
    """How it was measured, a sentence each; shown above the table."""
    results: tuple[Result, ...]


def write(
    benchmark: str, results: Sequence[Result], *, seconds: float, remarks: Sequence[str] = ()
) -> Path:
    """Keep the results of a finished run, in place of the previous run's."""
    run = Run(
        benchmark=benchmark,
        command=shlex.join(["python", "-m", f"benchmarks.{benchmark}", *sys.argv[1:]]),
        finished_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        seconds=seconds,
        remarks=tuple(remarks),
        results=tuple(results),
    )
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    path = DIRECTORY / f"{benchmark}.json"
    path.write_text(json.dumps(asdict(run), indent=1) + "\n", "utf-8")
    return path


def read_all() -> Iterator[Run]:
    """Yield every benchmark's latest run, by name."""
    for path in sorted(DIRECTORY.glob("*.json")):
        kept = json.loads(path.read_text("utf-8"))
        kept["results"] = tuple(Result(**result) for result in kept["results"])
        yield Run(**kept)
