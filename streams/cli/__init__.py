"""The command line: the composition root, one module a command."""

import logging
import sys

import typer

from streams import __version__
from streams.cli import broker, demo, generate, scan, source, state, tail, topics, worker
from streams.cli.console import say
from streams.errors import ConfigurationError, TrailstreamsError

COMMANDS = (demo, broker, topics, source, worker, tail, scan, generate, state)


def create_cli() -> typer.Typer:
    """Return the whole command line."""
    app = typer.Typer(
        name="trailstreams",
        help="Count AWS CloudTrail events exactly, on Kafka, and flag anomalies of their volume.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    for module in COMMANDS:
        module.add(app)
    return app


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"trailstreams {__version__}")
        raise typer.Exit


def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Show the version and exit."
    ),
) -> None:
    pass


def main() -> None:
    """Run the command line; exit 0 when fine, 1 when failed, 2 on wrong use or settings."""
    logging.captureWarnings(capture=True)
    try:
        create_cli()()
    except ConfigurationError as error:
        say(f"error: {error}")
        sys.exit(2)
    except TrailstreamsError as error:
        say(f"error: {error}")
        sys.exit(1)
