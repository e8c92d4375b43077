"""`source files` without Kafka: what it publishes, says and remembers."""

import gzip
import os
from collections.abc import Mapping
from pathlib import Path
from threading import Event

import pytest
from sources import MINUTE_MS, NOON_MS, Kept, event, log_file, log_name

from streams.cloudtrail.record import Reason, Rejected, Skipped, TrailRecord
from streams.codecs import SourcePosition
from streams.connectors.files import Files, FilesOptions
from streams.errors import InputError
from streams.settings import Settings, load_settings

SETTINGS = load_settings({})


def run(
    *paths: Path,
    remembered: Mapping[str, SourcePosition] | None = None,
    settings: Settings = SETTINGS,
    stop: Event | None = None,
    **options: bool,
) -> tuple[Kept, Files]:
    outlet = Kept()
    files = Files(
        FilesOptions(paths=tuple(map(str, paths)), **options),
        settings,
        source_id="files",
        remembered=remembered or {},
        advance=lambda _done, _total: None,
    )
    files.run(outlet, stop or Event())
    return outlet, files


def positions(outlet: Kept) -> dict[str, SourcePosition]:
    return {p.object: p for p in outlet.of(SourcePosition) if isinstance(p, SourcePosition)}


def published(outlet: Kept) -> list[str]:
    return [r.activity.event_name for r in outlet.of(TrailRecord) if isinstance(r, TrailRecord)]


def three_files(folder: Path) -> list[Path]:
    return [
        log_file(folder, NOON_MS + n * 10 * MINUTE_MS, [event(NOON_MS + n * 10 * MINUTE_MS, name)])
        for n, name in enumerate(("First", "Second", "Third"))
    ]


def test_files_are_read_in_the_order_of_their_delivery(tmp_path: Path) -> None:
    paths = three_files(tmp_path)
    assert published(run(*reversed(paths))[0]) == ["First", "Second", "Third"]


def test_as_given_they_are_read_as_given(tmp_path: Path) -> None:
    paths = three_files(tmp_path)
    outlet, _ = run(*reversed(paths), as_given=True)
    assert published(outlet) == ["Third", "Second", "First"]
    assert outlet.of(int) == [NOON_MS + 10 * MINUTE_MS]


def test_up_to_follows_each_file_and_its_position(tmp_path: Path) -> None:
    three_files(tmp_path)
    outlet, _ = run(tmp_path)
    kinds = [type(entry) for entry in outlet.log if entry != "heartbeat"]
    assert kinds == [TrailRecord, int, SourcePosition] * 3
    assert outlet.of(int) == [NOON_MS + n * 10 * MINUTE_MS for n in (-1, 0, 1)]


def test_complete_ends_with_the_window_of_the_newest_event(tmp_path: Path) -> None:
    three_files(tmp_path)
    outlet, _ = run(tmp_path, complete=True)
    assert outlet.of(int)[-1] == NOON_MS + 25 * MINUTE_MS


def test_finished_files_are_left_out_and_that_is_said(tmp_path: Path) -> None:
    three_files(tmp_path)
    remembered = positions(run(tmp_path)[0])
    outlet, files = run(tmp_path, remembered=remembered)
    assert published(outlet) == []
    assert "3 files" in files.remarks()[0]


def test_a_changed_file_is_another_file(tmp_path: Path) -> None:
    first, *_ = three_files(tmp_path)
    remembered = positions(run(tmp_path)[0])
    os.utime(first, (1, 1))
    assert published(run(tmp_path, remembered=remembered)[0]) == ["First"]


def test_again_publishes_finished_files_once_more(tmp_path: Path) -> None:
    three_files(tmp_path)
    remembered = positions(run(tmp_path)[0])
    outlet, files = run(tmp_path, remembered=remembered, again=True)
    assert published(outlet) == ["First", "Second", "Third"]
    assert files.remarks() == ()


