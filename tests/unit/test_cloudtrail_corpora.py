"""Real records, read in place: every one parses or is rejected with a reason."""

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.cloudtrail.envelopes import RawRecord, read_object
from streams.cloudtrail.parse import parse
from streams.cloudtrail.record import Origin, Reason, Rejected, TrailRecord

CORPORA = Path(__file__).parents[3] / "shared" / "corpora"
PUBLISHED_MS = 1_800_000_000_000
WINDOW_SECONDS = 300

pytestmark = pytest.mark.skipif(not CORPORA.is_dir(), reason="no corpora beside the checkout")


def records_of(path: Path) -> Iterator[TrailRecord | Rejected]:
    for item in read_object(path.read_bytes(), path.name, max_bytes=1 << 26):
        assert isinstance(item, RawRecord), item
        yield parse(item.raw, item.origin, published_ms=PUBLISHED_MS)


def real_trail() -> list[TrailRecord]:
    folder = CORPORA / "invictus-ir_aws_dataset"
    parsed = [one for path in sorted(folder.glob("*.json.gz")) for one in records_of(path)]
    assert all(isinstance(one, TrailRecord) for one in parsed)
    return [one for one in parsed if isinstance(one, TrailRecord)]


def principal_of_golden(row: dict[str, str]) -> str:
    """Map the golden file's identity columns, which hold the text `None` for an absent member."""
    for column in ("sessionIssuerArn", "userArn"):
        if row[column] != "None":
            return row[column]
    if row["principalId"] != "None":
        return row["principalId"].split(":")[0]
    return row["invokedBy"]


def started_by_golden(row: dict[str, str]) -> str:
    """Map `invokedBy` to what it alone decides.

    The golden file has neither user agent nor source address, so console, direct and the services
    recognized by their address stay one class: `other`.
    """
    invoked_by = row["invokedBy"]
    if invoked_by == "None":
        return "other"
    own = invoked_by in ("AWS Internal", row["eventSource"])
    return "internal" if own else "service"


def started_by(record: TrailRecord) -> str:
    invoked = record.initiator_rule.startswith("invoked-by-")
    return record.activity.initiator if invoked else "other"


def golden_rows() -> Iterator[dict[str, str]]:
    path = CORPORA / "invictus-ir_aws_dataset" / "golden_counts_300s.tsv.gz"
    header, *lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    for line in lines:
        yield dict(zip(header.split("\t"), line.split("\t"), strict=True))


def test_counts_of_the_real_trail_equal_the_golden_ones() -> None:
    golden: Counter[tuple[int, str, str, str, str]] = Counter()
    for row in golden_rows():
        key = (row["eventSource"], row["eventName"], principal_of_golden(row))
        window = int(row["window_start_epoch"])
        golden[(window, *key, started_by_golden(row))] += int(row["count"])
    counted: Counter[tuple[int, str, str, str, str]] = Counter()
    for record in real_trail():
        seconds = record.event_time_ms // 1000
        activity = record.activity
        key = (activity.event_source, activity.event_name, activity.principal)
        counted[(seconds - seconds % WINDOW_SECONDS, *key, started_by(record))] += 1

    assert golden == counted
    assert counted.total() == 2_900


def test_events_of_the_real_trail_are_distinct() -> None:
    """No event is delivered twice in this trail, so no two ids may be equal."""
    records = real_trail()

    assert len(records) == len({record.dedup_id for record in records})


def test_fields_of_the_real_trail_are_the_original_record() -> None:
    for path in sorted((CORPORA / "invictus-ir_aws_dataset").glob("*.json.gz")):
        originals = json.loads(gzip.decompress(path.read_bytes()))["Records"]
        for original, record in zip(originals, records_of(path), strict=True):
            assert isinstance(record, TrailRecord)
            assert original == {
                name: json.loads(bytes(value)) for name, value in record.fields.items()
            }


def test_documented_attack_records_parse_or_say_why_not() -> None:
    """Excerpts in the source code have no event time; nothing else is wrong with any."""
    path = CORPORA / "stratus-red-team" / "records.ndjson.gz"
    parsed = [
        parse(
            json.dumps(json.loads(line)["record"]).encode(),
            Origin(path.name, 0),
            published_ms=PUBLISHED_MS,
        )
        for line in gzip.decompress(path.read_bytes()).splitlines()
    ]

    outcome = Counter(one.reason if isinstance(one, Rejected) else "accepted" for one in parsed)
    assert outcome == {"accepted": 314, Reason.NO_EVENT_TIME: 4}


def test_every_edge_case_parses() -> None:
    path = CORPORA / "edge-cases" / "corpus_verbatim.ndjson"
    lines = path.read_bytes().splitlines()
    parsed = list(records_of(path))

    assert len(lines) == len(parsed)
    for line, record in zip(lines, parsed, strict=True):
        assert isinstance(record, TrailRecord)
        assert all(bytes(value) in line for value in record.fields.values()), "not verbatim"


def test_notifications_are_no_records() -> None:
    """A folder of S3 notifications by mistake must not become counts."""
    for path in sorted((CORPORA / "edge-cases" / "notifications").glob("*.json")):
        for item in read_object(path.read_bytes(), path.name, max_bytes=1 << 20):
            one = (
                parse(item.raw, item.origin, published_ms=PUBLISHED_MS)
                if isinstance(item, RawRecord)
                else item
            )
            assert isinstance(one, Rejected), path.name
