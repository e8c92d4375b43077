"""What a `read_committed` reader finds on the topics, held against truth."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from enum import StrEnum
from itertools import pairwise
from typing import Any, NamedTuple

import msgspec
import numpy as np
from helpers.kafka import read_all

from faults.truth import Counted, CountKey, Counts, Folded
from streams.codecs import Codecs, partition_of
from streams.counting.counts import ActivityCount
from streams.detection.anomaly import Anomaly, State
from streams.detection.episode import decode_episode
from streams.engine.meta import META_KEY, decode_meta
from streams.settings import Settings
from streams.state.layout import IDS, WINDOW_ROW, RowType, split_block_key
from streams.topics import TopicNames

# What depends on when snapshots were taken: how often a record was revised, and what was sampled
# while it was provisional.
_NOT_COMPARED = {"revision", "evidence", "attributions", "sentence"}


class Kind(StrEnum):
    """What can be amiss."""

    LOST = "lost"
    WRONG = "wrong"
    REPEATED = "repeated"


class Difference(NamedTuple):
    """One thing that is not as it should be."""

    kind: Kind
    what: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}"


def audit(
    settings: Settings, counts: Counts, folded: Folded, ends: Mapping[int, int]
) -> list[Difference]:
    """Read every topic of the worker's and return all differences from truth.

    `ends` is where each partition of `records` ends: where the state must stand.
    """
    return [
        *_counts(settings, counts.closed),
        *_dead_letters(settings, counts.unreadable),
        *_anomalies(settings, folded.anomalies),
        *_changelog(settings, folded.changelog, ends),
    ]


# Counts.


def _counts(settings: Settings, truth: Mapping[CountKey, Counted]) -> Iterator[Difference]:
    codecs = Codecs()
    emitted: defaultdict[CountKey, list[ActivityCount]] = defaultdict(list)
    for message in read_all(settings, TopicNames.of(settings).counts):
        key = codecs.decode_activity_window(message.key())
        emitted[key].append(codecs.decode_activity_count(message.value()))
        if message.partition() != partition_of(key[0], settings.kafka_partitions):
            yield Difference(Kind.WRONG, f"count of {_row(key)} in partition {message.partition()}")
    yield from _missing("count of", map(_row, truth.keys() - emitted.keys()))
    yield from _invented("count of", map(_row, emitted.keys() - truth.keys()))
    for key in truth.keys() & emitted.keys():
        yield from _revisions(_row(key), emitted[key], truth[key])


def _revisions(name: str, counts: Sequence[ActivityCount], truth: Counted) -> Iterator[Difference]:
    """Hold one row's emissions against truth: every revision once, absolute, growing."""
    first = 1 if truth.at_close is None else 0
    revisions = [count.revision for count in counts]
    expected = list(range(first, first + len(counts)))
    if revisions != expected:
        kind = Kind.REPEATED if len(set(revisions)) < len(revisions) else Kind.WRONG
        yield Difference(kind, f"{name} has revisions {revisions}, not {expected}")
    calls = [count.count for count in counts]
    if any(later <= sooner for sooner, later in pairwise(calls)):
        yield Difference(Kind.WRONG, f"{name} does not grow: {calls}")
    if first == 0 and calls[0] != truth.at_close:
        yield Difference(Kind.WRONG, f"{name} closed with {calls[0]}, not {truth.at_close}")
    last = counts[-1]
    found = (last.count, last.first_event_ms, last.last_event_ms)
    if found != (truth.calls, truth.first_ms, truth.last_ms):
        kind = Kind.LOST if last.count < truth.calls else Kind.WRONG
        yield Difference(kind, f"{name} is {found}, not {tuple(truth[1:])}")


def _row(key: CountKey) -> str:
    activity, start_ms = key
    return f"{activity.event_name} by {activity.principal} at {start_ms}"


# Anomalies and dead letters.


def _anomalies(settings: Settings, truth: Mapping[str, Anomaly]) -> Iterator[Difference]:
    codecs = Codecs()
    emitted: defaultdict[str, list[Anomaly]] = defaultdict(list)
    for message in read_all(settings, TopicNames.of(settings).anomalies):
        anomaly = codecs.decode_anomaly(message.value())
        emitted[anomaly.anomaly_id].append(anomaly)
    for anomaly_id, records in emitted.items():
        yield from _transitions(anomaly_id, records)
    final = {
        anomaly_id: records[-1]
        for anomaly_id, records in emitted.items()
        if not records[-1].provisional and records[-1].state is not State.RETRACTED
    }
    yield from _missing("anomaly", truth.keys() - final.keys())
    yield from _invented("anomaly", final.keys() - truth.keys())
    for anomaly_id in truth.keys() & final.keys():
        found, expected = _comparable(final[anomaly_id]), _comparable(truth[anomaly_id])
        if found != expected:
            yield Difference(Kind.WRONG, f"anomaly {anomaly_id} is {found}, not {expected}")


