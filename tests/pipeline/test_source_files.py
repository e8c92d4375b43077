"""`source files` to a real Kafka."""

import gzip
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path

import pytest
from sources import (
    MINUTE_MS,
    NOON_MS,
    dead_letters,
    event,
    events,
    log_file,
    log_name,
    messages,
    progress,
    publish,
    records,
)

from streams import topics
from streams.codecs import Codecs, partition_of
from streams.connectors.reader import read
from streams.errors import KafkaUnavailableError
from streams.settings import Settings
from streams.topics import RECORDS, SOURCE_POSITIONS, topic_name


@pytest.fixture
def there(settings: Settings) -> Settings:
    """Return settings whose topics exist."""
    topics.apply(settings)
    return settings


def trail(folder: Path, files: int = 3, records: int = 4) -> list[Path]:
    """Write files ten minutes apart, with events of different APIs."""
    return [
        log_file(
            folder,
            NOON_MS + n * 10 * MINUTE_MS,
            [event(NOON_MS + n * 10 * MINUTE_MS, f"Describe{r}") for r in range(records)],
        )
        for n in range(files)
    ]


def test_each_record_arrives_on_the_partition_of_its_api(there: Settings, tmp_path: Path) -> None:
    trail(tmp_path, records=20)
    tally = publish(there, tmp_path)
    assert (tally.seen, tally.published, tally.rejected) == (60, 60, 0)
    codecs = Codecs()
    found = [
        (message.partition, codecs.decode_activity_key(message.key or b""))
        for message in messages(there, RECORDS)
    ]
    sent = [(at, activity) for at, activity in found if activity.initiator != "none"]
    assert len(sent) == 60
    assert all(at == partition_of(activity, 4) for at, activity in sent)
    assert len({at for at, _ in sent}) > 1


def test_everything_twice_is_twice_on_the_topic_with_the_same_ids(
    there: Settings, tmp_path: Path
) -> None:
    trail(tmp_path)
    publish(there, tmp_path)
    assert publish(there, tmp_path).seen == 0
    assert publish(there, tmp_path, again=True).published == 12
    counts = Counter(record.dedup_id for record in events(there))
    assert len(counts) == 12
    assert set(counts.values()) == {2}


def test_the_last_word_of_complete_is_on_every_partition_after_all_records(
    there: Settings, tmp_path: Path
) -> None:
    trail(tmp_path)
    publish(there, tmp_path, complete=True)
    for partition in range(4):
        assert progress(there, partition)[-1] == NOON_MS + 25 * MINUTE_MS
    last = {message.partition: message for message in messages(there, RECORDS)}
    codecs = Codecs()
    assert all(
        codecs.decode_trail_record(message.value or b"").activity.event_name == "Progress"
        for message in last.values()
    )


def test_progress_comes_after_what_was_read_before_it(there: Settings, tmp_path: Path) -> None:
    trail(tmp_path)
    publish(there, tmp_path)
    # A stamp of 12:10 says: up to 12:00. Everything with an older stamp is before it.
    for partition in range(4):
        assert progress(there, partition) == [NOON_MS + n * MINUTE_MS for n in (-10, 0, 10)]
    said = 0
    for record in records(there):
        if record.activity.initiator == "none":
            said = record.event_time_ms
        else:
            assert record.event_time_ms >= said or said > NOON_MS + 9 * MINUTE_MS


def test_in_reverse_order_the_newest_file_speaks_first(there: Settings, tmp_path: Path) -> None:
    publish(there, *reversed(trail(tmp_path)), as_given=True)
    assert progress(there) == [NOON_MS + 10 * MINUTE_MS]
    assert len(events(there)) == 12


