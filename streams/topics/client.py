"""How every librdkafka client of ours reaches Kafka."""

import logging
from typing import Any

from streams.settings import Settings

_log = logging.getLogger("streams.kafka")


class _Librdkafka:
    """Where librdkafka logs to: the logger `streams.kafka`, at DEBUG.

    It retries for ever and says so several times a second at the level ERROR; what finally failed
    is said once, by whoever waited for it.
    """

    def log(self, _level: int, message: str, *args: object) -> None:
        """Take one line, as `logging.Logger.log` does."""
        _log.debug(message, *args)


def kafka_client_config(settings: Settings, **more: object) -> dict[str, Any]:
    """Return the configuration of a confluent-kafka client: address, security, quiet logging.

    `more` adds properties, `_` standing for `.` in their names, and wins.
    """
    config: dict[str, Any] = {
        "bootstrap.servers": settings.kafka_bootstrap_servers,
        "client.id": settings.app_id,
        "security.protocol": settings.kafka_security_protocol,
        "reconnect.backoff.max.ms": 2_000,
        "log.connection.close": False,
        "logger": _Librdkafka(),
    }
    if settings.kafka_security_protocol.startswith("SASL"):
        config["sasl.mechanism"] = settings.kafka_sasl_mechanism
        config["sasl.username"] = settings.kafka_sasl_username
        config["sasl.password"] = settings.kafka_sasl_password.get_secret_value()
    if settings.kafka_ssl_ca_location:
        config["ssl.ca.location"] = settings.kafka_ssl_ca_location
    return config | {name.replace("_", "."): value for name, value in more.items()}
