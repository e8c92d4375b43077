"""Run all benchmarks, or those named, and write docs/performance.md anew.

`python -m benchmarks [NAME…] [-- OPTION…]`; options behind `--` go to each benchmark.
"""

import subprocess
import sys

from benchmarks import report
from benchmarks.results import ROOT

NAMES = ("source", "state", "scan", "latency", "engine")


def main() -> None:
    """Run them one after the other; a failed one keeps its old results and fails the command."""
    names, options = _split(sys.argv[1:])
    there = [name for name in NAMES if _is_there(name)]
    if unknown := set(names) - set(there):
        raise SystemExit(f"error: no benchmark {', '.join(sorted(unknown))}: {', '.join(there)}")
    failed = []
    for name in names or there:
        print(f"--- {name}", flush=True)
        command = [sys.executable, "-m", f"benchmarks.{name}", *options]
        if subprocess.run(command, cwd=ROOT, check=False).returncode:
            failed.append(name)
    print(f"--- {report.write_page().relative_to(ROOT)}")
    if failed:
        raise SystemExit(f"error: failed: {', '.join(failed)}")


def _is_there(name: str) -> bool:
    folder = ROOT / "benchmarks"
    return (folder / f"{name}.py").exists() or (folder / name / "__main__.py").exists()


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    at = arguments.index("--") if "--" in arguments else len(arguments)
    return arguments[:at], arguments[at + 1 :]


if __name__ == "__main__":
    main()
