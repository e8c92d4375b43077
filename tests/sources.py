"""What the tests of sources share: trail files, and an outlet that keeps what it takes."""

import gzip
import json
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

from prometheus_client import CollectorRegistry

from streams.cloudtrail.record import Rejected, Skipped, TrailRecord
from streams.codecs import Codecs, SourcePosition
from streams.connectors import running
from streams.connectors.files import FilesOptions
from streams.connectors.outlet import Item, Tally
from streams.connectors.reader import Message, read
from streams.connectors.registry import SOURCES
from streams.metrics import Metrics
from streams.settings import Settings
from streams.topics import DEAD_LETTERS, RECORDS, topic_name

MINUTE_MS = 60_000
NOON_MS = 1_767_614_400_000
"""2026-01-05T12:00:00Z"""


def event(time_ms: int, name: str = "DescribeAlarms", **members: object) -> dict[str, object]:
    """Return a record as CloudTrail writes it."""
    return {
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "IAMUser",
            "arn": "arn:aws:iam::111122223333:user/example",
            "accountId": "111122223333",
            "userName": "example",
        },
        "eventTime": f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}",
        "eventSource": "monitoring.amazonaws.com",
        "eventName": name,
        "awsRegion": "us-east-1",
        "sourceIPAddress": "192.0.2.1",
        "userAgent": "aws-cli/2",
        "eventID": str(uuid.uuid4()),
        "eventCategory": "Management",
        "recipientAccountId": "111122223333",
        **members,
    }


def log_name(stamp_ms: int, unique: str = "Abcdefghijklmnop") -> str:
    """Return the name of a log file delivered then."""
    stamp = datetime.fromtimestamp(stamp_ms / 1000, UTC)
    return f"111122223333_CloudTrail_us-east-1_{stamp:%Y%m%dT%H%MZ}_{unique}.json.gz"


def log_file(folder: Path, stamp_ms: int, records: Sequence[object]) -> Path:
    """Write a log file as CloudTrail delivers it."""
    path = folder / log_name(stamp_ms)
    path.write_bytes(gzip.compress(json.dumps({"Records": records}).encode()))
    return path


def publish(settings: Settings, *paths: Path, **options: bool) -> Tally:
    """Run `source files` in this process."""
    source = SOURCES["files"]
    given = FilesOptions(paths=tuple(map(str, paths)), **options)
    connector = running.prepare(
        source, given, settings, source_id="files", advance=lambda _done, _total: None
    )
    metrics = Metrics(CollectorRegistry(), max_series=100)
    return running.run(connector, settings, metrics, Event(), source_id="files")


def messages(settings: Settings, topic: str) -> list[Message]:
    """Return all that is on a topic."""
    return list(read(settings, topic_name(settings, topic), until_end=True))


def records(settings: Settings, topic: str = RECORDS) -> list[TrailRecord]:
    """Return all records on a topic, Progress included, each partition in its order."""
    codecs = Codecs()
    return [codecs.decode_trail_record(m.value or b"") for m in messages(settings, topic)]


def events(settings: Settings) -> list[TrailRecord]:
    """Return the published events."""
    return [record for record in records(settings) if record.initiator_rule]


def progress(settings: Settings, partition: int = 0) -> list[int]:
    """Return every `up_to` said on a partition."""
    codecs = Codecs()
    found = [m for m in messages(settings, RECORDS) if m.partition == partition]
    said = [codecs.decode_trail_record(message.value or b"") for message in found]
    return [record.event_time_ms for record in said if record.activity.initiator == "none"]


def dead_letters(settings: Settings) -> dict[str, str]:
    """Return the reason of each dead letter by the name of its file."""
    codecs = Codecs()
    letters = [codecs.decode_dead_letter(m.value or b"") for m in messages(settings, DEAD_LETTERS)]
    return {Path(letter.origin.object).name: letter.reason.value for letter in letters}


class Kept:
    """The outlet's twin in memory: keeps everything in the order it came."""

    def __init__(self) -> None:
        self.log: list[Item | SourcePosition | int | str] = []

    def publish(self, item: Item) -> None:
        self.log.append(item)

    def progress(self, up_to_ms: int) -> None:
        self.log.append(up_to_ms)

    def heartbeat(self) -> None:
        self.log.append("heartbeat")

    def remember(self, position: SourcePosition) -> None:
        self.log.append(position)

    def flush(self) -> None:
        pass

    @property
    def tally(self) -> Tally:
        return Tally(
            seen=len(self.of(TrailRecord)) + len(self.of(Rejected)) + len(self.of(Skipped)),
            published=len(self.of(TrailRecord)),
            filtered=len(self.of(Skipped)),
            rejected=len(self.of(Rejected)),
        )

    def of(self, kind: type) -> list[object]:
        """Return what it took of one kind, in order."""
        return [entry for entry in self.log if isinstance(entry, kind)]
