"""What `trailstreams state show` says of a partition."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from streams.agents.job import built_with
from streams.cli.console import print_json, print_rows, say
from streams.cli.rows import Row
from streams.cli.state_rows import Frame, count_rows, instant_or_none, source_words
from streams.connectors.state_log import Place
from streams.engine.meta import META_KEY, Meta, check_meta, decode_meta
from streams.errors import StateError
from streams.settings import Settings
from streams.topics import TopicNames

_PLACE = ("partition", "position", "source log", "lag", "watermark", "fits")
_ROWS = ("partition", "open", "closed", "dedup", "baselines", "anomalies", "changelog")


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One partition's state beside the logs and the settings it has to fit."""

    partition: int
    place: Place
    meta: Meta | None
    frame: Frame
    counts: Mapping[str, int]
    topic_id: str
    """Of the records topic, as it is now."""
    expected: Mapping[str, str]
    """What the settings would build the state with."""
    problem: str
    """Why a worker would refuse this state; empty when it would not."""

    @classmethod
    def of(
        cls,
        settings: Settings,
        partition: int,
        place: Place,
        rows: Mapping[bytes, bytes],
        *,
        topic_id: str,
    ) -> Self:
        """Look at the rows of one partition."""
        frame = Frame.of(rows, window_seconds(rows, settings))
        expected = built_with(settings)
        return cls(
            partition=partition,
            place=place,
            meta=_meta(rows),
            frame=frame,
            counts=count_rows(rows, frame),
            topic_id=topic_id,
            expected=expected,
            problem=_problem(
                f"{TopicNames.of(settings).records}-{partition}", place, rows, topic_id, expected
            )
            or str(frame.damage or ""),
        )

    @property
    def empty(self) -> bool:
        """Whether no worker has written anything yet."""
        return self.meta is None and not any(self.counts.values())

    def row(self) -> Row:
        """Return everything, for pipes."""
        meta, source, changelog = self.meta, self.place.source, self.place.changelog
        return {
            "partition": self.partition,
            "position": meta and meta.position,
            "source_start": source and source.start,
            "source_end": source and source.end,
            "lag": self.lag,
            "group_offset": self.place.group_offset,
            "topic_id": meta and meta.topic_id,
            "topic_id_matches": meta and meta.topic_id == self.topic_id,
            "built_with": meta and meta.built_with,
            "built_with_matches": meta and meta.built_with == self.expected,
            "watermark": instant_or_none(self.frame.state.watermark_ms),
            "purge_line": instant_or_none(self.frame.purge_line_ms),
            "sources": source_words(self.frame.state),
            "rows": self.counts,
            "changelog_start": changelog.start,
            "changelog_end": changelog.end,
            "problem": self.problem,
        }

    @property
    def lag(self) -> int | None:
        """Offsets between the position and the end of the records log."""
        if self.meta is None or self.place.source is None:
            return None
        return self.place.source.end - self.meta.position

    def cells(self) -> Row:
        """Return the main things, for eyes."""
        row, counts, source = self.row(), self.counts, self.place.source
        return {
            "partition": self.partition,
            "position": "-" if self.meta is None else self.meta.position,
            "source log": "-" if source is None else f"{source.start}-{source.end}",
            "lag": "-" if self.lag is None else self.lag,
            "watermark": row["watermark"] or "-",
            "open": counts["open_window_rows"],
            "closed": counts["closed_window_rows"] + counts.get("purged_window_rows", 0),
            "dedup": counts["dedup_blocks"],
            "baselines": counts["baselines"],
            "anomalies": counts["open_anomalies"],
            "changelog": f"{self.place.changelog.start}-{self.place.changelog.end}",
            "fits": "no" if self.problem else "-" if self.empty else "yes",
        }


def print_reports(settings: Settings, reports: Iterable[Report], *, as_json: bool) -> None:
    """Print all partitions; people also get what is the same of all, and each problem in full."""
    if as_json:
        for report in reports:
            print_json(report.row())
        return
    shown = list(reports)
    cells = [report.cells() for report in shown]
    print_rows(cells, columns=_PLACE, as_json=False)
    print_rows(
        cells,
        columns=_ROWS,
        as_json=False,
        title="Rows: of open and closed windows, dedup blocks, baselines, open anomalies",
    )
    sources = _sources(shown)
    if sources:
        columns = ("source instance", "furthest behind", "furthest ahead", "partitions")
        print_rows(sources, columns=columns, as_json=False)
    for line in dict.fromkeys(_lines(settings, shown)):
        say(line)


def window_seconds(rows: Mapping[bytes, bytes], settings: Settings) -> int:
    """Return the window that the rows were built with; the settings' where they do not say."""
    meta = _meta(rows)
    try:
        return int(meta.built_with["window_seconds"]) if meta else settings.window_seconds
    except (KeyError, ValueError):
        return settings.window_seconds


def position_of(rows: Mapping[bytes, bytes]) -> int | None:
    """Return the position the rows are true for; None where they do not say."""
    meta = _meta(rows)
    return meta and meta.position


def _meta(rows: Mapping[bytes, bytes]) -> Meta | None:
    try:
        return decode_meta(rows[META_KEY]) if META_KEY in rows else None
    except StateError:
        return None  # `_problem` says so


def _problem(
    where: str,
    place: Place,
    rows: Mapping[bytes, bytes],
    topic_id: str,
    expected: Mapping[str, str],
) -> str:
    """Return the line with which a worker would stop, or nothing."""
    if META_KEY not in rows:
        if rows:
            return f"{where}: state without a meta row"
        if place.group_offset is not None:
            return (
                f"{where}: no state, but the group has committed offset {place.group_offset}: "
                "the changelog was lost"
            )
        return ""
    if place.source is None:
        return f"{where}: the records topic has no such partition"
    try:
        check_meta(
            decode_meta(rows[META_KEY]),
            where=where,
            topic_id=topic_id,
            built_with=expected,
            log=place.source,
        )
    except StateError as error:
        return str(error)
    return ""


def _lines(settings: Settings, reports: Iterable[Report]) -> Iterable[str]:
    for report in reports:
        if report.meta is not None:
            yield _built(report.meta.built_with, report.expected)
    for report in reports:
        if report.problem:
            yield report.problem
        elif report.empty:
            yield (
                f"No state in {settings.changelog_topic} yet, or not of every partition: a worker "
                "writes it when it first opens a partition."
            )


def _built(built: Mapping[str, str], expected: Mapping[str, str]) -> str:
    differs = [f"{name}={value}" for name, value in expected.items() if built.get(name) != value]
    said = ", ".join(f"{name}={value}" for name, value in built.items())
    return f"Built with {said}" + (f"; the settings say {', '.join(differs)}." if differs else ".")


def _sources(reports: Iterable[Report]) -> list[Row]:
    heard: dict[str, list[int]] = {}
    for report in reports:
        for name, source in report.frame.state.sources.items():
            heard.setdefault(name, []).append(source.up_to_ms)
    return [
        {
            "source instance": name,
            "furthest behind": instant_or_none(min(times)),
            "furthest ahead": instant_or_none(max(times)),
            "partitions": len(times),
        }
        for name, times in sorted(heard.items())
    ]
