"""Labelled series to measure the rate detectors on: seeded, of the kinds CloudTrail shows."""

from dataclasses import dataclass

import numpy as np

from streams.cloudtrail.record import Activity
from streams.detection.anomaly import Anomaly
from streams.detection.watch import Watch, WatchConfig

WINDOW_MS = 300_000
DAY = 288
START = 1_767_571_200_000 // WINDOW_MS  # a Monday, 00:00 UTC


@dataclass(frozen=True, slots=True, kw_only=True)
class Spike:
    """Calls times `factor` from window `first` for `windows` windows of one series."""

    series: int
    first: int
    windows: int
    factor: float

    def overlaps(self, anomaly: Anomaly) -> bool:
        """Tell whether an anomaly's judged windows touch the spike."""
        begin = anomaly.window_start_ms // WINDOW_MS - START
        end = anomaly.window_end_ms // WINDOW_MS - START
        return begin < self.first + self.windows and end > self.first


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """Counts by (series, window), and what was injected."""

    counts: np.ndarray
    spikes: tuple[Spike, ...]
    shifted: frozenset[int]


def labelled(
    seed: int, *, series: int = 200, days: int = 3, dispersion: float = 0.05, spikes: bool = True
) -> Labelled:
    """Make series of five kinds: steady, diurnal, sparse, with a cron peak, with a level shift.

    Half are Poisson, half negative binomial; two thirds of the eventful ones get one spike after
    a day and a half.
    """
    rng = np.random.default_rng(seed)
    windows = days * DAY
    hour = np.arange(windows) % DAY / 12
    injected, shifted, rates = [], set(), np.empty((series, windows))
    for row in range(series):
        kind = row % 5
        level = 10 ** rng.uniform(0.7, 2.3)
        if kind == 2:
            level = 10 ** rng.uniform(-1.5, 0.3)
        rates[row] = level
        if kind == 1:
            rates[row] *= np.exp(0.8 * np.cos((hour - rng.uniform(0, 24)) * np.pi / 12))
        if kind == 3:
            rates[row, rng.integers(12) :: 12] *= rng.uniform(3, 10)
        if kind == 4:
            shifted.add(row)
            rates[row, rng.integers(DAY * 3 // 2, windows - 60) :] *= 1.6
        elif kind != 2 and rng.random() < 2 / 3 and spikes:
            spike = Spike(
                series=row,
                first=int(rng.integers(DAY * 3 // 2, windows - 60)),
                windows=int(rng.choice([3, 6, 12, 18])),
                factor=float(rng.choice([2, 3, 5, 10])),
            )
            rates[row, spike.first : spike.first + spike.windows] *= spike.factor
            injected.append(spike)
    noise = np.ones_like(rates)
    if dispersion:
        noise[1::2] = rng.gamma(1 / dispersion, dispersion, noise[1::2].shape)
    return Labelled(
        counts=rng.poisson(rates * noise), spikes=tuple(injected), shifted=frozenset(shifted)
    )


def activity(number: int) -> Activity:
    """Return the one activity of a numbered series."""
    return Activity(
        "111122223333", "us-east-1", "example.amazonaws.com", f"Call{number}", "Data", "direct",
        "111122223333", "arn:aws:iam::111122223333:role/example", "",
    )  # fmt: skip


def anomalies(counts: np.ndarray, threshold: float) -> list[Anomaly]:
    """Return the last definitive state of every anomaly on the event series of each row."""
    watch = Watch(
        WatchConfig(app="test", window_ms=WINDOW_MS, threshold=threshold, max_series=10**6)
    )
    indices = np.array([watch.resolve(activity(row))[0] for row in range(len(counts))])
    last: dict[str, Anomaly] = {}
    for window in range(counts.shape[1]):
        calls = counts[:, window]
        start_ms = (START + window) * WINDOW_MS
        for _ in watch.close(start_ms, indices, calls, calls * 0, lambda _: ()):
            pass
        last.update((found.anomaly_id, found) for found in watch.take_emitted())
        watch.take_dirty()
    return list(last.values())
