"""`trailstreams generate`: labelled synthetic trails on disk."""

import gzip
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from streams.cli.console import print_json, progress, say
from streams.errors import ConfigurationError, InputError
from streams.synthetic.scenarios import DEFAULT_START_MS, Scenario, names, scenario
from streams.synthetic.traffic import MAX_DELAY_MS, Batch, Traffic
from streams.synthetic.words import iso

LABELS = "labels.json"
"""File beside `AWSLogs` that says what was injected."""

_DAY_MS = 86_400_000


def add(app: typer.Typer) -> None:
    """Attach the command."""
    app.command("generate")(generate)


def generate(  # noqa: PLR0913, PLR0917 - one parameter an option
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder to write to; created if missing.")
    ],
    events: Annotated[
        int | None,
        typer.Option(min=1, help="About how many records in all; default: the scenario's own."),
    ] = None,
    days: Annotated[
        float, typer.Option(min=0.01, max=3660, help="Days of event time; demo needs 2.5.")
    ] = 3,
    seed: Annotated[int, typer.Option(min=0, help="Another seed is another trail.")] = 1,
    scenario_name: Annotated[
        str, typer.Option("--scenario", help=f"What happens: {' or '.join(names())}.")
    ] = "organisation",
    start: Annotated[
        str, typer.Option(help="First instant of event time, ISO 8601; UTC without an offset.")
    ] = iso(DEFAULT_START_MS),
    duplicates: Annotated[
        float, typer.Option(min=0, max=1, help="Share of records that are delivered twice.")
    ] = 0,
    force: Annotated[
        bool,
        typer.Option("--force", help="Write into a folder that is not empty, beside its files."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Write synthetic CloudTrail log files, laid out as S3 holds them, and their labels.

    DIR/AWSLogs holds the log files, DIR/labels.json the anomalies that are in them.
    The same arguments write the same bytes.
    """
    start_ms = _instant_ms(start)
    planned = scenario(
        scenario_name,
        seed,
        start_ms=start_ms,
        end_ms=start_ms + round(days * _DAY_MS),
        events_per_day=None if events is None else max(1, round(events / days)),
        duplicate_share=duplicates,
    )
    try:
        _prepare(folder, force=force)
        files, records = _write(folder, planned, hidden=as_json)
        (folder / LABELS).write_bytes(_labels(planned, files, records))
    except OSError as error:
        raise InputError(f"{error.filename or folder}: cannot write: {error.strerror}") from error
    if as_json:
        print_json({"folder": str(folder), "files": files, "records": records})
    else:
        say(f"{records:,} records in {files:,} log files: {folder / 'AWSLogs'}")
        say(f"{len(planned.injections)} injections: {folder / LABELS}")


def _instant_ms(text: str) -> int:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(
            f"--start: expected an ISO 8601 instant such as 2026-01-05T00:00:00Z, got {text!r}"
        ) from None
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=UTC)
    return round(instant.timestamp()) * 1000


def _prepare(folder: Path, *, force: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if not force and any(folder.iterdir()):
        raise ConfigurationError(f"{folder} is not empty: name another folder or add --force")


def _write(folder: Path, planned: Scenario, *, hidden: bool) -> tuple[int, int]:
    """Write every log file; return how many files and how many records."""
    files = records = 0
    last_ms = planned.start_ms
    with progress(hidden=hidden) as bar:
        minutes = (planned.end_ms + MAX_DELAY_MS - planned.start_ms) // 60_000
        task = bar.add_task("minutes of event time", total=minutes)
        for batch in Traffic(planned).batches():
            _write_log_file(folder, batch)
            files += 1
            records += len(batch.records)
            bar.advance(task, (batch.stamp_ms - last_ms) // 60_000)
            last_ms = batch.stamp_ms
    return files, records


def _write_log_file(folder: Path, batch: Batch) -> None:
    path = folder / batch.key
    path.parent.mkdir(parents=True, exist_ok=True)
    text = b'{"Records":[' + b",".join(batch.records) + b"]}"
    # Without a time stamp in the header the same records are the same file.
    path.write_bytes(gzip.compress(text, compresslevel=3, mtime=0))


def _labels(planned: Scenario, files: int, records: int) -> bytes:
    """Return the labels as JSON, for people (ISO instants) and programs (`_ms`) alike."""
    injections = [
        {
            **asdict(injection),
            "start": iso(injection.start_ms),
            "end": iso(injection.end_ms),
        }
        for injection in planned.injections
    ]
    labels = {
        "scenario": planned.name,
        "seed": planned.seed,
        "start": iso(planned.start_ms),
        "end": iso(planned.end_ms),
        "files": files,
        "records": records,
        "injections": injections,
    }
    return msgspec.json.format(msgspec.json.encode(labels)) + b"\n"
