"""Settings as aiokafka and Faust want them, and aiokafka's client where it falls short."""

import ssl
from typing import Any

import faust
from aiokafka import AIOKafkaClient
from aiokafka.consumer import consumer
from aiokafka.errors import KafkaConnectionError
from aiokafka.producer import producer
from faust.types.auth import CredentialsT

from streams.settings import Settings


class Client(AIOKafkaClient):  # type: ignore[misc]  # aiokafka has no types
    """A client that takes a cluster without a live broker for one that cannot be reached."""

    async def bootstrap(self) -> None:
        """Get to know the cluster; raise KafkaConnectionError where that is not possible yet.

        A broker that comes back from a pause is fenced for a moment, and answers without naming
        itself. aiokafka goes on from there to an assertion that some broker is known.
        """
        await super().bootstrap()
        if not self.cluster.brokers():
            await self.close()
            raise KafkaConnectionError(f"no broker is alive at {self.hosts}")


# aiokafka looks the name up where it makes a consumer or a producer.
consumer.AIOKafkaClient = producer.AIOKafkaClient = Client


def ssl_context(settings: Settings) -> ssl.SSLContext | None:
    """Return the TLS context, or None where the protocol has no TLS."""
    if "SSL" not in settings.kafka_security_protocol:
        return None
    return ssl.create_default_context(cafile=settings.kafka_ssl_ca_location or None)


def client_config(settings: Settings) -> dict[str, Any]:
    """Return what every aiokafka client is given."""
    config: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap_servers,
        "security_protocol": settings.kafka_security_protocol,
        "ssl_context": ssl_context(settings),
        "client_id": settings.app_id,
    }
    if settings.kafka_security_protocol.startswith("SASL"):
        config |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism,
            "sasl_plain_username": settings.kafka_sasl_username,
            "sasl_plain_password": settings.kafka_sasl_password.get_secret_value(),
        }
    return config


def credentials(settings: Settings) -> CredentialsT | None:
    """Return the same for the clients that Faust makes itself."""
    context = ssl_context(settings)
    if settings.kafka_security_protocol.startswith("SASL"):
        return faust.SASLCredentials(
            username=settings.kafka_sasl_username,
            password=settings.kafka_sasl_password.get_secret_value(),
            mechanism=settings.kafka_sasl_mechanism,
            ssl_context=context,
        )
    return faust.SSLCredentials(context=context) if context else None
