"""CloudTrail counting as a job of the engine: what to read, what to write, what state depends on."""

from collections.abc import Mapping

from streams.agents.fold import CountingFold
from streams.codecs import Codecs
from streams.metrics import Metrics
from streams.settings import Settings
from streams.state.partition import PartitionConfig
from streams.topics import TopicNames


class CountingJob:
    """Makes a CountingFold per partition, and passes on how the engine does.

    Implements `engine.job.Job` and `engine.job.Observer`.
    """

    def __init__(self, settings: Settings, codecs: Codecs, metrics: Metrics) -> None:
        self._settings = settings
        self._codecs = codecs
        self._metrics = metrics
        self._topics = TopicNames.of(settings)
        self._folds: dict[int, CountingFold] = {}
        self.source_topic = self._topics.records
        self.changelog_topic = settings.changelog_topic
        self.built_with: Mapping[str, str] = {
            "window_seconds": str(settings.window_seconds),
            "partitions": str(settings.kafka_partitions),
            "key_schema": codecs.fingerprint("ActivityKey").hex(),
        }

    def open(self, partition: int, rows: Mapping[bytes, bytes]) -> CountingFold:
        """Rebuild a partition's counts, baselines and open anomalies from its rows."""
        fold = CountingFold(
            partition=partition,
            partitions=self._settings.kafka_partitions,
            config=PartitionConfig.of(self._settings),
            rows=rows,
            codecs=self._codecs,
            topics=self._topics,
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

    def ready(self, ready: bool) -> None:  # noqa: FBT001
        """Show readiness."""
        self._metrics.ready(ready)
