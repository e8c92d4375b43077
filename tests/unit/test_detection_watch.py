"""The life of anomalies in one partition's detection state."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import chain, repeat

import numpy as np
import pytest

from streams.cloudtrail.record import Activity
from streams.detection.anomaly import Anomaly, Evidence, Level, State
from streams.detection.watch import Watch, WatchConfig
from streams.errors import StateError

WINDOW_MS = 300_000
START_MS = 1_767_571_200_000
DAY = 288
CONFIG = WatchConfig(app="test", window_ms=WINDOW_MS, threshold=6.0, max_series=100)
CALL = Activity(
    "111122223333", "us-east-1", "s3.amazonaws.com", "GetObject", "Data", "direct",
    "111122223333", "arn:aws:iam::111122223333:role/example", "",
)  # fmt: skip
INTERNAL = CALL._replace(
    event_source="monitoring.amazonaws.com", event_name="GetMetricData", initiator="internal"
)
OTHER = CALL._replace(principal="arn:aws:iam::111122223333:role/other")
USUAL = [20, 17, 23, 21, 18, 22, 19, 20]


class Feed:
    """Feeds a Watch window by window with counts of activities."""

    def __init__(self, config: WatchConfig = CONFIG) -> None:
        self.watch = Watch(config)
        self.window = 0

    def expire(self, watermark_ms: int) -> int:
        """Let the watermark move on; return how many series were forgotten."""
        for _ in self.watch.expire(watermark_ms):
            pass
        return len(self.watch.take_forgotten())

    def close(self, counts: dict[Activity, int]) -> list[Anomaly]:
        """Close the next window, and return what was emitted."""
        series, calls = self._sums(counts)
        for _ in self.watch.close(
            self.start_ms, series, calls, calls * 0, lambda index: self._of(index, counts)
        ):
            pass
        self.window += 1
        return self.watch.take_emitted()

    def early(self, counts: dict[Activity, int], ahead: int = 0) -> list[Anomaly]:
        """Look into the open window `ahead` of the next one to close."""
        series, calls = self._sums(counts)
        self.watch.early(
            self.start_ms + ahead * WINDOW_MS,
            series,
            calls,
            calls * 0,
            lambda index: self._of(index, counts),
        )
        return self.watch.take_emitted()

    def usual(self, windows: int, *activities: Activity) -> "Feed":
        """Close windows of ordinary counts."""
        for _ in range(windows):
            emitted = self.close(dict.fromkeys(activities, USUAL[self.window % len(USUAL)]))
            assert emitted == []
        return self

    @property
    def start_ms(self) -> int:
        return START_MS + self.window * WINDOW_MS

    def _sums(self, counts: dict[Activity, int]) -> tuple[np.ndarray, np.ndarray]:
        sums: dict[int, int] = {}
        for activity, calls in counts.items():
            for index in self.watch.resolve(activity):
                if index >= 0:
                    sums[index] = sums.get(index, 0) + calls
        return np.array([*sums], np.int64), np.array([*sums.values()], np.int64)

    def _of(self, index: int, counts: dict[Activity, int]) -> Iterable[tuple[Activity, int]]:
        return [one for one in counts.items() if index in self.watch.resolve(one[0])]


def _short(emitted: Iterable[Anomaly]) -> list[tuple[str, str, int, bool]]:
    return [(one.level, one.state, one.revision, one.provisional) for one in emitted]


def _indices(watch: Watch, activity: Activity) -> np.ndarray:
    return np.array(watch.resolve(activity))


def test_an_activity_has_a_series_on_each_level_and_shares_the_coarse_ones() -> None:
    watch = Watch(CONFIG)
    event, initiator, principal = watch.resolve(CALL)
    assert watch.resolve(CALL) == (event, initiator, principal)
    assert watch.resolve(CALL._replace(error_code="Denied")) == (event, initiator, principal)
    assert watch.resolve(OTHER)[:2] == (event, initiator)
    assert len({event, initiator, *watch.resolve(OTHER), principal}) == 4


@pytest.mark.parametrize(
    "changed",
    [
        {"initiator": "correction"},
        {"initiator": "none"},
        {"event_category": "NetworkActivity"},
        {"event_category": "Insight"},
    ],
)
def test_what_is_no_call_of_its_own_is_not_watched(changed: dict[str, str]) -> None:
    assert Watch(CONFIG).resolve(CALL._replace(**changed)) == (-1, -1, -1)


def test_an_anomaly_starts_goes_on_quietly_and_ends_after_three_quiet_windows() -> None:
    feed = Feed().usual(2 * DAY, CALL)
    starts = feed.close({CALL: 100})
    assert _short(starts) == [(level, "Start", 0, False) for level in Level]
    assert feed.close({CALL: 120}) == []
    assert feed.close({CALL: 20}) == []
    assert feed.close({}) == []
    ends = feed.close({CALL: 20})
    assert _short(ends) == [(level, "End", 1, False) for level in Level]
    assert feed.watch.open == ()


def test_the_statistics_mean_what_insights_means_by_them() -> None:
    feed = Feed().usual(2 * DAY, CALL)
    start = feed.close({CALL: 100})[0]
    assert start.baseline_average == pytest.approx(4, rel=0.05)
    assert start.baseline_low < 4 < start.baseline_high
    assert start.baseline_duration_minutes == 2 * 24 * 60
    assert (start.observed_average, start.observed_peak, start.duration_minutes) == (20, 20, 5)
    assert start.window_start_ms == START_MS + 2 * DAY * WINDOW_MS
    assert start.score >= start.threshold == 6
    feed.close({CALL: 140})
    for _ in range(3):
        end = feed.close({CALL: 20})
    assert (end[0].observed_average, end[0].observed_peak, end[0].duration_minutes) == (24, 28, 10)
    assert end[0].window_end_ms - end[0].window_start_ms == 5 * WINDOW_MS
    assert end[0].baseline_average == start.baseline_average


def test_one_incident_has_one_root() -> None:
    feed = Feed().usual(2 * DAY, INTERNAL)
    event, rate, threshold, principal = feed.close({INTERNAL: 4000})
    assert (event.type, event.parent_id) == ("ApiCallRate", "")
    assert (rate.type, rate.level) == ("InternalCallRate", Level.INITIATOR)
    assert (threshold.type, threshold.threshold) == ("Threshold", 1500)
    assert {event.anomaly_id} == {one.parent_id for one in (rate, threshold, principal)}


def test_a_coarser_anomaly_that_opens_later_becomes_the_root() -> None:
    """The principal's spike hides in the event's volume until it grows."""
    feed = Feed()
    for at in range(2 * DAY):
        feed.close({CALL: USUAL[at % 8], OTHER: 10 * USUAL[at % 8]})
    (principal,) = feed.close({CALL: 80, OTHER: 200})
    assert (principal.level, principal.parent_id) == (Level.PRINCIPAL, "")
    event, adopted, initiator = feed.close({CALL: 2000, OTHER: 200})
    assert (event.level, event.parent_id) == (Level.EVENT, "")
    assert (adopted.anomaly_id, adopted.revision) == (principal.anomaly_id, 1)
    assert (adopted.parent_id, initiator.parent_id) == (event.anomaly_id, event.anomaly_id)


def test_attributions_say_who_and_what_was_usual_for_them() -> None:
    feed = Feed().usual(2 * DAY, CALL, OTHER)
    event = feed.close({CALL: 380, OTHER: 20})[0]
    found = {(one.attribute, one.value): one for one in event.attributions}
    caller = found["principal", CALL.principal]
    assert caller.share == 0.95
    assert caller.baseline_share == pytest.approx(0.5, abs=0.02)
    assert found["initiator", "direct"].share == 1
    assert found["initiator", "direct"].baseline_share == pytest.approx(1, abs=0.02)


def test_the_surplus_is_priced_for_a_day() -> None:
    feed = Feed().usual(2 * DAY, CALL)
    event = feed.close({CALL: 100})[0]
    surplus = (event.observed_average - event.baseline_average) * 1440
    assert event.extra_dollars_per_day == pytest.approx(surplus * 0.10 / 100_000)


def test_an_early_anomaly_is_confirmed_by_its_window() -> None:
    feed = Feed().usual(2 * DAY, CALL)
    assert feed.early({CALL: 15}) == []
    early = feed.early({CALL: 90})
    assert _short(early) == [(level, "Start", 0, True) for level in Level]
    assert feed.early({CALL: 95}) == []
    confirmed = feed.close({CALL: 100})
    assert _short(confirmed) == [(level, "Start", 1, False) for level in Level]
    assert [one.anomaly_id for one in early] == [one.anomaly_id for one in confirmed]
    assert confirmed[0].observed_average == 20


def test_an_early_anomaly_that_its_window_does_not_bear_out_is_retracted() -> None:
    """The window before it closes with a spike of its own, which opens instead."""
    feed = Feed().usual(2 * DAY, CALL)
    early = feed.early({CALL: 90}, ahead=1)
    closed = feed.close({CALL: 100})
    starts = [one for one in closed if one.state is State.START]
    retracted = [one for one in closed if one.state is State.RETRACTED]
    assert _short(starts) == [(level, "Start", 0, False) for level in Level]
    assert [one.anomaly_id for one in retracted] == [one.anomaly_id for one in early]
    assert [one.superseded_by for one in retracted] == [one.anomaly_id for one in starts]
    assert {one.revision for one in retracted} == {1}


def test_an_early_anomaly_may_be_retracted_for_good() -> None:
    """The windows before it raise what is usual, so that its own count is no longer one."""
    feed = Feed(replace(CONFIG, suppressed_from=6.0)).usual(2 * DAY, CALL)
    low = min(calls for calls in range(30, 90) if feed.early({CALL: calls}, ahead=6))
    assert list(chain.from_iterable(feed.close({CALL: low - 1}) for _ in range(6))) == []
    retracted = feed.close({CALL: low})
    assert _short(retracted) == [(level, "Retracted", 1, True) for level in Level]
    assert {one.superseded_by for one in retracted} == {""}
    assert feed.watch.open == ()


def test_nothing_opens_early_while_an_anomaly_is_open() -> None:
    feed = Feed().usual(2 * DAY, CALL)
    feed.close({CALL: 100})
    assert feed.early({CALL: 500}) == []


def test_a_fixed_limit_opens_early_from_the_first_window() -> None:
    feed = Feed()
    assert feed.early({INTERNAL: 1499}) == []
    assert _short(feed.early({INTERNAL: 1500})) == [(Level.INITIATOR, "Start", 0, True)]


def test_samples_are_wanted_while_open_and_said_with_the_next_revision() -> None:
    feed = Feed().usual(2 * DAY, CALL)
    indices = _indices(feed.watch, CALL)
    assert not feed.watch.wants_evidence(indices).any()
    feed.early({CALL: 90})
    assert feed.watch.wants_evidence(indices).all()
    evidence = [Evidence(f"event-{number}", "records", 1, number, "here") for number in range(250)]
    for one in evidence:
        feed.watch.add_sample(int(indices[0]), one, "Boto3", "192.0.2.1")
    assert feed.watch.wants_evidence(indices).tolist() == [False, True, True]
    event = feed.close({CALL: 100})[0]
    assert event.evidence == tuple(evidence[:5])
    assert [
        (one.attribute, one.value, one.share)
        for one in event.attributions
        if one.attribute in ("user_agent", "address")
    ] == [("address", "192.0.2.1", 1.0), ("user_agent", "Boto3", 1.0)]


def test_between_floor_and_threshold_an_anomaly_is_recorded_but_suppressed() -> None:
    feed = Feed().usual(2 * DAY, CALL)
    quiet = feed.close({CALL: 43})
    assert {(one.suppressed, one.parent_id) for one in quiet} == {(True, "")}
    assert {4 <= one.score < 6 for one in quiet} == {True}
    crossed = feed.close({CALL: 400})
    assert {(one.suppressed, one.revision) for one in crossed} == {(False, 1)}
    assert [one.parent_id for one in crossed] == ["", *repeat(crossed[0].anomaly_id, 2)]


def test_every_start_of_a_series_raises_its_threshold_for_days() -> None:
    feed = Feed().usual(2 * DAY, CALL)
    thresholds = []
    for spike in (100, 800, 6400):
        thresholds.append(feed.close({CALL: spike})[0].threshold)
        for _ in range(60):
            feed.close({CALL: 20})
    assert thresholds == pytest.approx([6, 6.5, 7], abs=0.1)


def test_a_level_shift_becomes_usual_and_ends_by_itself() -> None:
    feed = Feed().usual(2 * DAY, CALL)
    emitted = list(chain.from_iterable(feed.close({CALL: 100}) for _ in range(DAY // 2)))
    assert [(one.level, one.state) for one in emitted] == [
        *((level, State.START) for level in Level),
        *((level, State.END) for level in Level),
    ]
    assert emitted[-1].duration_minutes < 6 * 60


def test_a_series_is_learning_for_a_day() -> None:
    feed = Feed().usual(DAY - 1, CALL)
    assert (feed.watch.learning, feed.watch.watching) == (3, 0)
    feed.usual(1, CALL)
    assert (feed.watch.learning, feed.watch.watching) == (0, 3)


def test_an_idle_series_is_forgotten_after_28_days() -> None:
    feed = Feed().usual(5, CALL)
    feed.watch.take_dirty()
    end_ms = feed.start_ms
    assert feed.expire(end_ms + 28 * DAY * WINDOW_MS - 1) == 0
    assert list(feed.watch.take_dirty()) == []
    assert feed.expire(end_ms + 28 * DAY * WINDOW_MS) == 3
    assert [value for _, value in feed.watch.take_dirty()] == [None] * 3
    assert feed.watch.learning == 0


def test_a_series_with_an_open_anomaly_is_not_forgotten() -> None:
    feed = Feed().usual(2 * DAY, CALL)
    feed.close({CALL: 100})
    assert feed.watch.open
    assert feed.expire(feed.start_ms + 40 * DAY * WINDOW_MS) == 0


def test_beyond_the_cap_the_longest_idle_series_are_forgotten() -> None:
    feed = Feed(replace(CONFIG, max_series=4))
    feed.close({CALL: 10})
    feed.close({INTERNAL: 10})
    feed.watch.take_dirty()
    assert feed.expire(feed.start_ms) == 2
    gone = [key for key, value in feed.watch.take_dirty() if value is None]
    assert len(gone) == 2
    assert all(b"GetObject" in key for key in gone)


def test_rows_that_cannot_be_read_name_the_command_that_helps() -> None:
    feed = Feed().usual(2 * DAY, CALL)
    feed.close({CALL: 100})
    rows = {key: value for key, value in feed.watch.take_dirty() if value is not None}
    baseline = next(key for key in rows if key[:1] == b"\x04")
    opened = next(key for key in rows if key[:1] == b"\x05")
    for damaged in ({baseline: b"\x01abc"}, {opened: b"\x00"}, {b"\x04\xc1": b""}):
        with pytest.raises(StateError, match="trailstreams state reset"):
            Watch(CONFIG, rows | damaged)
