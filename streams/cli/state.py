"""`trailstreams state`: what the changelog holds, and moving or deleting it."""

import sys
from collections.abc import Iterator, Mapping
from enum import StrEnum
from itertools import chain
from typing import Annotated

import typer

from streams.agents.job import built_with
from streams.cli.console import print_json, print_rows, say
from streams.cli.state_report import Report, position_of, print_reports, window_seconds
from streams.cli.state_rows import Frame, row_words
from streams.connectors.state_log import Place, places, read_state, rewrite
from streams.connectors.state_log import Row as StateRow
from streams.engine.meta import FORMAT, META_KEY, Meta, check_meta, decode_meta, encode_meta
from streams.errors import ConfigurationError, StateError
from streams.settings import Settings, load_settings
from streams.topics import TopicNames, check, topic_id

_HELP = """\
Look at the stored state, move its position, or delete it.

The state of a partition (open windows, what was counted already, baselines, open anomalies) and
the position it is true for stand together in the changelog topic. Workers read nothing else: they
ignore the consumer group's offsets, which are there for lag tools only. So the position is moved
here, and not with Kafka's own tools.

When a worker stops with a line that names this command:

- "state was built with ...", "state has format ...", "state without a meta row", "not readable",
"damaged", "the changelog was lost": `state reset`, or go back to the settings named.

- "the source topic was deleted and made again": `state seek --to earliest` keeps what was counted;
`state reset` forgets it.

- "position ... is outside the source log", "no longer in the source log": what is missing cannot be
counted any more; `state seek --to earliest` goes on with what is left.

Begin with `state show`."""
_SEEK_MEANS = """\
Counts, baselines and open anomalies stay as they are.

Back: records are read again. Events of windows that are still kept are recognized and not counted
twice; events of windows purged since are left out as too late.

Forward: the records jumped over are never counted."""
_RESET_MEANS = """\
Deletes the counts of all windows not purged yet, baselines, open anomalies and the memory of what
was counted.

The topics that workers write are not touched. Counts that come again replace the earlier ones of
the same window; a window whose records are partly gone from the log comes out too small; an
anomaly that is open now gets no End unless it is found again."""
_NOTICE = """\
A running worker takes it over within seconds; one that does not run, at its start."""

_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")]
_Partition = Annotated[
    int | None, typer.Option(min=0, help="Only this partition; without it all of them.")
]
_Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


class End(StrEnum):
    """Either end of the records log."""

    EARLIEST = "earliest"
    LATEST = "latest"


def add(app: typer.Typer) -> None:
    """Attach the commands."""
    state = typer.Typer(help=_flowing(_HELP), no_args_is_help=True)
    state.command("show")(run_show)
    state.command("export")(run_export)
    moving = f"Move the position in the records log.\n\n{_SEEK_MEANS}\n\n{_NOTICE}"
    state.command("seek", help=_flowing(moving))(run_seek)
    deleting = f"Delete the state and begin anew.\n\n{_RESET_MEANS}\n\n{_NOTICE}"
    state.command("reset", help=_flowing(deleting))(run_reset)
    app.add_typer(state, name="state")


def run_show(*, partition: _Partition = None, as_json: _Json = False) -> None:
    """Show each partition: position and lag, watermark and sources, rows, and whether it fits.

    "fits" is what a worker would check at its start. Disturbs nobody.
    """
    settings = load_settings()
    found = _chosen(settings, partition)
    source_id = topic_id(settings, TopicNames.of(settings).records)
    reports = (
        Report.of(settings, number, place, read_state(settings, number), topic_id=source_id)
        for number, place in found.items()
    )
    print_reports(settings, reports, as_json=as_json)


def run_export(*, partition: _Partition = None) -> None:
    """Print every row of the state in words, one JSON object a line. Disturbs nobody."""
    settings = load_settings()
    for number in _chosen(settings, partition):
        rows = read_state(settings, number)
        frame = Frame.of(rows, window_seconds(rows, settings))
        for words in row_words(rows, frame):
            print_json({"partition": number, **words})


def run_seek(
    *,
    to: Annotated[
        str,
        typer.Option(
            metavar="earliest|latest|OFFSET",
            show_default=False,
            help="Begin or end of the records log, or an offset within it.",
        ),
    ],
    partition: _Partition = None,
    yes: _Yes = False,
    as_json: _Json = False,
) -> None:
    """Move the position; see the help text above."""
    settings = load_settings()
    check(settings)
    targets = _targets(_chosen(settings, partition), to)
    _confirm(settings, targets, _SEEK_MEANS, yes=yes)
    _rewrite(settings, targets, keep=True, as_json=as_json)


