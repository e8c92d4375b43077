"""`trailstreams source …`: one command for each connector, its options read off the registry."""

import inspect
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, fields
from threading import Event
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

from streams.cli.console import print_rows, progress, say
from streams.cli.logs import configure_logging
from streams.errors import ConfigurationError
from streams.settings import Settings, load_settings

if TYPE_CHECKING:
    from streams.connectors.registry import Source
    from streams.metrics import Metrics

_HELP = """Publish CloudTrail records to Kafka, from one kind of source each.

A source also says how far it has read; only that closes windows. It stops on SIGTERM and Ctrl-C
after delivering what it read, and goes on from there when it is started again.
"""
_SOURCE_ID_HELP = (
    "Name its positions are kept under; one process at a time. The command's own name if empty."
)
_SHARED = (
    ("source_id", str, "", _SOURCE_ID_HELP),
    ("serve_metrics", bool, False, "Serve /metrics on METRICS_PORT while it runs."),
    ("json", bool, False, "Print the summary as JSON."),
)


class _Sources(TyperGroup):
    """Makes its commands when it is asked for them: Kafka's client and numpy import slowly."""

    def list_commands(self, ctx: Any) -> list[str]:
        return _group().list_commands(ctx)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return _group().get_command(ctx, cmd_name)


def add(app: typer.Typer) -> None:
    """Attach the group of commands."""
    group = typer.Typer(cls=_Sources, no_args_is_help=True, help=_HELP)
    group.callback()(lambda: None)
    app.add_typer(group, name="source")


def _group() -> TyperGroup:
    from streams.connectors.registry import SOURCES  # noqa: PLC0415

    group = typer.Typer(no_args_is_help=True)
    group.callback()(lambda: None)
    for name, source in SOURCES.items():
        group.command(name, help=source.description)(_command(name, source))
    made = typer.main.get_command(group)
    assert isinstance(made, TyperGroup)  # noqa: S101 - it has a callback
    return made


def _command(name: str, source: "Source") -> Callable[..., None]:
    """Return a function whose signature is the source's options and those all sources share."""

    def command(**given: Any) -> None:
        shared = {option: given.pop(option) for option, *_ in _SHARED}
        words = {key: tuple(value) for key, value in given.items() if isinstance(value, list)}
        options = source.options(**given | words)
        _run(source, options, source_id=shared["source_id"] or name, shared=shared)

    parameters = [
        *_parameters(source.options),
        *(_option(option, kind, default, text) for option, kind, default, text in _SHARED),
    ]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {item.name: item.annotation for item in parameters}
    return command


def _parameters(options: type) -> Iterator[inspect.Parameter]:
    for item in fields(options):
        text = item.metadata["help"]
        if item.metadata.get("argument"):
            # Typer has no tuple of any length; a list is the same to the one who types.
            words = typer.Argument(..., help=text, show_default=False)
            yield _parameter(item.name, list[str], words)
        else:
            yield _option(item.name, item.type, item.default, text)


def _option(name: str, kind: Any, default: Any, text: str) -> inspect.Parameter:
    flag = f"--{name.replace('_', '-')}"
    shown = kind is not bool and default != ""
    return _parameter(name, kind, typer.Option(default, flag, help=text, show_default=shown))


def _parameter(name: str, kind: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)


def _run(source: "Source", options: Any, *, source_id: str, shared: Mapping[str, Any]) -> None:
    from streams.connectors import running  # noqa: PLC0415

    settings = load_settings()
    configure_logging(settings.log_level)
    with _stop_on_signals() as stop, progress(hidden=shared["json"]) as bar:
        task = bar.add_task(source_id, total=None)
        connector = running.prepare(
            source,
            options,
            settings,
            source_id=source_id,
            advance=lambda done, total: bar.update(task, completed=done, total=total),
        )
        metrics = _metrics(settings, serve=shared["serve_metrics"])
        tally = running.run(connector, settings, metrics, stop, source_id=source_id)
    for remark in connector.remarks():
        say(remark)
    row = {"source": source_id, **asdict(tally)}
    print_rows([row], columns=list(row), as_json=shared["json"])


def _metrics(settings: Settings, *, serve: bool) -> "Metrics":
    from prometheus_client import CollectorRegistry, start_http_server  # noqa: PLC0415

    from streams.metrics import Metrics  # noqa: PLC0415

    registry = CollectorRegistry()
    metrics = Metrics(registry, max_series=settings.metrics_max_series)
    if serve:
        try:
            start_http_server(settings.metrics_port, registry=registry)
        except OSError as error:
            raise ConfigurationError(
                f"cannot serve /metrics on port {settings.metrics_port}: {error.strerror}; "
                "set TRAILSTREAMS_METRICS_PORT"
            ) from error
    return metrics


@contextmanager
def _stop_on_signals() -> Iterator[Event]:
    """Yield what SIGTERM and Ctrl-C set, so that a source ends by itself, with exit code 0."""
    stop = Event()
    previous = {
        number: signal.signal(number, lambda *_: stop.set())
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
