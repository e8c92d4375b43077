"""`make faults`: many seeds, one after the other, each held against truth.

It takes about an hour, goes on where it stopped as long as the code is the same, and exits with 1
when a run failed.
"""

import argparse
import logging
import signal
import sys
import time

from faults.catalogue import FAULTS
from faults.ledger import ROOT, Ledger
from faults.report import describe_plan, describe_result
from faults.run import Plan, Result, run

FOLDER = ROOT / ".make/faults"


def main() -> int:
    """Run what the command line says; return the exit code."""
    options = _options()
    # Asked to end, it takes workers and brokers with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    # A group's coordinator is away for a while in every other run.
    logging.getLogger("stamina").setLevel(logging.ERROR)
    if options.list:
        for fault in FAULTS:
            say(f"{fault.name:18} {fault.does}")
        return 0
    if options.faults:
        plans = [Plan.named(seed, options.faults) for seed in options.seed or [0]]
        results = [_run(plan) for plan in plans]
        return int(not all(result.passed for result in results))
    return _run_all(options.seed or list(range(options.seeds)), again=options.again)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="how many seeds, from 0 on")
    parser.add_argument("--seed", type=int, nargs="+", help="these seeds only")
    parser.add_argument("--faults", nargs="+", metavar="NAME", help="these faults, in this order")
    parser.add_argument("--again", action="store_true", help="run what was run already")
    parser.add_argument("--list", action="store_true", help="print every fault and end")
    return parser.parse_args()


def _run_all(seeds: list[int], *, again: bool) -> int:
    """Run the seeds that were not run with this code, and sum up."""
    ledger = Ledger(FOLDER / "ledger.json")
    if again:
        for seed in seeds:
            ledger.passed.pop(seed, None)
    started = time.monotonic()
    for seed in seeds:
        if seed not in ledger.passed:
            ledger.note(seed, passed=_run(Plan.of(seed)).passed)
            done = [seed for seed in seeds if seed in ledger.passed]
            say(f"{len(done)} of {len(seeds)} seeds run, {time.monotonic() - started:.0f} s")
    failed = [seed for seed in seeds if not ledger.passed[seed]]
    say(f"{len(seeds) - len(failed)} of {len(seeds)} seeds passed")
    if failed:
        say(f"failed: {' '.join(map(str, failed))}; again: make faults ARGS='--again --seed SEED'")
    return int(bool(failed))


def _run(plan: Plan) -> Result:
    say(describe_plan(plan))
    logs = FOLDER / f"seed-{plan.seed}"
    result = run(plan, logs, say)
    for line in describe_result(result):
        say(line)
    if not result.passed:
        say(f"  logs: {logs}")
    return result


def say(line: str) -> None:
    """Print at once: a run takes minutes, and the output may be a file."""
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
