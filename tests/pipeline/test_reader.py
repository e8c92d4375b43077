"""Reading to the end means to the end: also past a transaction whose markers are on their way."""

import threading

import pytest
from helpers.kafka import create_topics, producer

from streams.connectors.reader import read
from streams.errors import KafkaUnavailableError
from streams.settings import Settings


def test_the_end_is_behind_a_transaction_that_is_still_open(settings: Settings) -> None:
    topic = f"{settings.topic_prefix}t"
    create_topics(settings, {topic: {}})
    client = producer(settings, **{"transactional.id": settings.app_id})
    client.init_transactions()
    client.begin_transaction()
    for number in range(8):
        client.produce(topic, b"%d" % number, partition=number % settings.kafka_partitions)
    client.flush()
    timer = threading.Timer(1.0, client.commit_transaction)
    timer.start()
    values = sorted(message.value or b"" for message in read(settings, topic, until_end=True))
    timer.join()
    assert values == [b"%d" % number for number in range(8)]


def test_an_empty_topic_ends_at_once(settings: Settings) -> None:
    topic = f"{settings.topic_prefix}t"
    create_topics(settings, {topic: {}})
    assert list(read(settings, topic, until_end=True)) == []


def test_a_missing_topic_is_told(settings: Settings) -> None:
    with pytest.raises(KafkaUnavailableError, match="topics apply"):
        list(read(settings, "nowhere", until_end=True))
