"""Files as columns say what their records say, whichever processes read them."""

import gzip
import json
import os
from pathlib import Path

import pytest

from streams.cloudtrail.record import Reason, Rejected, TrailRecord
from streams.codecs import decode_activity
from streams.connectors.columns import FileColumns, portions, read_columns
from streams.connectors.listing import TrailFile, find
from streams.connectors.processes import processes_for, read_in_order, usable_processors
from streams.connectors.trail_files import read_file
from streams.errors import InputError
from streams.scan import Scan
from streams.settings import load_settings

LIMIT = 1 << 20


def event(number: int, name: str, **more: object) -> dict[str, object]:
    return {
        "eventTime": f"2024-05-01T09:{number % 60:02}:11Z",
        "eventName": name,
        "eventSource": "s3.amazonaws.com",
        "eventID": f"00000000-0000-4000-8000-{number:012}",
        "recipientAccountId": "111122223333",
        "sourceIPAddress": "192.0.2.1",
        **more,
    }


def write(path: Path, records: list[object]) -> None:
    path.write_bytes(gzip.compress(json.dumps({"Records": records}).encode()))


@pytest.fixture
def files(tmp_path: Path) -> tuple[TrailFile, ...]:
    """Write files of two APIs each, one of them with everything else a file may hold."""
    for number in range(7):
        calls = [event(9 * number + at, f"Get{(number + at) % 3}") for at in range(5)]
        write(tmp_path / f"{number}.json.gz", [*calls, calls[0]])
    insight = event(1, "Insight", eventCategory="Insight")
    write(tmp_path / "7.json.gz", [event(70, "Put"), insight, {"eventName": "NoTime"}, 5])
    (tmp_path / "8.json").write_text("no JSON")
    return find([str(tmp_path)])


def assert_equal(left: FileColumns, right: FileColumns) -> None:
    assert left.bodies == right.bodies
    for column in ("keys", "ids", "times_ms"):
        assert getattr(left, column).tolist() == getattr(right, column).tolist()
    assert (left.rejected, left.filtered) == (right.rejected, right.filtered)


def test_columns_hold_every_record_in_its_order(files: tuple[TrailFile, ...]) -> None:
    """The obvious way beside it: one record after the other."""
    for file in files:
        items = list(read_file(file, max_bytes=LIMIT))
        records = [item for item in items if isinstance(item, TrailRecord)]
        columns = read_columns(file, max_bytes=LIMIT)
        activities = [decode_activity(columns.bodies[key]) for key in columns.keys]
        assert activities == [record.activity for record in records]
        assert columns.times_ms.tolist() == [record.event_time_ms for record in records]
        assert columns.ids.tobytes() == b"".join(record.dedup_id[:8] for record in records)
        rejected = [item.origin for item in items if isinstance(item, Rejected)]
        assert [item.origin for item in columns.rejected] == rejected
        assert len(items) == len(records) + len(rejected) + columns.filtered


def test_other_processes_hand_over_the_same_columns_in_the_same_order(
    files: tuple[TrailFile, ...],
) -> None:
    here = list(read_in_order(files, max_bytes=LIMIT, processes=1))
    there = list(read_in_order(files, max_bytes=LIMIT, processes=2))
    assert len(here) == len(there) == len(files)
    for left, right in zip(here, there, strict=True):
        assert_equal(left, right)
    assert [item.reason for item in there[-1].rejected] == [Reason.NOT_JSON]


def test_a_scan_by_two_processes_finds_what_one_finds(files: tuple[TrailFile, ...]) -> None:
    settings = load_settings({})
    paths = [file.path for file in files]
    one, two = (Scan(settings).run(paths, processes=processes) for processes in (1, 2))
    assert one == two
    assert (one.seen, one.counted, one.duplicates, one.filtered) == (47, 36, 7, 1)
    assert len(one.rejected) == 3


@pytest.mark.parametrize("processes", [1, 2])
def test_a_file_that_vanished_is_told_in_one_line(
    files: tuple[TrailFile, ...], processes: int
) -> None:
    Path(files[3].path).unlink()
    read = read_in_order(files, max_bytes=LIMIT, processes=processes)
    with pytest.raises(InputError, match=r"3\.json\.gz: cannot read it: no such file"):
        list(read)


def test_portions_keep_order_and_bounds() -> None:
    sizes = [1, 2, 9, 1, 1, 1, 1, 30, 4]
    files = tuple(TrailFile(str(at), str(at), size, 0, None) for at, size in enumerate(sizes))
    found = list(portions(files, most_bytes=10, most_files=3))
    assert [[file.size_bytes for file in portion] for portion in found] == [
        [1, 2],
        [9, 1],
        [1, 1, 1],
        [30],
        [4],
    ]
    assert tuple(file for portion in found for file in portion) == files


def test_little_is_read_in_this_process_and_much_by_every_processor() -> None:
    def sized(size_bytes: int) -> tuple[TrailFile, ...]:
        return (TrailFile("a", "a", size_bytes, 0, None),)

    assert processes_for(sized(1024)) == 1
    assert processes_for(sized(1 << 30)) == usable_processors()
    assert 1 <= usable_processors() <= (os.cpu_count() or 1)
