"""Every record of every corpus comes back equal from its value."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from streams.cloudtrail.record import Activity, Origin, TrailRecord
from streams.codecs import Codecs, record_json

CORPORA = Path(__file__).parents[3] / "shared" / "corpora"


def objects(folder: str) -> Iterator[bytes]:
    """Yield each record of a corpus as JSON text."""
    for path in sorted((CORPORA / folder).glob("*.json.gz")):
        yield from map(
            bytes, msgspec.json.decode(gzip.decompress(path.read_bytes()), type=File).Records
        )
    for path in sorted((CORPORA / folder).glob("*.ndjson*")):
        raw = path.read_bytes()
        yield from (gzip.decompress(raw) if path.suffix == ".gz" else raw).splitlines()


class File(msgspec.Struct):
    Records: list[msgspec.Raw]


def unwrapped(text: bytes) -> bytes:
    """Return the record inside a line that carries it with notes of the corpus."""
    members = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    return bytes(members["record"]) if "record" in members else text


def trail(text: bytes) -> TrailRecord:
    """Return a record with the members, its key taken from them without any rule of ours."""
    whole: dict[str, Any] = json.loads(text)
    names = ("recipientAccountId", "awsRegion", "eventSource", "eventName", "eventCategory")
    known = [str(whole.get(name, "")) for name in names]
    return TrailRecord(
        activity=Activity(*known, "direct", "", "unknown", str(whole.get("errorCode", ""))),
        dedup_id=bytes(16),
        event_time_ms=1_700_000_000_000,
        origin=Origin("example", 0),
        initiator_rule="",
        session_name="",
        access_key_id="",
        event_id="",
        event_type="",
        source_ip_address="",
        user_agent="",
        raw=text,
    )


@pytest.mark.parametrize(
    ("folder", "least"),
    [("invictus-ir_aws_dataset", 2900), ("stratus-red-team", 313), ("edge-cases", 14)],
)
def test_every_record_of_the_corpus_is_rebuilt(folder: str, least: int) -> None:
    if not (CORPORA / folder).is_dir():
        pytest.skip(f"the corpus {folder} is not beside this checkout")
    codecs = Codecs()
    texts = [unwrapped(text) for text in objects(folder)]
    for text in texts:
        decoded = codecs.decode_trail_record(codecs.trail_record(trail(text)))
        assert record_json(decoded) == json.loads(text)
    assert len(texts) >= least
