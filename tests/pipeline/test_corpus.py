"""The real records, through a real broker: final counts equal an independent program's."""

import csv
import gzip
import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from helpers.kafka import Group, read_all
from helpers.workers import Workers, settings_environment

from streams.cloudtrail.record import Activity
from streams.codecs import Codecs
from streams.counting.counts import ActivityCount
from streams.scan import Scan
from streams.settings import Settings
from streams.topics import TopicNames, apply

CORPUS = Path(__file__).parents[3] / "shared/corpora/invictus-ir_aws_dataset"
Counts = dict[tuple[Activity, int], ActivityCount]
Golden = Counter[tuple[int, str, str, str, str]]


@pytest.fixture
def files() -> list[str]:
    found = sorted(map(str, CORPUS.glob("*.json.gz")))
    if not found:
        pytest.skip(f"the corpus of real records is not at {CORPUS}")
    return found


@pytest.fixture
def deployment(settings: Settings, tmp_path: Path) -> Iterator[Workers]:
    apply(settings)
    fast = settings.model_copy(update={"kafka_session_timeout_seconds": 6, "flush_seconds": 0.2})
    with Workers(fast, tmp_path) as workers:
        yield workers


def publish(settings: Settings, files: Sequence[str], *options: str) -> dict[str, int]:
    command = [sys.executable, "-m", "streams", "source", "files", *files, *options, "--json"]
    done = subprocess.run(
        command, env=settings_environment(settings), check=True, capture_output=True, text=True
    )
    tally = json.loads(done.stdout)
    assert tally["seen"] == tally["published"] + tally["filtered"] + tally["rejected"]
    return tally


def final_counts(settings: Settings) -> Counts:
    """Read `activity-counts`; each (key, revision) must be there once, and revisions must rise."""
    codecs, final = Codecs(), {}
    for message in read_all(settings, TopicNames.of(settings).counts):
        key = codecs.decode_activity_window(message.key())
        count = codecs.decode_activity_count(message.value())
        assert key not in final or count.revision > final[key].revision
        final[key] = count
    return final


def finish(settings: Settings) -> None:
    group = Group(settings, TopicNames.of(settings).records)
    group.wait_for_end()


def golden() -> Golden:
    """Map the independent program's identity columns to principal and initiator class."""
    counts: Golden = Counter()
    with gzip.open(CORPUS / "golden_counts_300s.tsv.gz", "rt") as table:
        for row in csv.DictReader(table, delimiter="\t"):
            who = row["sessionIssuerArn"] if row["userType"] == "AssumedRole" else row["userArn"]
            if who == "None":
                who = row["invokedBy"] if row["invokedBy"] != "None" else row["principalId"]
            if row["userType"] == "AWSService":
                who = row["invokedBy"]
            invoked, source = row["invokedBy"], row["eventSource"]
            if invoked == "None":
                initiator = "other"
            elif invoked in ("AWS Internal", source):
                initiator = "internal"
            else:
                initiator = "service"
            start = int(row["window_start_epoch"]) * 1000
            counts[start, who, initiator, source, row["eventName"]] += int(row["count"])
    return counts


def as_golden(counts: Counts, expected: Golden) -> Golden:
    """Fold our finer keys to the golden ones; it cannot tell console, direct and some service."""
    folded: Golden = Counter()
    for (activity, start), count in counts.items():
        key = (start, activity.principal, activity.initiator, activity.event_source,
               activity.event_name)  # fmt: skip
        if key not in expected:
            key = (key[0], key[1], "other", key[3], key[4])
        folded[key] += count.count
    return folded


def test_every_window_and_key_equals_the_independent_program(
    settings: Settings, deployment: Workers, files: list[str]
) -> None:
    deployment.start("a")
    assert publish(settings, files, "--complete")["published"] == 2900
    finish(settings)
    counts, expected = final_counts(settings), golden()
    assert as_golden(counts, expected) == expected
    assert sum(count.count for count in counts.values()) == 2900
    assert counts == Scan(settings).run(files).counts


@pytest.mark.parametrize("order", ["reversed", "twice", "fresh file first", "three workers"])
def test_counts_do_not_depend_on_order_repetition_or_workers(
    settings: Settings, deployment: Workers, files: list[str], order: str
) -> None:
    for name in "abc" if order == "three workers" else "a":
        deployment.start(name)
    expected = Scan(settings).run(files).counts
    if order == "reversed":
        publish(settings, files[::-1], "--as-given", "--complete")
    elif order == "twice":
        publish(settings, files, "--complete")
        assert publish(settings, files, "--complete")["published"] == 0
        assert publish(settings, files, "--complete", "--again")["published"] == 2900
    elif order == "fresh file first":
        backlog = files[:-1]
        random.Random(7).shuffle(backlog)  # noqa: S311
        publish(settings, [files[-1], *backlog], "--as-given", "--complete")
    else:
        publish(settings, files, "--complete")
    finish(settings)
    counts = final_counts(settings)
    assert {key: c.count for key, c in counts.items()} == {
        key: c.count for key, c in expected.items()
    }


def test_counts_are_exact_when_the_worker_is_killed_at_three_positions(
    settings: Settings, deployment: Workers, files: list[str], tmp_path: Path
) -> None:
    publish(settings, files, "--complete")
    group = Group(settings, TopicNames.of(settings).records)
    script = Path(__file__).with_name("slow_worker.py")
    fast = settings.model_copy(update={"kafka_session_timeout_seconds": 6, "flush_seconds": 0.2})
    with Workers(fast, tmp_path, [sys.executable, str(script), "worker"]) as slow:
        for position in (300, 1200, 2200):
            slow.start("a")
            group.wait_for(position)
            assert group.lag() > 0, "the worker was too fast to be killed in the middle"
            slow.kill("a")
    deployment.start("b")
    finish(settings)
    assert final_counts(settings) == Scan(settings).run(files).counts


def test_retention_deletes_nothing_of_2023(
    settings: Settings, deployment: Workers, files: list[str]
) -> None:
    """The broker of the tests checks retention every second, and the records are years old."""
    publish(settings, files, "--complete")
    time.sleep(3)
    records = TopicNames.of(settings).records
    progress = sum(
        Codecs().decode_activity_key(message.key()).initiator != "none"
        for message in read_all(settings, records)
    )
    assert progress == 2900
    deployment.start("a")
    finish(settings)
    assert sum(count.count for count in final_counts(settings).values()) == 2900
