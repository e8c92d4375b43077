"""All connectors: a new source is one module and one line here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from streams.codecs import Codecs
from streams.connectors.files import Files, FilesOptions
from streams.connectors.outlet import Advance, Connector
from streams.connectors.positions import load_positions
from streams.connectors.synthetic import Synthetic, SyntheticOptions
from streams.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a connector may ask for besides its options."""

    settings: Settings
    codecs: Codecs
    source_id: str
    advance: Advance


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A kind of source: what `--help` says, what it can be told, and what makes its connector."""

    description: str
    options: type
    """A dataclass whose fields are declared with `connectors.options`."""
    create: Callable[[Any, Context], Connector]
    """Takes an instance of `options`; may read positions, raising KafkaUnavailableError."""


def _files(options: FilesOptions, context: Context) -> Connector:
    remembered = load_positions(context.settings, context.codecs, context.source_id)
    return Files(
        options,
        context.settings,
        source_id=context.source_id,
        remembered=remembered,
        advance=context.advance,
    )


def _synthetic(options: SyntheticOptions, context: Context) -> Connector:
    return Synthetic(options, context.settings, advance=context.advance)


SOURCES: Mapping[str, Source] = {
    "files": Source(
        description="Publish CloudTrail log files: files, folders, globs.",
        options=FilesOptions,
        create=_files,
    ),
    "synthetic": Source(
        description="Publish an organization's made-up traffic with labelled anomalies.",
        options=SyntheticOptions,
        create=_synthetic,
    ),
}
