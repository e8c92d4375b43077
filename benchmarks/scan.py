"""Measure `trailstreams scan`: records a second of wall time, by the number of processes.

Run `python -m benchmarks.scan`. The clock runs from before the listing of the files to the last
close, the start of the reading processes included.
"""

import argparse
import hashlib
import json
import os
import resource
import statistics
import subprocess
import sys
import time

from benchmarks import trails
from benchmarks.results import ROOT, Result, write
from streams.connectors.processes import usable_processors
from streams.scan import Findings, Scan
from streams.settings import load_settings

GOAL_RECORDS_A_SECOND = 50_000
"""On two processors."""
ROUNDS = 3


def cpu_seconds() -> float:
    """Return the CPU time of this process and of its children that ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def digest(findings: Findings) -> str:
    """Return what tells two scans' findings apart."""
    parts = [repr(sorted(findings.counts.items())), repr(sorted(findings.anomalies.items()))]
    parts.append(repr((findings.seen, findings.counted, findings.filtered, findings.duplicates)))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def scan(path: str, processes: int) -> None:
    """Scan once and print what it took as JSON."""
    cpu, began = cpu_seconds(), time.monotonic()
    findings = Scan(load_settings({})).run([path], processes=processes)
    wall, cpu = time.monotonic() - began, cpu_seconds() - cpu
    said = {"seen": findings.seen, "wall": wall, "cpu": cpu, "digest": digest(findings)}
    print(json.dumps(said))


def child(path: str, processes: int) -> dict[str, float]:
    """Scan in a process of its own, so that nothing is remembered."""
    command = [sys.executable, "-m", "benchmarks.scan", "--scan", path, str(processes)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    said: dict[str, float] = json.loads(done.stdout)
    return said


def measure(trail: trails.Trail, rounds: int) -> list[Result]:
    """Return a trail's figures with one process and with one a processor."""
    path = str(trails.make(trail))
    counts = sorted({1, min(2, usable_processors())})
    runs: dict[int, list[dict[str, float]]] = {processes: [] for processes in counts}
    for _ in range(rounds):
        for processes in counts:
            runs[processes].append(child(path, processes))
    digests = {run["digest"] for group in runs.values() for run in group}
    assert len(digests) == 1, "findings depend on the number of processes"
    found = []
    for processes, group in runs.items():
        files = f"{trail.name} ({trail.description})"
        case = f"{files}, {processes} {'process' if processes == 1 else 'processes'}"
        at_least = GOAL_RECORDS_A_SECOND if processes == 2 and trail is trails.LONG else None
        for name, key, goal in (
            ("records a second", "wall", at_least),
            ("records a CPU-second", "cpu", None),
        ):
            value = statistics.median(run["seen"] / run[key] for run in group)
            found.append(
                Result(
                    benchmark="scan",
                    case=case,
                    measure=name,
                    value=value,
                    unit="1/s",
                    at_least=goal,
                )
            )
    return found


def main() -> None:
    """Measure, print, and keep the results; or scan once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scan", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    given = parser.parse_args()
    if given.scan:
        scan(given.scan[0], int(given.scan[1]))
        return
    began = time.monotonic()
    found = [one for trail in (trails.SMALL, trails.LONG) for one in measure(trail, given.rounds)]
    for one in found:
        met = "" if one.met is None else "  met" if one.met else "  missed"
        print(f"{one.case:48} {one.measure:24} {one.value:12,.0f} {one.unit}{met}")
    busy = os.getloadavg()[0]
    write(
        "scan",
        found,
        seconds=time.monotonic() - began,
        remarks=(
            f"Medians of {given.rounds} rounds; the numbers of processes take turns.",
            "All rounds found the same counts and anomalies.",
            f"{usable_processors()} processors; load average at the end {busy:.1f}.",
            "Where the load is beyond the processors, wall time measures the neighbors too.",
        ),
    )


if __name__ == "__main__":
    main()
