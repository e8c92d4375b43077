"""What librdkafka says about the broker: to the log while it passes, one line when it does not."""

import logging

from confluent_kafka import KafkaError

from streams.errors import KafkaUnavailableError

logger = logging.getLogger("streams.kafka")

CONTACT_SECONDS = 15.0
"""How long a broker may take to answer at first before it counts as away."""


class Outage:
    """Remembers the last trouble a client reported, as the reason of a later timeout."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._servers = bootstrap_servers
        self._last = ""

    def noticed(self, error: KafkaError) -> None:
        """Take a client's `error_cb`; most troubles pass by themselves."""
        self._last = error.str()
        logger.info("%s", self._last)

    def failure(self, what: str, error: KafkaError | None = None) -> KafkaUnavailableError:
        """Return the one line a person needs: what failed, where, why."""
        reason = error.str() if error else "no answer"
        # A timeout explains nothing; the connection's last complaint does.
        last = f" ({self._last})" if self._last and self._last != reason else ""
        return KafkaUnavailableError(f"{what}, broker {self._servers}: {reason}{last}")