def _transitions(anomaly_id: str, records: Sequence[Anomaly]) -> Iterator[Difference]:
    revisions = [record.revision for record in records]
    if revisions != list(range(len(records))):
        kind = Kind.REPEATED if len(set(revisions)) < len(revisions) else Kind.WRONG
        yield Difference(kind, f"anomaly {anomaly_id} has revisions {revisions}")
    states = [record.state for record in records]
    if any(state is not State.START for state in states[:-1]):
        yield Difference(Kind.WRONG, f"anomaly {anomaly_id} goes on after its end: {states}")


def _comparable(anomaly: Anomaly) -> dict[str, object]:
    return {k: v for k, v in asdict(anomaly).items() if k not in _NOT_COMPARED}


def _dead_letters(settings: Settings, truth: set[tuple[int, int]]) -> Iterator[Difference]:
    codecs = Codecs()
    found: Counter[tuple[int, int]] = Counter()
    for message in read_all(settings, TopicNames.of(settings).dead_letters):
        origin = codecs.decode_dead_letter(message.value()).origin
        found[int(origin.object.rpartition("/")[2]), origin.index] += 1
    yield from _missing("dead letter of", map(str, truth - found.keys()))
    yield from _invented("dead letter of", map(str, found.keys() - truth))
    for place, times in found.items():
        if times > 1:
            yield Difference(Kind.REPEATED, f"dead letter of {place}: {times} times")


# The changelog.


def _changelog(
    settings: Settings, truth: Mapping[int, Mapping[bytes, bytes]], ends: Mapping[int, int]
) -> Iterator[Difference]:
    kept: defaultdict[int, dict[bytes, bytes]] = defaultdict(dict)
    for message in read_all(settings, settings.changelog_topic):
        rows = kept[message.partition()]
        if message.value() is None:
            rows.pop(message.key(), None)
        else:
            rows[message.key()] = message.value()
    for partition, end in ends.items():
        rows = kept[partition]
        meta = rows.pop(META_KEY, None)
        position = decode_meta(meta).position if meta else None
        if position != end:
            yield Difference(Kind.WRONG, f"partition {partition} stands at {position}, not {end}")
        found, expected = _meaning(rows), _meaning(truth.get(partition, {}))
        where = f"partition {partition}: row"
        yield from _missing(where, map(str, expected.keys() - found.keys()))
        yield from _invented(where, map(str, found.keys() - expected.keys()))
        for key in found.keys() & expected.keys():
            if found[key] != expected[key]:
                what = f"{where} {key} is {found[key]}, not {expected[key]}"
                yield Difference(Kind.WRONG, what)


def _meaning(rows: Mapping[bytes, bytes]) -> dict[tuple[str, Any], object]:
    """Return what rows say, less what depends on when they were written.

    That is the revision of an amended row, how ids are spread over blocks, and provisional
    anomalies.
    """
    meaning: dict[tuple[str, Any], object] = {}
    ids: defaultdict[int, list[int]] = defaultdict(list)
    for key, value in rows.items():
        kind = RowType(key[0])
        if kind is RowType.WINDOW_ROW:
            count, _, first, last = np.frombuffer(value, WINDOW_ROW)[0].tolist()
            meaning[kind.name, key] = (count, first, last)
        elif kind is RowType.DEDUP_BLOCK:
            ids[split_block_key(key)[0]] += np.frombuffer(value, IDS).tolist()
        elif kind is RowType.OPEN_ANOMALY:
            episode = decode_episode(value)
            if not episode.provisional:
                told = msgspec.structs.asdict(episode)
                del told["tally"], told["revision"]
                meaning[kind.name, key] = told
        else:
            meaning[kind.name, key] = value
    return meaning | {("ids", start): sorted(numbers) for start, numbers in ids.items()}


def _missing(what: str, names: Iterator[str] | set[str]) -> Iterator[Difference]:
    return (Difference(Kind.LOST, f"{what} {name}") for name in names)


def _invented(what: str, names: Iterator[str] | set[str]) -> Iterator[Difference]:
    return (Difference(Kind.WRONG, f"{what} {name}, which should not be") for name in names)
