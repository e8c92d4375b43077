"""Definitive detection is a fold over closed windows: nothing else has any influence on it."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.cloudtrail.record import Activity
from streams.detection.anomaly import Anomaly, Evidence
from streams.detection.watch import Watch, WatchConfig

WINDOW_MS = 900_000
DAY = 96
START_MS = 1_767_571_200_000
# A low threshold: many anomalies in little traffic.
CONFIG = WatchConfig(
    app="test", window_ms=WINDOW_MS, threshold=2.5, max_series=100, suppressed_from=1.5
)
ACTIVITIES = [
    Activity(
        "111122223333", "us-east-1", "monitoring.amazonaws.com", f"Get{api}", "Data", initiator,
        "111122223333", principal, "",
    )
    for api in ("MetricData", "Dashboard")
    for initiator in ("internal", "direct")
    for principal in ("example", "other")
]  # fmt: skip


def _counts(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    windows = DAY + DAY // 2
    level = rng.choice([0.2, 3.0, 30.0, 200.0], len(ACTIVITIES))
    counts = rng.poisson(level * rng.gamma(20, 1 / 20, (windows, len(level))))
    for _ in range(6):
        first, row = rng.integers(DAY, windows), rng.integers(len(level))
        counts[first : first + rng.integers(1, 12), row] *= rng.integers(2, 60)
    counts[rng.integers(0, windows, 5)] = 0
    return counts


class Run:
    """One partition's detection, and its changelog as compaction would keep it."""

    def __init__(self, order: Iterable[Activity] = ACTIVITIES) -> None:
        self.watch = Watch(CONFIG)
        self.order = list(order)
        self.rows: dict[bytes, bytes] = {}
        self.emitted: list[Anomaly] = []

    def sums(self, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        by_series: dict[int, int] = {}
        for activity in self.order:
            calls = int(counts[ACTIVITIES.index(activity)])
            for index in self.watch.resolve(activity):
                by_series[index] = by_series.get(index, 0) + calls
        nonzero = {index: calls for index, calls in by_series.items() if calls}
        return np.array([*nonzero], np.int64), np.array([*nonzero.values()], np.int64)

    def breakdown(self, index: int, counts: np.ndarray) -> list[tuple[Activity, int]]:
        pairs = zip(ACTIVITIES, counts.tolist(), strict=True)
        return [one for one in pairs if one[1] and index in self.watch.resolve(one[0])]

    def close(self, at: int, counts: np.ndarray) -> None:
        series, calls = self.sums(counts)
        start_ms = START_MS + at * WINDOW_MS
        for _ in self.watch.close(
            start_ms, series, calls, calls * 0, lambda index: self.breakdown(index, counts)
        ):
            pass
        self.keep()

    def early(self, at: int, counts: np.ndarray) -> None:
        series, calls = self.sums(counts)
        start_ms = START_MS + at * WINDOW_MS
        self.watch.early(
            start_ms, series, calls, calls * 0, lambda index: self.breakdown(index, counts)
        )
        for index in series[self.watch.wants_evidence(series)].tolist():
            self.watch.add_sample(index, Evidence("id", "records", 0, at, "here"), "agent", "")
        self.keep()

    def keep(self) -> None:
        self.emitted += self.watch.take_emitted()
        for key, value in self.watch.take_dirty():
            if value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = value

    def restart(self) -> None:
        self.watch = Watch(CONFIG, dict(reversed(self.rows.items())))


def _definitive(emitted: Iterable[Anomaly]) -> list[Anomaly]:
    return [
        replace(one, revision=0, evidence=(), attributions=())
        for one in emitted
        if not one.provisional
    ]


@given(st.integers(0, 10_000))
@settings(max_examples=8, deadline=None)
def test_a_restart_after_every_window_changes_nothing(seed: int) -> None:
    kept, restarted = Run(), Run()
    for at, counts in enumerate(_counts(seed)):
        kept.close(at, counts)
        restarted.close(at, counts)
        restarted.restart()
        assert (kept.watch.learning, kept.watch.watching) == (
            restarted.watch.learning,
            restarted.watch.watching,
        )
    assert kept.emitted == restarted.emitted
    assert kept.rows == restarted.rows


@given(st.integers(0, 10_000), st.data())
@settings(max_examples=8, deadline=None)
def test_looking_early_changes_nothing_definitive(seed: int, data: st.DataObject) -> None:
    kept, eager = Run(), Run()
    counts = _counts(seed)
    for at, now in enumerate(counts):
        if at >= DAY:
            for ahead in range(2):
                share = data.draw(st.sampled_from([0.0, 0.5, 1.0]))
                if at + ahead < len(counts):
                    eager.early(at + ahead, (counts[at + ahead] * share).astype(np.int64))
            if data.draw(st.booleans()):
                eager.restart()
        kept.close(at, now)
        eager.close(at, now)
    assert _definitive(kept.emitted) == _definitive(eager.emitted)
    assert kept.rows.keys() <= eager.rows.keys()
    last = {one.anomaly_id: one for one in eager.emitted}
    assert all(not one.provisional or one.state != "Start" for one in last.values())
    revisions: dict[str, list[int]] = {}
    for one in eager.emitted:
        revisions.setdefault(one.anomaly_id, []).append(one.revision)
    assert all(found == list(range(len(found))) for found in revisions.values())


@given(st.integers(0, 10_000), st.permutations(ACTIVITIES))
@settings(max_examples=8, deadline=None)
def test_the_order_in_which_series_were_first_seen_changes_nothing(
    seed: int, order: list[Activity]
) -> None:
    one, other = Run(), Run(order)
    for at, counts in enumerate(_counts(seed)):
        one.close(at, counts)
        other.close(at, counts)
    assert one.emitted == other.emitted
    assert one.rows == other.rows


def test_the_traffic_of_these_tests_has_anomalies() -> None:
    run = Run()
    for at, counts in enumerate(_counts(1)):
        run.close(at, counts)
    assert {"ApiCallRate", "InternalCallRate"} <= {one.type for one in run.emitted}
    assert {"Start", "End"} <= {str(one.state) for one in run.emitted}
    assert {True, False} == {one.suppressed for one in run.emitted}
