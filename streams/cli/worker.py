"""`trailstreams worker`: the Faust worker."""

import asyncio

import typer

from streams.cli.logs import configure_logging
from streams.settings import load_settings


def add(app: typer.Typer) -> None:
    """Attach the command."""
    app.command("worker")(worker)


def worker() -> None:
    """Count the records topic, flag anomalies, serve /metrics, /healthz and /readyz.

    Any number of workers share the partitions; each is one process on one core.
    Settings come from TRAILSTREAMS_* variables (docs/settings.md). Stop with SIGTERM or Ctrl-C.
    """
    # Faust and aiokafka take half a second to import; other commands need neither.
    from streams.app import run_worker  # noqa: PLC0415

    settings = load_settings()
    configure_logging(settings.log_level)
    asyncio.run(run_worker(settings))