def run_reset(
    *,
    to: Annotated[End, typer.Option(show_default=False, help="Where to begin in the records log.")],
    partition: _Partition = None,
    yes: _Yes = False,
    as_json: _Json = False,
) -> None:
    """Delete the state; see the help text above."""
    settings = load_settings()
    check(settings)
    targets = _targets(_chosen(settings, partition), to)
    _confirm(settings, targets, _RESET_MEANS, yes=yes)
    _rewrite(settings, targets, keep=False, as_json=as_json)


def _flowing(text: str) -> str:
    """Return paragraphs as one line each: the help wraps them itself."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def _chosen(settings: Settings, partition: int | None) -> Mapping[int, Place]:
    found = places(settings)
    if partition is None:
        return found
    if partition not in found:
        raise ConfigurationError(
            f"--partition {partition}: {settings.changelog_topic} has 0 to {max(found)}"
        )
    return {partition: found[partition]}


def _targets(found: Mapping[int, Place], to: str) -> dict[int, int]:
    """Return the new position of each partition; raise ConfigurationError for one outside."""
    if to not in set(End):
        if not to.isascii() or not to.isdigit():
            raise ConfigurationError(f"--to {to}: neither earliest, latest nor an offset")
        if len(found) > 1:
            raise ConfigurationError(f"--to {to}: an offset is of one partition; add --partition")
    return {number: _target(number, place, to) for number, place in found.items()}


def _target(partition: int, place: Place, to: str) -> int:
    if place.source is None:
        raise ConfigurationError(f"partition {partition}: the records topic does not have it")
    start, end = place.source
    if to == End.EARLIEST:
        return start
    if to == End.LATEST:
        return end
    if not start <= int(to) <= end:
        raise ConfigurationError(f"--to {to}: partition {partition} has offsets {start} to {end}")
    return int(to)


def _confirm(settings: Settings, targets: Mapping[int, int], means: str, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigurationError("nobody is here to answer: add --yes to go on without asking")
    moves = ", ".join(f"partition {number} at {position}" for number, position in targets.items())
    say(f"{means}\n\n{TopicNames.of(settings).records} will be read on from: {moves}.")
    typer.confirm("Go on?", abort=True, err=True)


class _Change:
    """One partition's new position, and what it does to the rows that stand there."""

    def __init__(self, where: str, meta: Meta, *, keep: bool) -> None:
        self._where = where
        self._meta = meta
        self._keep = keep
        self.before: int | None = None
        self.deleted = 0

    def __call__(self, rows: Mapping[bytes, bytes]) -> Iterator[StateRow]:
        """Return what to write; raise StateError where the rows cannot be kept."""
        if self._keep:
            self._check(rows)
        self.before = position_of(rows)
        gone = () if self._keep else tuple(key for key in rows if key != META_KEY)
        self.deleted = len(gone)
        return chain(((key, None) for key in gone), [(META_KEY, encode_meta(self._meta))])

    def _check(self, rows: Mapping[bytes, bytes]) -> None:
        """Refuse to call rows ours that other settings built: they would be counted on wrongly."""
        value = rows.get(META_KEY)
        if value is not None:
            meta = decode_meta(value)._replace(topic_id="", position=0)
            check_meta(
                meta, where=self._where, topic_id="", built_with=self._meta.built_with, log=(0, 0)
            )
        elif rows:
            raise StateError(f"{self._where}: state without a meta row can only be reset")


def _rewrite(settings: Settings, targets: Mapping[int, int], *, keep: bool, as_json: bool) -> None:
    records = TopicNames.of(settings).records
    source_id = topic_id(settings, records)
    done: list[dict[str, object]] = []
    try:
        for number, position in targets.items():
            meta = Meta(FORMAT, position, source_id, built_with(settings))
            change = _Change(f"{records}-{number}", meta, keep=keep)
            rewrite(settings, number, change)
            row: dict[str, object] = {"partition": number, "from": change.before, "to": position}
            if not keep:
                row["deleted_rows"] = change.deleted
            done.append(row)
    finally:
        # Each partition is changed by itself: what was done before an error stays done.
        if done:
            print_rows(done, columns=tuple(done[0]), as_json=as_json)
    say(_NOTICE)
