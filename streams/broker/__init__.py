"""A real single-node Apache Kafka for the demo, the tests and whoever has none at hand."""

from streams.broker.jars import KAFKA_VERSION
from streams.broker.server import Broker

__all__ = ["KAFKA_VERSION", "Broker"]
