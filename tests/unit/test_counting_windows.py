import pytest

from streams.counting.windows import NEVER, Windows
from streams.errors import ConfigurationError

FIVE_MINUTES = Windows(window_ms=300_000, amendment_ms=600_000)


def test_windows_are_half_open_and_aligned_to_the_epoch() -> None:
    assert (FIVE_MINUTES.start_ms(2), FIVE_MINUTES.end_ms(2)) == (600_000, 900_000)


@pytest.mark.parametrize(
    ("watermark_ms", "first_open", "first_kept"),
    [
        (0, 0, -2),
        (299_999, 0, -3 + 1),
        (300_000, 1, -1),
        (899_999, 2, 0),
        (900_000, 3, 1),
    ],
)
def test_a_window_closes_at_its_end_and_goes_when_the_amendment_horizon_has_passed(
    watermark_ms: int, first_open: int, first_kept: int
) -> None:
    assert first_open == FIVE_MINUTES.first_open(watermark_ms)
    assert first_kept == FIVE_MINUTES.first_kept(watermark_ms)


def test_before_the_first_progress_nothing_is_closed_or_purged() -> None:
    assert NEVER == FIVE_MINUTES.first_open(None) == FIVE_MINUTES.first_kept(None)


@pytest.mark.parametrize("window_ms", [0, -300_000, 7_000, 7_200_000])
def test_a_window_that_does_not_divide_an_hour_is_refused(window_ms: int) -> None:
    with pytest.raises(ConfigurationError, match="window_ms"):
        Windows(window_ms=window_ms, amendment_ms=0)


def test_a_negative_amendment_horizon_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="amendment_ms"):
        Windows(window_ms=300_000, amendment_ms=-1)
