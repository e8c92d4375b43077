"""`source synthetic` without Kafka: its clock, its words, its end."""

from threading import Event

import pytest
from sources import MINUTE_MS, Kept

from streams.cloudtrail.record import Rejected, TrailRecord
from streams.connectors import synthetic
from streams.connectors.synthetic import Synthetic, SyntheticOptions
from streams.errors import ConfigurationError
from streams.settings import load_settings

NOW_SECONDS = 1_767_614_512.5
"""2026-01-05T12:01:52.5Z"""
HOUR_MS = 60 * MINUTE_MS


class Clock(Event):
    """Seconds that pass while somebody waits; `stop` is never set unless the test does."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = NOW_SECONDS
        self.waits = 0
        self.stop_after: int | None = None

    def __call__(self) -> float:
        return self.seconds

    def wait(self, timeout: float | None = None) -> bool:
        self.seconds += timeout or 0.0
        self.waits += 1
        if self.waits == self.stop_after:
            self.set()
        return self.is_set()


class Watched(Kept):
    """Notes the clock with each Progress."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.said: list[tuple[float, int]] = []
        self._clock = clock

    def progress(self, up_to_ms: int) -> None:
        super().progress(up_to_ms)
        self.said.append((self._clock.seconds, up_to_ms))


def source(clock: Clock, **options: object) -> Synthetic:
    given = {"scenario": "organisation", "days": 2 / 24, **options}
    return Synthetic(
        SyntheticOptions(**given),  # type: ignore[arg-type]
        load_settings({}),
        advance=lambda _done, _total: None,
        now=clock,
    )


def run(clock: Clock, **options: object) -> Watched:
    outlet = Watched(clock)
    source(clock, **options).run(outlet, clock)
    return outlet


def times(outlet: Kept) -> list[int]:
    return [r.event_time_ms for r in outlet.of(TrailRecord) if isinstance(r, TrailRecord)]


def test_caught_up_without_a_limit_it_ends_without_waiting() -> None:
    clock = Clock()
    outlet = run(clock, until_caught_up=True)
    assert clock.waits == 0
    assert outlet.tally.seen > 1000
    assert outlet.of(Rejected) == []


def test_its_events_lie_in_the_days_asked_for_and_never_after_now() -> None:
    found = times(run(Clock(), until_caught_up=True))
    now_ms = int(NOW_SECONDS * 1000)
    assert now_ms - 2 * HOUR_MS - 20 * MINUTE_MS <= min(found)
    assert max(found) <= now_ms
    assert max(found) - min(found) > 1.9 * HOUR_MS


def test_the_same_seed_is_the_same_traffic_and_another_is_other() -> None:
    def ids(seed: int) -> list[bytes]:
        found = run(Clock(), until_caught_up=True, seed=seed).of(TrailRecord)
        return [record.dedup_id for record in found if isinstance(record, TrailRecord)]

    assert ids(1) == ids(1) != ids(2)


def test_nothing_comes_that_is_older_than_what_was_said() -> None:
    said = 0
    for entry in run(Clock(), until_caught_up=True).log:
        if isinstance(entry, TrailRecord):
            assert entry.event_time_ms >= said
        elif isinstance(entry, int):
            assert entry > said
            said = entry
    assert said > 0


def test_complete_ends_with_the_window_of_the_newest_event() -> None:
    outlet = run(Clock(), until_caught_up=True, complete=True)
    newest = max(times(outlet))
    assert outlet.of(int)[-1] == newest // (5 * MINUTE_MS) * 5 * MINUTE_MS + 5 * MINUTE_MS


def test_its_clock_runs_at_the_speed_asked_for_until_it_meets_ours() -> None:
    clock = Clock()
    outlet = run(clock, until_caught_up=True, speed=60.0)
    # Two hours and what is delivered after them, sixty times as fast.
    assert 2 * 60 <= clock.seconds - NOW_SECONDS <= 2 * 60 + 15
    began_ms = NOW_SECONDS * 1000 - 2 * HOUR_MS - 15 * MINUTE_MS
    for seconds, up_to_ms in outlet.said:
        assert up_to_ms <= began_ms + (seconds - NOW_SECONDS + 15) * 60_000


def test_without_an_end_it_goes_on_in_real_time_until_it_is_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(synthetic, "_CHAPTER_MS", HOUR_MS)
    clock = Clock()
    clock.stop_after = 1200
    outlet = run(clock)
    # Later chapters have begun, and their events are as recent as deliveries are.
    assert clock.seconds - NOW_SECONDS > 1000
    assert max(times(outlet)) > clock.seconds * 1000 - 10 * MINUTE_MS
    assert max(times(outlet)) <= clock.seconds * 1000
    assert "heartbeat" in outlet.log


@pytest.mark.parametrize("options", [{"days": 0.0}, {"speed": -1.0}])
def test_a_clock_that_cannot_run_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match="--days"):
        source(Clock(), **options)


def test_an_unknown_scenario_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match="'holiday'"):
        run(Clock(), scenario="holiday")
