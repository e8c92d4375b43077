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


# A known failure: in one run of six a worker that opened a partition, after a broker was killed,
# saw the source log end before its committed position and refused. Nothing was counted wrongly;
# why the end went back is not known yet. Not strict, because it passes in other runs.
@pytest.mark.xfail(reason="the source log's end is sometimes before the committed position")
@pytest.mark.timeout(900)
def test_nothing_is_wrong_lost_or_repeated_when_kafka_fails(tmp_path: Path) -> None:
    result = run(Plan.named(2, FAULTS, SHORT), tmp_path)
    assert result.passed, "\n".join(describe_result(result))
    assert result.rows > 5_000
    assert result.anomalies > 10
