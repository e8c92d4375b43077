"""Run one source from start to end: check the topics, read, publish, flush."""

from typing import Any

from streams import topics
from streams.connectors.outlet import Advance, Connector, Stop, Tally
from streams.connectors.publisher import Publisher
from streams.connectors.registry import Context, Source
from streams.metrics import Metrics
from streams.settings import Settings


def prepare(
    source: Source, options: Any, settings: Settings, *, source_id: str, advance: Advance
) -> Connector:
    """Check the topics and make the connector.

    Raise KafkaUnavailableError for topics that are missing or misshapen, ConfigurationError for
    options that make no sense.
    """
    topics.check(settings)
    codecs = topics.reading_codecs(settings)
    context = Context(settings=settings, codecs=codecs, source_id=source_id, advance=advance)
    return source.create(options, context)


def run(  # noqa: PLR0913 - each is passed through once
    connector: Connector,
    settings: Settings,
    metrics: Metrics,
    stop: Stop,
    *,
    source_id: str,
    instance_id: str | None = None,
) -> Tally:
    """Run a connector to its end or until `stop`, and return what became of the records.

    `instance_id` names this process in Progress records. By default it is the source's own name:
    a process that takes over from another one also takes over its word, whereas another name would
    leave the old one holding the watermark back for five minutes. So one process at a time may run
    under a source id.
    Raise KafkaUnavailableError, RegistryUnavailableError and InputError; what was read before an
    InputError is delivered.
    """
    codecs = topics.writing_codecs(settings)
    with Publisher(
        settings, codecs, metrics, source_id=source_id, instance_id=instance_id or source_id
    ) as outlet:
        connector.run(outlet, stop)
    return outlet.tally