def test_a_second_process_begins_where_the_first_stood(tmp_path: Path) -> None:
    three_files(tmp_path)
    remembered = positions(run(tmp_path)[0])
    outlet, _ = run(tmp_path, remembered=remembered)
    assert outlet.of(int) == [NOON_MS + 10 * MINUTE_MS]


def test_complete_is_made_up_for_after_a_crash_before_it(tmp_path: Path) -> None:
    three_files(tmp_path)
    remembered = positions(run(tmp_path)[0])
    outlet, _ = run(tmp_path, remembered=remembered, complete=True)
    assert outlet.of(int)[-1] == NOON_MS + 25 * MINUTE_MS
    last, _ = run(tmp_path, remembered={**remembered, **positions(outlet)}, complete=True)
    assert last.of(int) == [NOON_MS + 25 * MINUTE_MS]


def test_a_stopped_source_does_not_finish_the_file_it_is_in(tmp_path: Path) -> None:
    three_files(tmp_path)
    stop = Event()
    stop.set()
    outlet, _ = run(tmp_path, stop=stop, complete=True)
    assert published(outlet) == ["First"]
    assert outlet.of(int) == outlet.of(SourcePosition) == []


def test_input_too_old_to_be_counted_is_refused_and_the_ways_out_are_named(tmp_path: Path) -> None:
    three_files(tmp_path)
    remembered = positions(run(tmp_path)[0])
    old = log_file(tmp_path, NOON_MS - 351 * MINUTE_MS, [event(NOON_MS)])
    with pytest.raises(InputError, match=r"scan.*TOPIC_PREFIX.*--force"):
        run(old, remembered=remembered)
    assert published(run(old, remembered=remembered, force=True)[0]) == ["DescribeAlarms"]


def test_input_just_young_enough_is_taken(tmp_path: Path) -> None:
    three_files(tmp_path)
    remembered = positions(run(tmp_path)[0])
    old = log_file(tmp_path, NOON_MS - 350 * MINUTE_MS, [event(NOON_MS)])
    assert published(run(old, remembered=remembered)[0]) == ["DescribeAlarms"]


def test_a_folder_of_other_files_is_one_dead_letter_each(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n\x00\xff")
    (tmp_path / "other.json").write_text('{"a": 1}')
    outlet, _ = run(tmp_path)
    reasons = [item.reason for item in outlet.of(Rejected) if isinstance(item, Rejected)]
    assert reasons == [Reason.NOT_JSON, Reason.NOT_A_RECORD, Reason.NOT_JSON]
    assert outlet.of(int) == []


def test_a_digest_file_is_filtered(tmp_path: Path) -> None:
    digest = b'{"digestStartTime":"2026-01-05T11:00:00Z","digestEndTime":"","logFiles":[]}'
    (tmp_path / "digest.json.gz").write_bytes(gzip.compress(digest))
    outlet, _ = run(tmp_path)
    assert len(outlet.of(Skipped)) == outlet.tally.seen == 1


def test_a_file_that_vanishes_is_one_line_and_what_came_before_is_remembered(
    tmp_path: Path,
) -> None:
    first, second, _ = three_files(tmp_path)
    outlet = Kept()
    files = Files(
        FilesOptions(paths=(str(tmp_path),)),
        SETTINGS,
        source_id="files",
        remembered={},
        advance=lambda done, _total: second.unlink() if done == 1 else None,
    )
    with pytest.raises(InputError, match=rf"{log_name(NOON_MS + 10 * MINUTE_MS)}.*no such file"):
        files.run(outlet, Event())
    assert list(positions(outlet)) == [str(first)]


def test_a_position_adds_up(tmp_path: Path) -> None:
    path = log_file(tmp_path, NOON_MS, [event(NOON_MS), {"eventName": "x"}, event(NOON_MS)])
    position = positions(run(path)[0])[str(path)]
    assert (position.seen, position.published, position.rejected) == (3, 2, 1)
    assert position.size_bytes == path.stat().st_size
