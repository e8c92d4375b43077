"""The rate detector at the default threshold, on labelled series it was not tuned on."""

from collections import Counter

import numpy as np
import pytest
from labelled import Labelled, anomalies, labelled

from streams.detection.anomaly import Anomaly
from streams.settings import Settings

SEEDS = (101, 102, 103)
STEADY_OR_DIURNAL = (0, 1)
BUSY = 15


@pytest.fixture(scope="module")
def runs() -> list[tuple[Labelled, list[Anomaly]]]:
    threshold = Settings.model_fields["anomaly_threshold"].default
    data = [labelled(seed) for seed in SEEDS]
    return [
        (one, [found for found in anomalies(one.counts, threshold) if not found.suppressed])
        for one in data
    ]


def _row(anomaly: Anomaly) -> int:
    return int(anomaly.event_name.removeprefix("Call"))


def test_spikes_of_busy_series_are_found(runs: list[tuple[Labelled, list[Anomaly]]]) -> None:
    """Recall by magnitude; twice the usual is not promised."""
    injected: Counter[float] = Counter()
    found: Counter[float] = Counter()
    for data, told in runs:
        for spike in data.spikes:
            busy = np.median(data.counts[spike.series]) >= BUSY
            if busy and spike.series % 5 in STEADY_OR_DIURNAL:
                injected[spike.factor] += 1
                found[spike.factor] += any(
                    _row(one) == spike.series and spike.overlaps(one) for one in told
                )
    assert min(injected.values()) >= 20
    recall = {factor: found[factor] / injected[factor] for factor in injected}
    assert recall[3] >= 0.5
    assert recall[5] >= 0.9
    assert recall[10] == 1


def test_few_starts_are_false(runs: list[tuple[Labelled, list[Anomaly]]]) -> None:
    """At most 2 for 1,000 series and days, over steady, diurnal, sparse and hourly series."""
    series_days = sum(data.counts.size for data, _ in runs) / 288
    false = [
        one
        for data, told in runs
        for one in told
        if _row(one) not in data.shifted
        and not any(_row(one) == spike.series and spike.overlaps(one) for spike in data.spikes)
    ]
    assert len(false) / series_days <= 0.002


def test_a_shifted_level_starts_rarely_and_ends_by_itself(
    runs: list[tuple[Labelled, list[Anomaly]]],
) -> None:
    shifts = sum(len(data.shifted) for data, _ in runs)
    starts = [one for data, told in runs for one in told if _row(one) in data.shifted]
    assert len(starts) <= 0.15 * shifts
    assert {one.state for one in starts} <= {"End"}
