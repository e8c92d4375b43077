"""CloudTrail counting as a job of the engine: what it reads, writes, and depends on."""

from collections.abc import Mapping

from streams.agents.fold import CountingFold
from streams.codecs import Codecs, load_schemas
from streams.metrics import Metrics
from streams.settings import Settings
from streams.topics import TopicNames


def built_with(settings: Settings) -> Mapping[str, str]:
    """Return what stored state depends on: with another value it cannot be read on."""
    return {
        "window_seconds": str(settings.window_seconds),
        "partitions": str(settings.kafka_partitions),
        "key_schema": load_schemas()["ActivityKey"].fingerprint.hex(),
    }


class CountingJob:
    """Makes a CountingFold per partition, and passes on how the engine does.

    Implements `engine.job.Job` and `engine.job.Observer`.
    """

    def __init__(self, settings: Settings, codecs: Codecs, metrics: Metrics) -> None:
        self._settings = settings
        self._codecs = codecs
        self._metrics = metrics
        self._folds: dict[int, CountingFold] = {}
        self.source_topic = TopicNames.of(settings).records
        self.changelog_topic = settings.changelog_topic
        self.built_with = built_with(settings)

    def open(self, partition: int, rows: Mapping[bytes, bytes]) -> CountingFold:
        """Rebuild a partition's counts, baselines and open anomalies from its rows."""
        fold = CountingFold(
            partition,
            rows,
            settings=self._settings,
            codecs=self._codecs,
            metrics=self._metrics,
        )
        self._folds[partition] = fold
        return fold

    def flushed(self, partition: int, seconds: float, rows: int) -> None:  # noqa: ARG002
        """Measure a committed flush."""
        self._metrics.flushed(seconds=seconds, rows=rows)

    def recovered(self, partition: int, seconds: float, rows: int) -> None:  # noqa: ARG002
        """Measure a recovery."""
        self._metrics.recovered(seconds=seconds)

    def lag(self, partition: int, records: int) -> None:
        """Show the partition's lag."""
        if (fold := self._folds.get(partition)) is not None:
            fold.lag(records)

    def ready(self, ready: bool) -> None:
        """Show readiness."""
        self._metrics.ready(ready)
