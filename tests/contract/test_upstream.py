"""The private parts of Faust and aiokafka that streams/engine replaces or reads, frozen.

A failure here means that upstream changed code we override or mirror: read the change, adapt
streams/engine, then freeze the new text.
"""

import hashlib
import inspect
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import pytest
from aiokafka import AIOKafkaClient
from aiokafka.conn import AIOKafkaConnection, create_conn
from aiokafka.consumer.consumer import AIOKafkaConsumer
from aiokafka.consumer.fetcher import Fetcher, FetchResult, PartitionRecords
from aiokafka.consumer.subscription_state import TopicPartitionState
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.producer.producer import AIOKafkaProducer
from faust.app.base import App, BootStrategy
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.transport.consumer import Consumer
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, ConsumerRebalanceListener
from faust.transport.drivers.aiokafka import Consumer as DriverConsumer

FROZEN: list[tuple[Callable[..., Any], str]] = [
    (Consumer._drain_messages, "44a2500309e83c63"),
    (Consumer._wait_next_records, "6218e1969a636b3f"),
    (Consumer.force_commit, "cc094614d22c70fb"),
    (Consumer.wait_empty, "e4662fe24f094819"),
    (Consumer.perform_seek, "0e8c130ff4b0afd8"),
    (Consumer.on_partitions_revoked, "d04b7ae72c6fc206"),
    (Consumer.on_partitions_assigned, "29ce96596f05a18c"),
    (Consumer.maybe_wait_for_commit_to_finish, "d687f63a0b5ef0c5"),
    (Consumer.verify_all_partitions_active, "4e0e46f5c297305d"),
    (DriverConsumer._new_consumer_thread, "0870ec53dea75083"),
    (DriverConsumer.on_stop, "173f86b366f3608e"),
    (ConsumerRebalanceListener.on_partitions_revoked, "348c3aec879faf80"),
    (ConsumerRebalanceListener.on_partitions_assigned, "1c1f8406ad3698a6"),
    (AIOKafkaConsumerThread._create_worker_consumer, "c2701bfc3e6f6cad"),
    (AIOKafkaConsumerThread._fetch_records, "39a2c6c79fc1455a"),
    (AIOKafkaConsumerThread.getmany, "26fc5fc9f3b667e1"),
    (AIOKafkaConsumerThread.seek_to_committed, "775ab0adc4b052ab"),
    (TableManager.on_start, "365dd25fbc0e0684"),
    (TableManager.on_rebalance, "2d2c23a07bf54328"),
    (Recovery.on_rebalance, "aa4d997a1795ceae"),
    (Recovery.on_recovery_completed, "6ef567acf072e46d"),
    (Recovery._wait, "ec7429b70176f8c6"),
    (Recovery._set_recovery_started, "bcfebf81ae13fc75"),
    (App._on_partitions_revoked, "d5c895bbe57dc73a"),
    (App._on_partitions_assigned, "de932b7927db85b3"),
    (App._stop_consumer, "55854a5de12c3f52"),
    (BootStrategy.kafka_producer, "54a789df64f66255"),
    (AIOKafkaClient.bootstrap, "198943b004e55849"),
    (AIOKafkaClient.close, "02119d4d618ae493"),
    (AIOKafkaClient._metadata_update, "06dc51ed3e0d38b8"),
    (create_conn, "673276cbddb4dc7c"),
    (AIOKafkaConnection.connect, "b0f9ba7f0cf6b432"),
    (AIOKafkaConnection._create_reader_task, "9577a6e84c72c36b"),
    (AIOKafkaConnection._read, "7b892995c0b81468"),
    (AIOKafkaConnection._on_read_task_error, "b770145884887544"),
    (AIOKafkaConnection._handle_frame, "46a7d9b8cf7ca222"),
    (AIOKafkaConnection.connected, "e392e7f6dadb2368"),
    (AIOKafkaConnection.close, "28f164aa1e4f0bbc"),
    (Fetcher.fetched_records, "be4348896b9b66af"),
    (Fetcher._create_fetch_waiter, "61d840568746477e"),
    (Fetcher._notify, "d3a30d94f34fd3a0"),
    (Fetcher._set_error, "d29810f3f509481f"),
    (Fetcher._proc_fetch_request, "59bf948fff47eed5"),
    (FetchResult._update_position, "83fb1473bf10027b"),
    (FetchResult.getall, "3e717e30de5068d5"),
    (FetchResult.check_assignment, "b5340df67e3f330f"),
    (FetchResult.has_more, "a25ee8ab93405df6"),
    (PartitionRecords._unpack_records, "b803e6d46480732c"),
    (PartitionRecords.__init__, "8ec1c2ae6ea1af87"),
    (PartitionRecords._consume_aborted_up_to, "56876530cd6412f3"),
    (PartitionRecords._contains_abort_marker, "17e9ad2322ef4e0a"),
    (TopicPartitionState.consumed_to, "c7b8f0f99ce9185e"),
    (TopicPartitionState.seek, "c20b56d7ba7b2872"),
    (AIOKafkaConsumer.seek, "a9430f1f3b9ac419"),
    (AIOKafkaProducer.send_batch, "bf42b0f0c5c0646d"),
    (AIOKafkaProducer.begin_transaction, "f5128199fc271ddc"),
    (AIOKafkaProducer.commit_transaction, "c7f9677c89413f97"),
    (AIOKafkaProducer.stop, "43ef97147111893b"),
    (BatchBuilder.append, "657d76f55157d9ca"),
]


@pytest.mark.parametrize(
    ("package", "pinned"), [("faust-streaming", "0.15.3"), ("aiokafka", "0.14.0")]
)
def test_the_overridden_packages_are_the_pinned_versions(package: str, pinned: str) -> None:
    assert version(package) == pinned


@pytest.mark.parametrize(
    ("function", "digest"), FROZEN, ids=lambda item: getattr(item, "__qualname__", "")
)
def test_upstream_code_we_depend_on_has_not_changed(
    function: Callable[..., Any], digest: str
) -> None:
    assert _digest(function) == digest


def _digest(function: Callable[..., Any]) -> str:
    return hashlib.sha256(inspect.getsource(function).encode()).hexdigest()[:16]
