"""`source synthetic`: an organization's traffic with labelled anomalies, at any speed up to now."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from streams.cloudtrail.parse import parse
from streams.cloudtrail.record import Origin, TrailRecord
from streams.connectors.options import option
from streams.connectors.outlet import Advance, Outlet, Stop
from streams.counting.reading import Reading
from streams.errors import ConfigurationError
from streams.settings import Settings
from streams.synthetic.habits import STEP_MS
from streams.synthetic.scenarios import DEMO_MS, HOUR_MS, Scenario, scenario
from streams.synthetic.traffic import MAX_DELAY_MS, Batch, Traffic

_DAY_MS = 24 * HOUR_MS
_CHAPTER_MS = 30 * _DAY_MS
"""Traffic without an end is one scenario of this length after the other."""
_LONGEST_WAIT_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticOptions:
    """Which traffic `source synthetic` makes, and how fast its clock runs."""

    scenario: str = option("demo", "What happens: demo or organisation.")
    seed: int = option(0, "Another seed is other traffic; the same seed the same traffic.")
    days: float = option(DEMO_MS / _DAY_MS, "How many days ago its event time begins.")
    speed: float = option(
        0.0, "Seconds of event time a second until it has caught up with now; 0 is no limit."
    )
    until_caught_up: bool = option(False, "End when event time has caught up with now.")
    complete: bool = option(False, "At the end close the windows of the last events too.")


class Synthetic:
    """Publishes a scenario's deliveries when its own clock reaches their stamps.

    The clock starts `days` ago, runs `speed` times as fast as ours, and never passes ours.
    `now` gives seconds since the epoch.
    """

    def __init__(
        self,
        options: SyntheticOptions,
        settings: Settings,
        *,
        advance: Advance,
        now: Callable[[], float] = time.time,
    ) -> None:
        if options.days <= 0 or options.speed < 0:
            raise ConfigurationError("--days must be more than 0, --speed at least 0")
        self._options = options
        self._advance = advance
        self._now = now
        self._began_ms = int(now() * 1000)
        # What happens until then is delivered by now: nothing is left over when the clock arrives.
        self._end_ms = (self._began_ms - MAX_DELAY_MS) // STEP_MS * STEP_MS
        self._start_ms = self._end_ms - int(options.days * _DAY_MS)
        self._reading = Reading(
            window_ms=settings.window_seconds * 1000,
            lateness_ms=settings.allowed_lateness_seconds * 1000,
        )

    def run(self, outlet: Outlet, stop: Stop) -> None:
        """Publish delivery after delivery until stopped, or caught up where that is the end."""
        for batch in self._batches():
            if not self._wait(batch.stamp_ms, outlet, stop):
                return
            self._publish(batch, outlet)
            self._tell(batch.stamp_ms)
        up_to_ms = self._reading.complete() if self._options.complete else None
        if up_to_ms is not None:
            outlet.progress(up_to_ms)

    def scenarios(self) -> Iterator[Scenario]:
        """Yield the scenarios in turn: one where there is an end, else one after the other."""
        start_ms, options = self._start_ms, self._options
        if options.until_caught_up:
            yield scenario(options.scenario, options.seed, start_ms=start_ms, end_ms=self._end_ms)
            return
        while True:
            made = scenario(
                options.scenario, options.seed, start_ms=start_ms, end_ms=start_ms + _CHAPTER_MS
            )
            yield made
            start_ms = made.end_ms

    def remarks(self) -> tuple[str, ...]:
        """Return nothing: there is nothing to say."""
        return ()

    def _batches(self) -> Iterator[Batch]:
        for made in self.scenarios():
            yield from Traffic(made).batches()

    def _tell(self, stamp_ms: int) -> None:
        """Show minutes of event time, of those until now."""
        behind_ms = self._began_ms - self._start_ms
        done_ms = min(stamp_ms - self._start_ms, behind_ms)
        self._advance(done_ms // 60_000, behind_ms // 60_000)

    def _clock_ms(self) -> int:
        now_ms = int(self._now() * 1000)
        if not self._options.speed:
            return now_ms
        elapsed_ms = now_ms - self._began_ms
        return min(now_ms, self._start_ms + int(elapsed_ms * self._options.speed))

    def _wait(self, stamp_ms: int, outlet: Outlet, stop: Stop) -> bool:
        """Wait until the clock reaches a stamp; return False where `stop` came first."""
        while not stop.is_set():
            ahead_ms = stamp_ms - self._clock_ms()
            outlet.heartbeat()
            if ahead_ms <= 0:
                return True
            outlet.flush()
            stop.wait(min(ahead_ms / 1000 / (self._options.speed or 1.0), _LONGEST_WAIT_SECONDS))
        return False

    def _publish(self, batch: Batch, outlet: Outlet) -> None:
        published_ms = int(self._now() * 1000)
        times: list[int] = []
        for index, raw in enumerate(batch.records):
            item = parse(raw, Origin(batch.key, index), published_ms=published_ms)
            outlet.publish(item)
            if isinstance(item, TrailRecord):
                times.append(item.event_time_ms)
        up_to_ms = self._reading.finish(times, stamp_ms=batch.stamp_ms)
        if up_to_ms is not None:
            outlet.progress(up_to_ms)
