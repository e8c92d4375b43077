"""What a baseline learns, forgets and calls usual."""

import numpy as np
import pytest

from streams.detection.baseline import advance, learn, pass_window, usual
from streams.detection.pace import Moment, Pace
from streams.detection.row import Rows, fresh_rows
from streams.detection.surprise import score

PACE = Pace.of(300_000)
MONDAY = 1_767_571_200_000 // 300_000


def _step(rows: Rows, window: int, calls: list[float]) -> np.ndarray:
    moment, counts = Moment.of(window, PACE), np.array(calls)
    advance(rows, moment)
    scored = score(rows, counts, moment)
    pass_window(rows, counts, moment)
    learn(rows, counts, scored, np.zeros(len(calls), np.bool_), moment)
    return scored.surprise


def _learned(pattern: list[int], windows: int) -> Rows:
    rows = fresh_rows(1)
    rows["first"], rows["last"] = MONDAY, MONDAY - 1
    for at in range(windows):
        count = pattern[at % len(pattern)]
        if count:
            _step(rows, MONDAY + at, [count])
    return rows


def test_rates_are_times_not_windows() -> None:
    """Five windows of a minute forget as much as one of five minutes."""
    minute, five = Pace.of(60_000), Pace.of(300_000)
    assert (1 - minute.fast) ** 5 == pytest.approx(1 - five.fast)
    assert (minute.day, minute.quiet, five.quiet) == (1440, 15, 3)
    assert Pace.of(3_600_000).quiet == 1


def test_a_window_is_placed_in_the_week_by_its_middle() -> None:
    monday, saturday = Moment.of(MONDAY, PACE), Moment.of(MONDAY + 5 * 288, PACE)
    assert (monday.hour, monday.weekend) == (pytest.approx(2.5 / 60), False)
    assert saturday.weekend
    assert not Moment.of(MONDAY + 7 * 288, PACE).weekend


def test_the_level_is_learned() -> None:
    rows = _learned([20, 18, 22], 576)
    moment = Moment.of(MONDAY + 576, PACE)
    expected = usual(rows, score(rows, np.array([20.0]), moment), PACE)
    assert expected.average[0] == pytest.approx(20, rel=0.05)
    assert 10 < expected.low[0] < 20 < expected.high[0] < 30


def test_a_series_with_calls_in_few_windows_has_a_small_average_and_no_lower_bound() -> None:
    rows = _learned([12, 0, 0, 0], 576)
    moment = Moment.of(MONDAY + 576, PACE)
    expected = usual(rows, score(rows, np.array([12.0]), moment), PACE)
    assert expected.average[0] == pytest.approx(3, rel=0.15)
    assert expected.low[0] == 0


def test_surprise_grows_with_the_count() -> None:
    rows = _learned([20, 18, 22, 19, 23, 16, 25], 576)
    moment = Moment.of(MONDAY + 576, PACE)
    many = rows.repeat(5)
    scores = score(many, np.array([15.0, 25.0, 40.0, 60.0, 200.0]), moment).surprise
    assert (np.diff(scores) >= 0).all()
    assert scores[0] == 0
    assert scores[3] > 6


def test_the_hour_of_the_day_is_learned() -> None:
    """After a week of busy noons a busy noon is expected; the same count at night is not."""
    by_hour = [10 if hour < 10 or hour > 14 else 40 for hour in range(24)]
    rows = _learned([count for count in by_hour for _ in range(12)], 5 * 288)
    noon = Moment.of(MONDAY + 7 * 288 + 12 * 12 + 6, PACE)
    night = Moment.of(MONDAY + 7 * 288 + 3 * 12 + 6, PACE)
    at_noon, at_night = (score(rows, np.array([41.0]), when) for when in (noon, night))
    assert at_noon.slow[0] > 2 * at_night.slow[0]
    assert at_noon.surprise[0] < 2 < at_night.surprise[0]


def test_windows_without_calls_decay_in_closed_form() -> None:
    rows = _learned([20, 18, 22], 300)
    windows, busy = float(rows["windows"][0]), float(rows["busy"][0])
    for _ in range(99):
        windows = windows * (1 - PACE.occupancy) + 1
        busy *= 1 - PACE.occupancy
    advance(rows, Moment.of(MONDAY + 399, PACE))
    assert rows["windows"][0] == pytest.approx(windows, rel=1e-5)
    assert rows["busy"][0] == pytest.approx(busy, rel=1e-5)


def test_hours_without_calls_forget_their_peak_by_a_quarter_each_day() -> None:
    rows = _learned([20], 288)
    before = rows["peaks"][0].astype(float)
    # The last hour's own peak is folded in, the two days after it are empty.
    advance(rows, Moment.of(MONDAY + 288 + 48 * 12, PACE))
    after = rows["peaks"][0]
    assert (before[:23] > 20).all()
    np.testing.assert_allclose(after[:23], before[:23] * 0.75**2, atol=1)
    assert rows["hour_peak"][0] == 0


def test_a_spike_moves_the_baseline_by_a_few_deviations_at_most() -> None:
    rows = _learned([20, 18, 22, 19, 23, 16, 25], 576)
    before = float(rows["fast"][0])
    _step(rows, MONDAY + 576, [100_000.0])
    assert rows["fast"][0] < before * 1.1
