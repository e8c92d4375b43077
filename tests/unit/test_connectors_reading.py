"""`up_to` as a function of the input read."""

from hypothesis import given
from hypothesis import strategies as st

from streams.counting.reading import DAY_MS, Reading, Standing, median_ms

MINUTE_MS = 60_000
NOON_MS = 1_700_000_100_000 // 300_000 * 300_000


def reading(standing: Standing | None = None) -> Reading:
    return Reading(window_ms=5 * MINUTE_MS, lateness_ms=10 * MINUTE_MS, standing=standing)


def test_up_to_is_the_newest_stamp_minus_the_lateness() -> None:
    assert reading().finish([NOON_MS], stamp_ms=NOON_MS + MINUTE_MS) == NOON_MS - 9 * MINUTE_MS


def test_up_to_is_said_only_when_it_passes_the_end_of_a_window() -> None:
    # stamps  12:00  12:04  12:05  12:03  12:15
    # up_to   11:50  11:54  11:55  11:55  12:05
    # said    11:50         11:55         12:05
    source = reading()
    said = [source.finish([], stamp_ms=NOON_MS + minute * MINUTE_MS) for minute in (0, 4, 5, 3, 15)]
    assert said == [
        NOON_MS + m * MINUTE_MS if m is not None else None for m in (-10, None, -5, None, 5)
    ]


def test_the_median_event_time_stands_for_a_missing_stamp() -> None:
    times = [NOON_MS, NOON_MS + MINUTE_MS, NOON_MS + 90 * MINUTE_MS]
    assert reading().finish(times, stamp_ms=None) == NOON_MS + MINUTE_MS - 10 * MINUTE_MS


def test_an_object_without_records_and_stamp_moves_nothing() -> None:
    source = reading()
    source.finish([], stamp_ms=NOON_MS)
    assert source.finish([], stamp_ms=None) is None
    assert source.standing.up_to_ms == NOON_MS - 10 * MINUTE_MS


def test_complete_closes_the_window_of_the_newest_event() -> None:
    source = reading()
    source.finish([NOON_MS + 1, NOON_MS - 1], stamp_ms=NOON_MS + MINUTE_MS)
    assert source.complete() == NOON_MS + 5 * MINUTE_MS


def test_complete_closes_the_window_that_an_event_on_the_edge_begins() -> None:
    source = reading()
    source.finish([NOON_MS], stamp_ms=NOON_MS)
    assert source.complete() == NOON_MS + 5 * MINUTE_MS


def test_complete_ignores_events_more_than_a_day_past_the_newest_stamp() -> None:
    source = reading()
    source.finish([NOON_MS, NOON_MS + DAY_MS + 1], stamp_ms=NOON_MS)
    assert source.complete() == NOON_MS + 5 * MINUTE_MS


def test_a_newer_stamp_admits_an_event_that_was_too_far_ahead() -> None:
    source = reading()
    ahead_ms = NOON_MS + DAY_MS + 5 * MINUTE_MS
    source.finish([NOON_MS, ahead_ms], stamp_ms=NOON_MS)
    source.finish([NOON_MS], stamp_ms=NOON_MS + 6 * MINUTE_MS)
    assert source.complete() == ahead_ms + 5 * MINUTE_MS


def test_complete_says_nothing_of_nothing() -> None:
    assert reading().complete() is None


def test_complete_says_nothing_twice() -> None:
    source = reading()
    source.finish([NOON_MS], stamp_ms=NOON_MS)
    source.complete()
    assert source.complete() is None


FILES = st.lists(
    st.tuples(
        st.lists(st.integers(NOON_MS, NOON_MS + 3 * DAY_MS), max_size=5),
        st.none() | st.integers(NOON_MS, NOON_MS + 2 * DAY_MS),
    ),
    max_size=8,
)


@given(files=FILES, cut=st.integers(0, 8))
def test_a_process_that_takes_over_says_what_one_process_would_have_said(
    files: list[tuple[list[int], int | None]], cut: int
) -> None:
    whole, first = reading(), reading()
    expected = [whole.finish(times, stamp_ms=stamp) for times, stamp in files]
    said = [first.finish(times, stamp_ms=stamp) for times, stamp in files[:cut]]
    second = reading(first.standing)
    said += [second.finish(times, stamp_ms=stamp) for times, stamp in files[cut:]]
    assert said == expected
    assert second.standing.up_to_ms == whole.standing.up_to_ms


@given(files=FILES)
def test_what_is_said_never_goes_back(files: list[tuple[list[int], int | None]]) -> None:
    source = reading()
    said = [source.finish(times, stamp_ms=stamp) for times, stamp in files]
    said.append(source.complete())
    spoken = [up_to for up_to in said if up_to is not None]
    assert spoken == sorted(set(spoken))


def test_the_median_of_an_even_number_is_the_lower_one() -> None:
    assert median_ms([4, 1, 3, 2]) == 2
