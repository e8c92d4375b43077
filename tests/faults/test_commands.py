"""The long runs are not part of `make test`; that their commands start is."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("target", ["faults", "soak"])
def test_make_starts_it(target: str) -> None:
    said = subprocess.run(
        ["make", "--no-print-directory", "--dry-run", target, "ARGS=--help"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    command = said.stdout.splitlines()[-1]
    started = subprocess.run(
        ["sh", "-c", command], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert started.stdout.startswith("usage: "), started.stderr
