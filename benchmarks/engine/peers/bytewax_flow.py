"""Bytewax: `count_window` on event time, its state snapshotted to SQLite every second.

Usage: bytewax_flow.py BOOTSTRAP TOPIC GROUP OUTPUT. Bytewax keeps offsets with its snapshots and
not in the group, so this program reads to the topic's end, writes the counts to OUTPUT, commits the
end for the group, and waits for SIGTERM. Keys must be text; duplicates are not looked for.
"""

import pickle
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.operators.windowing import EventClock, TumblingWindower, count_window
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main
from confluent_kafka import Consumer, TopicPartition
from event_time import WINDOW_MS, event_ms

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LATENESS = timedelta(minutes=10)
Counts = dict[tuple[bytes, int], int]


class _Partition(StatelessSinkPartition[Any]):
    def __init__(self, counts: Counts) -> None:
        self._counts = counts

    def write_batch(self, items: list[Any]) -> None:
        for key, (window, count) in items:
            self._counts[key.encode("latin-1"), window * WINDOW_MS] = count


class _Sink(DynamicSink[Any]):
    def __init__(self, counts: Counts) -> None:
        self._counts = counts

    def build(self, _step_id: str, _worker_index: int, _worker_count: int) -> _Partition:
        return _Partition(self._counts)


def _flow(bootstrap: str, topic: str, counts: Counts) -> Dataflow:
    flow = Dataflow("counts")
    source = KafkaSource(
        [bootstrap],
        [topic],
        tail=False,
        batch_size=5_000,
        add_config={"check.crcs": "false", "fetch.wait.max.ms": "50"},
    )
    messages = op.input("records", flow, source)
    clock: EventClock[Any] = EventClock(
        lambda message: datetime.fromtimestamp(event_ms(message.value) / 1000, UTC),
        wait_for_system_duration=LATENESS,
    )
    windower = TumblingWindower(length=timedelta(milliseconds=WINDOW_MS), align_to=EPOCH)
    counted = count_window(
        "count", messages, clock, windower, lambda message: message.key.decode("latin-1")
    )
    op.output("output", counted.down, _Sink(counts))
    return flow


def main() -> None:
    """Count all there is, then wait for SIGTERM."""
    bootstrap, topic, group, output = sys.argv[1:]
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    recovery = Path(output).parent / "recovery"
    recovery.mkdir()
    init_db_dir(recovery, 1)
    counts: Counts = {}
    cli_main(
        _flow(bootstrap, topic, counts),
        recovery_config=RecoveryConfig(str(recovery)),
        epoch_interval=timedelta(seconds=1),
    )
    Path(output).write_bytes(pickle.dumps(counts))
    _commit_end(bootstrap, topic, group)
    signal.sigwait({signal.SIGTERM})


def _commit_end(bootstrap: str, topic: str, group: str) -> None:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group})
    ends = []
    for partition in consumer.list_topics(topic, 10).topics[topic].partitions:
        end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)[1]
        ends.append(TopicPartition(topic, partition, end))
    consumer.commit(offsets=ends, asynchronous=False)
    consumer.close()


if __name__ == "__main__":
    main()