def test_every_bad_input_is_a_dead_letter_with_its_reason(there: Settings, tmp_path: Path) -> None:
    good = json.dumps({"Records": [event(NOON_MS) for _ in range(200)]}).encode()
    (tmp_path / "cut.json.gz").write_bytes(gzip.compress(good)[:-200])
    (tmp_path / "invalid.json").write_bytes(b'{"Records": [{"eventName": NaN}]}')
    (tmp_path / "no-time.json").write_text(json.dumps({"eventName": "X", "eventSource": "y"}))
    (tmp_path / "latin.json").write_bytes(
        json.dumps(event(NOON_MS)).encode()[:-1] + b',"a":"\xff"}'
    )
    (tmp_path / "notes.txt").write_text("no trail")
    (tmp_path / "empty.json").write_text('{"Records": []}')
    log_file(tmp_path, NOON_MS, [event(NOON_MS)])
    tally = publish(there, tmp_path)
    assert tally.seen == tally.published + tally.filtered + tally.rejected
    assert tally.published == len(events(there)) > 1
    assert dead_letters(there) == {
        "cut.json.gz": "truncated",
        "invalid.json": "not_json",
        "no-time.json": "no_event_time",
        "latin.json": "not_utf8",
        "notes.txt": "not_json",
    }
    assert tally.rejected == 5


SOURCE = """
import sys
from pathlib import Path
from sources import publish
from streams.settings import Settings
publish(Settings.model_validate_json(sys.argv[1]), *map(Path, sys.argv[2:]))
"""


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Path]:
    """Yield a FIFO named as the third log file: who reads it waits for a writer."""
    fifo = tmp_path / log_name(NOON_MS + 20 * MINUTE_MS)
    os.mkfifo(fifo)
    yield fifo
    fifo.unlink(missing_ok=True)


@contextmanager
def running_source(settings: Settings, *paths: Path) -> Iterator[None]:
    """Run `source files` in a process of its own and kill it at the end of the block."""
    process = subprocess.Popen(
        [sys.executable, "-c", SOURCE, settings.model_dump_json(), *map(str, paths)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        yield
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def wait_for(settings: Settings, topic: str, count: int) -> None:
    """Read a topic until it holds so many messages."""
    with closing(read(settings, topic_name(settings, topic), until_idle_seconds=60)) as found:
        assert len(list(islice(found, count))) == count


def test_a_killed_source_goes_on_after_the_files_it_finished(
    there: Settings, tmp_path: Path, held: Path
) -> None:
    first = trail(tmp_path, files=2)
    with running_source(there, *first, held):
        wait_for(there, SOURCE_POSITIONS, 2)
    held.unlink()
    log_file(tmp_path, NOON_MS + 20 * MINUTE_MS, [event(NOON_MS + 20 * MINUTE_MS)])
    assert publish(there, tmp_path).published == 1
    counts = Counter(record.dedup_id for record in events(there))
    assert len(counts) == 9
    assert set(counts.values()) == {1}
    # The second process repeats where the first one stood, then goes on.
    assert progress(there) == [NOON_MS + n * MINUTE_MS for n in (-10, 0, 0, 10)]


def test_a_file_not_yet_remembered_at_a_kill_is_published_again(
    there: Settings, tmp_path: Path, held: Path
) -> None:
    # The second file passes no window's end, so only the first one is remembered at once.
    first = log_file(tmp_path, NOON_MS, [event(NOON_MS, "First")])
    second = log_file(tmp_path, NOON_MS + MINUTE_MS, [event(NOON_MS, "Second")])
    with running_source(there, first, second, held):
        wait_for(there, RECORDS, 2 + there.kafka_partitions)
    held.unlink()
    assert publish(there, tmp_path).published == 1
    names = Counter(record.activity.event_name for record in events(there))
    assert names == {"First": 1, "Second": 2}
    assert len({record.dedup_id for record in events(there)}) == 2


def test_a_missing_topic_is_named(settings: Settings, tmp_path: Path) -> None:
    trail(tmp_path)
    with pytest.raises(KafkaUnavailableError, match=rf"{settings.topic_prefix}records is missing"):
        publish(settings, tmp_path)


def test_a_topic_with_other_partitions_is_named(there: Settings, tmp_path: Path) -> None:
    trail(tmp_path)
    other = there.model_copy(update={"kafka_partitions": 3})
    with pytest.raises(KafkaUnavailableError, match="records has 4 partitions, not 3"):
        publish(other, tmp_path)


def test_a_broker_that_is_down_is_one_line(tmp_path: Path) -> None:
    trail(tmp_path)
    away = Settings(kafka_bootstrap_servers="127.0.0.1:9")
    with pytest.raises(KafkaUnavailableError, match=r"127\.0\.0\.1:9") as caught:
        publish(away, tmp_path)
    assert "\n" not in str(caught.value)
