"""The short form of `make faults`, second half: brokers and networks, and workers they bury."""

from pathlib import Path

import pytest

from faults.report import describe_result
from faults.run import Plan, run
from faults.timing import SHORT

FAULTS = (
    "slow-network",
    "kill-broker",
    "cut-network",
    "roll",
    "silent-network",
    "compact",
    "pause-broker",
    "reset-network",
    "kill-twice",
)


@pytest.mark.timeout(900)
def test_nothing_is_wrong_lost_or_repeated_when_kafka_fails(tmp_path: Path) -> None:
    result = run(Plan.named(2, FAULTS, SHORT), tmp_path)
    assert result.passed, "\n".join(describe_result(result))
    assert result.rows > 5_000
    assert result.anomalies > 10
