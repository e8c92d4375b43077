"""The short form of `make faults`, first half: workers that die, freeze and come back."""

from pathlib import Path

import pytest

from faults.report import describe_result
from faults.run import Plan, run
from faults.timing import SHORT

FAULTS = (
    "kill",
    "kill-inside",
    "freeze-inside",
    "kill-at-the-end",
    "fail-inside",
    "scale",
    "freeze",
    "fail-at-the-end",
    "freeze-at-the-end",
)


@pytest.mark.timeout(900)
def test_nothing_is_wrong_lost_or_repeated_when_workers_fail(tmp_path: Path) -> None:
    result = run(Plan.named(1, FAULTS, SHORT), tmp_path)
    assert result.passed, "\n".join(describe_result(result))
    assert result.rows > 5_000
    assert result.anomalies > 10
