"""`trailstreams tail …`: the topics for human eyes, or as NDJSON."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from enum import StrEnum
from typing import Annotated, NamedTuple

import typer

from streams.cli.console import print_json
from streams.cli.rows import Row, anomaly_row, count_row, instant
from streams.codecs import CodecError, Codecs, record_json
from streams.connectors.reader import Message, read
from streams.settings import load_settings
from streams.topics import (
    ACTIVITY_COUNTS,
    ANOMALIES,
    DEAD_LETTERS,
    RECORDS,
    reading_codecs,
    topic_name,
)


class View(StrEnum):
    """What can be looked at."""

    RECORDS = "records"
    COUNTS = "counts"
    ANOMALIES = "anomalies"
    DEAD_LETTERS = "dead-letters"


def add(app: typer.Typer) -> None:
    """Attach the command."""
    app.command("tail")(tail)


def tail(
    view: Annotated[View, typer.Argument(help="Which topic.", show_default=False)],
    *,
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning", help="Begin with the oldest, not with what comes.")
    ] = False,
    until_idle: Annotated[
        float | None, typer.Option(min=0.1, help="Stop when nothing came for so many seconds.")
    ] = None,
    show_all: Annotated[
        bool, typer.Option("--all", help="Show the sources' Progress among the records, too.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Show what is on a topic, as it comes, until Ctrl-C.

    Shows committed messages only, commits nothing and disturbs nobody.
    """
    settings = load_settings()
    shown = _VIEWS[view]
    messages = read(
        settings,
        topic_name(settings, shown.topic),
        from_beginning=from_beginning,
        until_idle_seconds=until_idle,
    )
    with suppress(KeyboardInterrupt):
        for row in _rows(messages, reading_codecs(settings), shown, show_all=show_all):
            if as_json:
                print_json(row)
            else:
                words = row if "unreadable" in row else shown.words
                typer.echo("  ".join(str(row[word]) for word in words if row[word] != ""))


def _rows(
    messages: Iterator[Message], codecs: Codecs, shown: "_Shown", *, show_all: bool
) -> Iterator[Row]:
    for message in messages:
        if message.key is None or message.value is None:
            continue  # a tombstone says that there is nothing to show any more
        place = {"partition": message.partition, "offset": message.offset}
        appended = {"append_time": instant(message.timestamp_ms)}
        try:
            row = shown.row(codecs, message.key, message.value)
        except CodecError as error:
            row = {"unreadable": str(error)}
        if show_all or row.get("initiator") != "none":
            yield place | appended | row


def _record(codecs: Codecs, _key: bytes, value: bytes) -> Row:
    record = codecs.decode_trail_record(value)
    return {
        "event_time": instant(record.event_time_ms),
        **record.activity._asdict(),
        "initiator_rule": record.initiator_rule,
        "cross_account": record.cross_account,
        "session_name": record.session_name,
        "access_key_id": record.access_key_id,
        "dedup_id": record.dedup_id.hex(),
        "origin": record.origin.object,
        "origin_index": record.origin.index,
        "record": record_json(record),
    }


def _count(codecs: Codecs, key: bytes, value: bytes) -> Row:
    activity, window_start_ms = codecs.decode_activity_window(key)
    return count_row(activity, window_start_ms, codecs.decode_activity_count(value))


def _anomaly(codecs: Codecs, _key: bytes, value: bytes) -> Row:
    return anomaly_row(codecs.decode_anomaly(value))


def _dead_letter(codecs: Codecs, _key: bytes, value: bytes) -> Row:
    letter = codecs.decode_dead_letter(value)
    return {
        "rejected_at": instant(letter.rejected_at_ms),
        "source_id": letter.source_id,
        "reason": letter.reason.value,
        "origin": letter.origin.object,
        "origin_index": letter.origin.index,
        "error": letter.error,
        "raw_length": letter.raw_length,
        "sha256": letter.sha256,
        "raw": letter.raw.decode(errors="backslashreplace"),
    }


class _Shown(NamedTuple):
    """One view: its topic, how a message becomes a row, and which of it people see."""

    topic: str
    row: Callable[[Codecs, bytes, bytes], Row]
    words: tuple[str, ...]


_WHO = ("account_id", "region", "event_source", "event_name", "initiator", "principal")
_VIEWS = {
    View.RECORDS: _Shown(RECORDS, _record, ("event_time", *_WHO, "error_code")),
    View.COUNTS: _Shown(
        ACTIVITY_COUNTS, _count, ("window_start", "count", "revision", *_WHO, "error_code")
    ),
    View.ANOMALIES: _Shown(
        ANOMALIES, _anomaly, ("window_start", "state", "standing", "type", "level", "sentence")
    ),
    View.DEAD_LETTERS: _Shown(
        DEAD_LETTERS, _dead_letter, ("rejected_at", "reason", "origin", "origin_index", "error")
    ),
}
