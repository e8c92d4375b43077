"""`trailstreams broker`: a Kafka to try things on."""

import signal
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from streams.broker import KAFKA_VERSION, Broker
from streams.cli.console import say
from streams.errors import KafkaUnavailableError
from streams.settings import PREFIX


def add(app: typer.Typer) -> None:
    """Attach the command."""
    app.command("broker")(run)


def run(
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 picks a free one.")
    ] = 9092,
    directory: Annotated[
        Path | None,
        typer.Option(
            "--dir",
            file_okay=False,
            help="Folder for the data, used again at the next start. "
            "Without it the data is gone when the broker stops.",
        ),
    ] = None,
) -> None:
    """Run a real Apache Kafka (one node) on this machine until Ctrl-C.

    It needs Java 17 or later, and the network at its first start. For trying things and for tests:
    it has one node, no encryption and no passwords, and listens on 127.0.0.1 only.
    """
    # From here on SIGTERM is what Ctrl-C is, also while Kafka is still starting.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        _serve(Broker(directory, port, tell=say))


def _serve(broker: Broker) -> None:
    say(f"Starting Apache Kafka {KAFKA_VERSION}")
    with broker:
        say(f"Kafka listens on {broker.bootstrap_servers}; its log is {broker.log_path}")
        say("In other terminals:")
        say(f"  export {PREFIX}KAFKA_BOOTSTRAP_SERVERS={broker.bootstrap_servers}")
        say(f"  export {PREFIX}KAFKA_REPLICATION_FACTOR=1")
        say("Ctrl-C stops it.")
        try:
            broker.wait()
        finally:
            say("Stopping Kafka")
        raise KafkaUnavailableError(f"Kafka ended by itself: {broker.last_log_line()}")
