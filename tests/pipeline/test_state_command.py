"""`trailstreams state`: every way out of a refused state, with a real worker after it."""

import io
import json
import os
import pty
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions
from helpers.kafka import producer, read_all, wait_until
from helpers.workers import Workers, settings_environment
from sources import MINUTE_MS, NOON_MS, event, log_file, publish

from streams.cli import main
from streams.codecs import Codecs
from streams.connectors.state_log import Owner, places, read_state, rewrite
from streams.engine.meta import META_KEY
from streams.errors import StateError
from streams.settings import Settings
from streams.topics import TopicNames, apply

EVENTS = 240
WINDOW_MS = 5 * MINUTE_MS
Counts = Counter[tuple[str, int]]
FORMAT_2 = {"format": 2, "position": 0, "topic_id": "", "built_with": {}}


@pytest.fixture
def ours(settings: Settings) -> Settings:
    """Return settings of a deployment whose topics are there and whose workers flush often."""
    apply(settings)
    return settings.model_copy(update={"flush_seconds": 0.2, "kafka_session_timeout_seconds": 6})


@pytest.fixture
def workers(ours: Settings, tmp_path: Path) -> Iterator[Workers]:
    with Workers(ours, tmp_path) as workers:
        yield workers


def fill(settings: Settings, folder: Path, start_ms: int = NOON_MS) -> Counts:
    """Publish half an hour of 24 APIs' events, in every partition some; return the truth."""
    folder.mkdir(exist_ok=True)
    times = [(start_ms + n * 7500, f"Describe{n % 24}") for n in range(EVENTS)]
    records = [event(at, name) for at, name in times]
    path = log_file(folder, start_ms + 40 * MINUTE_MS, records)
    assert publish(settings, path, complete=True).published == EVENTS
    return Counter((name, at // WINDOW_MS * WINDOW_MS) for at, name in times)


def again(settings: Settings, folder: Path) -> None:
    publish(settings, *folder.iterdir(), complete=True, again=True)


def counted(settings: Settings) -> Counts:
    codecs, final = Codecs(), Counter()
    for message in read_all(settings, TopicNames.of(settings).counts):
        activity, start_ms = codecs.decode_activity_window(message.key())
        final[activity.event_name, start_ms] = codecs.decode_activity_count(message.value()).count
    return final


class Done(NamedTuple):
    """What a command left behind."""

    code: int
    stdout: str
    stderr: str


def state(settings: Settings, *words: object, **environment: str) -> Done:
    """Run `trailstreams state` as typed, in this process: a new one takes a second to start."""
    output, messages = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (settings_environment(settings) | environment).items():
            patch.setenv(name, value)
        patch.setattr(sys, "argv", ["trailstreams", "state", *map(str, words)])
        with (
            redirect_stdout(output),
            redirect_stderr(messages),
            pytest.raises(SystemExit) as ended,
        ):
            main()
    return Done(int(ended.value.code or 0), output.getvalue(), messages.getvalue())


def rows(settings: Settings, *words: object, **environment: str) -> list[dict[str, Any]]:
    done = state(settings, *words, **environment)
    assert done.code == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def show(settings: Settings, **environment: str) -> list[dict[str, Any]]:
    return rows(settings, "show", "--json", **environment)


def run_to_end(settings: Settings, workers: Workers, name: str, **environment: str) -> None:
    """Run a worker until it has counted everything, then stop it."""
    workers.start(name, **environment)
    wait_until(lambda: at_end(settings), 90, f"worker {name} at the end of the log")
    assert workers.stop(name) == 0


def at_end(settings: Settings) -> bool:
    """Tell whether the committed positions are the log's ends; the group's are beside the point."""
    for number, place in places(settings).items():
        value = read_state(settings, number).get(META_KEY)
        if value is None or json.loads(value)["position"] != place.source.end:
            return False
    return True


def refused(workers: Workers, name: str, **environment: str) -> str:
    """Run a worker that will not start; return the line with which it ends."""
    assert workers.start(name, **environment).wait(60) == 1
    workers.running.pop(name)
    (line,) = [line for line in workers.log(name).splitlines() if line.startswith("error: ")]
    return line


def admin(settings: Settings) -> AdminClient:
    return AdminClient({"bootstrap.servers": settings.kafka_bootstrap_servers})


def recreate(settings: Settings, topic: str) -> None:
    client = admin(settings)
    client.delete_topics([topic])[topic].result(30)
    wait_until(lambda: topic not in client.list_topics(timeout=10).topics, 30, "the deletion")
    apply(settings)


# Looking.


def test_without_state_show_says_so(ours: Settings) -> None:
    shown = show(ours)
    assert [(row["partition"], row["position"], row["problem"]) for row in shown] == [
        (number, None, "") for number in range(4)
    ]
    assert rows(ours, "export") == []
    assert f"No state in {ours.changelog_topic} yet" in state(ours, "show").stderr


def test_show_and_export_tell_what_a_worker_has_stored(
    ours: Settings, workers: Workers, tmp_path: Path
) -> None:
    truth = fill(ours, tmp_path / "in")
    run_to_end(ours, workers, "a")
    shown = show(ours)
    for row in shown:
        assert row["position"] == row["source_end"] == row["group_offset"]
        assert (row["lag"], row["source_start"], row["problem"]) == (0, 0, "")
        assert row["topic_id_matches"] is row["built_with_matches"] is True
        assert row["watermark"] == "2026-01-05T12:30:00Z"
        assert row["sources"] == [{"instance_id": "files", "up_to": "2026-01-05T12:30:00Z"}]
        assert row["changelog_end"] > row["changelog_start"] == 0
    exported = rows(ours, "export")
    window_rows = [row for row in exported if row["row"] == "window_row"]
    assert Counter(
        {(row["event_name"], row["window_start"]): row["count"] for row in window_rows}
    ) == Counter({(name, iso(start_ms)): count for (name, start_ms), count in truth.items()})
    assert {row["standing"] for row in window_rows} == {"closed"}
    blocks = [row["events"] for row in exported if row["row"] == "dedup_block"]
    assert sum(blocks) == EVENTS
    for kind, name in (("baseline", "baselines"), ("dedup_block", "dedup_blocks")):
        found = sum(row["row"] == kind for row in exported)
        assert found == sum(row["rows"][name] for row in shown) > 0
    only = rows(ours, "export", "--partition", 1)
    assert only == [row for row in exported if row["partition"] == 1]
    table = state(ours, "show", COLUMNS="200").stdout
    assert "2026-01-05T12:30:00Z" in table
    assert "files" in table


def iso(time_ms: int) -> str:
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"


# Seeking.


def test_seeking_back_counts_nothing_twice(
    ours: Settings, workers: Workers, tmp_path: Path
) -> None:
    truth = fill(ours, tmp_path / "in")
    run_to_end(ours, workers, "a")
    ends = [row["source_end"] for row in show(ours)]
    moved = rows(ours, "seek", "--to", "earliest", "--yes", "--json")
    assert moved == [{"partition": number, "from": end, "to": 0} for number, end in enumerate(ends)]
    assert [row["lag"] for row in show(ours)] == ends
    run_to_end(ours, workers, "b")
    assert counted(ours) == truth


def test_seeking_forward_leaves_out_what_it_jumps_over(
    ours: Settings, workers: Workers, tmp_path: Path
) -> None:
    fill(ours, tmp_path / "first")
    rows(ours, "seek", "--to", "latest", "--yes", "--json")
    later = fill(ours, tmp_path / "later", NOON_MS + 60 * MINUTE_MS)
    run_to_end(ours, workers, "a")
    assert counted(ours) == later


def test_a_running_worker_reads_the_new_position_back(
    ours: Settings, workers: Workers, tmp_path: Path
) -> None:
    truth = fill(ours, tmp_path / "first")
    workers.start("a")
    wait_until(lambda: at_end(ours), 90, "the first half")
    (moved,) = rows(ours, "seek", "--to", 1, "--partition", 2, "--yes", "--json")
    assert moved["to"] == 1
    assert [row["lag"] > 0 for row in show(ours)] == [False, False, True, False]
    truth += fill(ours, tmp_path / "second", NOON_MS + 60 * MINUTE_MS)
    wait_until(lambda: at_end(ours), 90, "the second half")
    assert workers.stop("a") == 0
    assert "partition 2: reading state back" in workers.log("a")
    assert counted(ours) == truth


def test_a_running_worker_starts_anew_after_a_reset(
    ours: Settings, workers: Workers, tmp_path: Path
) -> None:
    fill(ours, tmp_path / "first")
    workers.start("a")
    wait_until(lambda: at_end(ours), 90, "the first half")
    rows(ours, "reset", "--to", "latest", "--yes", "--json")
    second = fill(ours, tmp_path / "second", NOON_MS + 60 * MINUTE_MS)
    wait_until(lambda: at_end(ours), 90, "the second half")
    assert workers.stop("a") == 0
    stored = [row for row in rows(ours, "export") if row["row"] == "window_row"]
    assert Counter({(row["event_name"], row["window_start"]): row["count"] for row in stored}) == {
        (name, iso(start_ms)): count for (name, start_ms), count in second.items()
    }


# Ways out of each refusal.


def test_reset_leads_out_of_a_lost_changelog(
    ours: Settings, workers: Workers, tmp_path: Path
) -> None:
    truth = fill(ours, tmp_path / "in")
    run_to_end(ours, workers, "a")
    recreate(ours, ours.changelog_topic)
    assert "the changelog was lost" in refused(workers, "b")
    assert all("the changelog was lost" in row["problem"] for row in show(ours))
    rows(ours, "reset", "--to", "earliest", "--yes", "--json")
    run_to_end(ours, workers, "c")
    assert counted(ours) == truth


def test_reset_leads_out_of_a_state_of_other_windows(
    ours: Settings, workers: Workers, tmp_path: Path
) -> None:
    fill(ours, tmp_path / "in")
    run_to_end(ours, workers, "a")
    minute = {"TRAILSTREAMS_WINDOW_SECONDS": "60"}
    assert "window_seconds=300, not 60" in refused(workers, "b", **minute)
    before = rows(ours, "export", **minute)
    assert all("window_seconds=300, not 60" in row["problem"] for row in show(ours, **minute))
    # Rows of other windows would be counted on wrongly: seek refuses to keep them.
    done = state(ours, "seek", "--to", "latest", "--yes", **minute)
    assert done.code == 1
    assert "window_seconds=300, not 60" in done.stderr
    assert rows(ours, "export", **minute) == before
    rows(ours, "reset", "--to", "earliest", "--yes", "--json", **minute)
    run_to_end(ours, workers, "c", **minute)
    exported = [row for row in rows(ours, "export") if row["row"] == "window_row"]
    assert sum(row["count"] for row in exported) == EVENTS
    assert {row["window_start"] for row in exported} == {
        iso(NOON_MS + n * MINUTE_MS) for n in range(30)
    }
    assert {row["problem"] for row in show(ours, **minute)} == {""}


def test_reset_leads_out_of_damaged_rows(ours: Settings, workers: Workers, tmp_path: Path) -> None:
    truth = fill(ours, tmp_path / "in")
    run_to_end(ours, workers, "a")
    client, topic = producer(ours), ours.changelog_topic
    for number, value in enumerate((None, b"{}", json.dumps(FORMAT_2))):
        client.produce(topic, value, META_KEY, number)
    client.produce(topic, b"short", b"\x02" + bytes(20), 3)
    client.flush()
    assert "trailstreams state" in refused(workers, "b")
    problems = [row["problem"] for row in show(ours)]
    assert "state without a meta row" in problems[0]
    assert "meta row is not readable" in problems[1]
    assert "state has format 2" in problems[2]
    (damaged,) = [row for row in rows(ours, "export", "--partition", 3) if "unreadable" in row]
    assert (damaged["row"], damaged["value"]) == ("window_row", b"short".hex())
    for number in range(3):
        done = state(ours, "seek", "--to", "earliest", "--partition", number, "--yes")
        assert done.code == 1
    rows(ours, "reset", "--to", "earliest", "--yes", "--json")
    run_to_end(ours, workers, "c")
    assert counted(ours) == truth


def test_a_recreated_records_topic_is_read_from_its_start_and_keeps_the_counts(
    ours: Settings, workers: Workers, tmp_path: Path
) -> None:
    truth = fill(ours, tmp_path / "first")
    run_to_end(ours, workers, "a")
    recreate(ours, TopicNames.of(ours).records)
    assert "deleted and made again" in refused(workers, "b")
    assert all("deleted and made again" in row["problem"] for row in show(ours))
    rows(ours, "seek", "--to", "earliest", "--yes", "--json")
    again(ours, tmp_path / "first")
    truth += fill(ours, tmp_path / "second", NOON_MS + 60 * MINUTE_MS)
    run_to_end(ours, workers, "c")
    assert counted(ours) == truth


def test_a_position_before_the_log_is_moved_to_its_start(
    ours: Settings, workers: Workers, tmp_path: Path
) -> None:
    truth = fill(ours, tmp_path / "first")
    run_to_end(ours, workers, "a")
    fill(ours, tmp_path / "lost", NOON_MS + 60 * MINUTE_MS)
    records = TopicNames.of(ours).records
    gone = [TopicPartition(records, n, place.source.end) for n, place in places(ours).items()]
    client = admin(ours)
    for future in client.delete_records(gone).values():
        future.result(30)
    assert "is outside the source log" in refused(workers, "b")
    rows(ours, "seek", "--to", "earliest", "--yes", "--json")
    truth += fill(ours, tmp_path / "second", NOON_MS + 120 * MINUTE_MS)
    run_to_end(ours, workers, "c")
    assert counted(ours) == truth


def test_more_partitions_need_a_reset_past_the_old_records(
    ours: Settings, workers: Workers, tmp_path: Path
) -> None:
    fill(ours, tmp_path / "first")
    run_to_end(ours, workers, "a")
    grown = [NewPartitions(name, 6) for name in TopicNames.of(ours)]
    client = admin(ours)
    for future in client.create_partitions(grown).values():
        future.result(30)
    more = ours.model_copy(update={"kafka_partitions": 6})
    six = {"TRAILSTREAMS_KAFKA_PARTITIONS": "6"}
    wait_until(lambda: len(places(more)) == 6, 30, "six partitions")
    before = counted(more)
    assert "partitions=4, not 6" in refused(workers, "b", **six)
    rows(more, "reset", "--to", "latest", "--yes", "--json")
    later = fill(more, tmp_path / "second", NOON_MS + 60 * MINUTE_MS)
    run_to_end(more, workers, "c", **six)
    assert counted(more) - before == later


# Dying, and being taken back.

DYING = """
import os
from streams.connectors.state_log import Owner, read_state
from streams.settings import load_settings

settings = load_settings()
for partition in range(settings.kafka_partitions):
    owner = Owner(settings, partition)
    owner.producer.begin_transaction()
    owner.send((key, None) for key in read_state(settings, partition))
    owner.producer.flush()
os._exit(9)
"""


def test_dying_in_the_middle_of_a_reset_changes_nothing(
    ours: Settings, workers: Workers, tmp_path: Path
) -> None:
    truth = fill(ours, tmp_path / "first")
    run_to_end(ours, workers, "a")
    before = rows(ours, "export")
    ends = [place.changelog.end for place in places(ours).values()]
    died = subprocess.run(
        [sys.executable, "-c", DYING], env=settings_environment(ours), check=False, timeout=60
    )
    assert died.returncode == 9
    # The deletions are in the log, behind its last stable offset.
    assert [place.changelog.end for place in places(ours).values()] == ends
    assert rows(ours, "export") == before
    truth += fill(ours, tmp_path / "second", NOON_MS + 60 * MINUTE_MS)
    run_to_end(ours, workers, "b")
    assert counted(ours) == truth
    # What the next owner aborted is passed over.
    assert rows(ours, "reset", "--to", "earliest", "--yes", "--json")
    run_to_end(ours, workers, "c")
    assert counted(ours) == truth


def test_a_rewrite_that_is_fenced_begins_anew(ours: Settings) -> None:
    seen = []

    def change(rows: object) -> list[tuple[bytes, bytes | None]]:
        seen.append(rows)
        if len(seen) == 1:
            Owner(ours, 0).write([(b"\x02theirs", b"1")])
        return [(b"\x02ours", b"2")]

    rewrite(ours, 0, change)
    assert seen == [{}, {b"\x02theirs": b"1"}]
    assert read_state(ours, 0) == {b"\x02theirs": b"1", b"\x02ours": b"2"}


def test_a_rewrite_that_is_fenced_while_it_writes_begins_anew(ours: Settings) -> None:
    fenced = []

    def change(_: object) -> Iterator[tuple[bytes, bytes | None]]:
        for number in range(20_000):
            yield b"\x02%d" % number, bytes(100)
            if number == 10_000 and not fenced:
                fenced.append(Owner(ours, 0))

    rewrite(ours, 0, change)
    assert len(read_state(ours, 0)) == 20_000
    assert fenced


def test_a_rewrite_that_is_always_fenced_gives_up_and_changes_nothing(ours: Settings) -> None:
    def change(_: object) -> list[tuple[bytes, bytes | None]]:
        Owner(ours, 0)
        return [(b"\x02ours", b"2")]

    with pytest.raises(StateError, match="stop the workers"):
        rewrite(ours, 0, change)
    assert read_state(ours, 0) == {}


# Asking, and wrong use.


@pytest.mark.parametrize("words", [["seek", "--to", "latest"], ["reset", "--to", "latest"]])
def test_nobody_to_answer_is_wrong_use(ours: Settings, words: list[str]) -> None:
    done = state(ours, *words)
    assert done.code == 2
    assert "add --yes" in done.stderr
    assert [row["position"] for row in show(ours)] == [None] * 4


@pytest.mark.parametrize(("answer", "code"), [(b"n\n", 1), (b"y\n", 0)])
def test_a_person_is_told_and_asked(ours: Settings, answer: bytes, code: int) -> None:
    ours_side, their_side = pty.openpty()
    os.write(ours_side, answer)
    done = subprocess.run(
        [sys.executable, "-m", "streams", "state", "reset", "--to", "latest"],
        env=settings_environment(ours),
        stdin=their_side,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(ours_side)
    os.close(their_side)
    assert done.returncode == code
    assert "baselines, open anomalies" in done.stderr
    assert "partition 3 at 0" in done.stderr
    assert [row["position"] for row in show(ours)] == [0 if code == 0 else None] * 4


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["seek", "--to", "yesterday", "--yes"], "neither earliest, latest nor an offset"),
        (["seek", "--to", "-1", "--yes"], "neither earliest, latest nor an offset"),
        (["seek", "--to", "7", "--yes"], "an offset is of one partition"),
        (["seek", "--to", "7", "--partition", "0", "--yes"], "has offsets 0 to 0"),
        (["show", "--partition", "4"], "has 0 to 3"),
        (["reset", "--yes"], "--to"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(ours: Settings, words: list[str], line: str) -> None:
    done = state(ours, *words)
    assert done.code == 2
    assert line in done.stderr


@pytest.mark.parametrize("words", [["show"], ["export"], ["reset", "--to", "latest", "--yes"]])
def test_missing_topics_are_one_line_and_exit_code_1(settings: Settings, words: list[str]) -> None:
    done = state(settings, *words)
    assert done.code == 1
    assert "trailstreams topics apply" in done.stderr
