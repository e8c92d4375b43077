"""`trailstreams source` and `trailstreams tail` as people type them."""

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import closing
from itertools import islice
from pathlib import Path

import pytest
from sources import MINUTE_MS, NOON_MS, event, log_file

from streams import topics
from streams.connectors.reader import read
from streams.settings import Settings
from streams.topics import RECORDS, topic_name

COMMAND = [sys.executable, "-m", "streams"]


@pytest.fixture
def environment(settings: Settings) -> dict[str, str]:
    """Return the environment of a command that works on this test's topics."""
    topics.apply(settings)
    names = ("app_id", "topic_prefix", "kafka_bootstrap_servers", "kafka_partitions")
    given = {f"TRAILSTREAMS_{name.upper()}": str(getattr(settings, name)) for name in names}
    return os.environ | given | {"TRAILSTREAMS_METRICS_PORT": "0", "COLUMNS": "200"}


def run(environment: dict[str, str], *words: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*COMMAND, *map(str, words)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def rows(environment: dict[str, str], *words: object) -> list[dict[str, object]]:
    done = run(environment, *words, "--json")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_files_are_published_and_tail_shows_them(
    environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("no trail")
    wanted = [event(NOON_MS + n, f"Describe{n}") for n in range(3)]
    log_file(tmp_path, NOON_MS + MINUTE_MS, wanted)
    (summary,) = rows(environment, "source", "files", tmp_path, "--complete")
    assert summary == {"source": "files", "seen": 4, "published": 3, "filtered": 0, "rejected": 1}

    shown = rows(environment, "tail", "records", "--from-beginning", "--until-idle", 2)
    assert sorted((row["record"] for row in shown), key=str) == sorted(wanted, key=str)
    assert {row["principal"] for row in shown} == {"arn:aws:iam::111122223333:user/example"}

    everything = rows(
        environment, "tail", "records", "--from-beginning", "--until-idle", 2, "--all"
    )
    progress = [row for row in everything if row["event_name"] == "Progress"]
    assert len(everything) == len(shown) + len(progress)
    assert {row["event_time"] for row in progress} == {
        "2026-01-05T11:51:00Z",
        "2026-01-05T12:05:00Z",
    }

    (letter,) = rows(environment, "tail", "dead-letters", "--from-beginning", "--until-idle", 2)
    assert (letter["reason"], letter["raw"]) == ("not_json", "no trail")


def test_people_see_one_line_a_record(environment: dict[str, str], tmp_path: Path) -> None:
    log_file(tmp_path, NOON_MS, [event(NOON_MS, errorCode="AccessDenied")])
    assert "published" in run(environment, "source", "files", tmp_path).stdout
    done = run(environment, "tail", "records", "--from-beginning", "--until-idle", 2)
    assert done.stdout == (
        "2026-01-05T12:00:00Z  111122223333  us-east-1  monitoring.amazonaws.com  DescribeAlarms  "
        "direct  arn:aws:iam::111122223333:user/example  AccessDenied\n"
    )


@pytest.mark.parametrize("words", [["absent"], ["empty"]])
def test_unusable_input_is_one_line_and_exit_code_1(
    environment: dict[str, str], tmp_path: Path, words: list[str]
) -> None:
    (tmp_path / "empty").mkdir()
    done = run(environment, "source", "files", *(tmp_path / word for word in words))
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {tmp_path / words[0]}: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("words", [[], ["files"], ["files", "--absent"], ["absent"]])
def test_wrong_use_is_exit_code_2(environment: dict[str, str], words: list[str]) -> None:
    assert run(environment, "source", *words).returncode == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_running_source_stops_cleanly_on_a_signal(
    environment: dict[str, str], settings: Settings, number: signal.Signals
) -> None:
    words = ["source", "synthetic", "--scenario", "organisation", "--days", "0.05", "--json"]
    process = subprocess.Popen([*COMMAND, *words], env=environment, stdout=subprocess.PIPE)
    try:
        topic = topic_name(settings, RECORDS)
        with closing(read(settings, topic, until_idle_seconds=60)) as found:
            assert len(list(islice(found, 10))) == 10
        process.send_signal(number)
        output, _ = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0
    summary = json.loads(output)
    assert summary["seen"] == summary["published"] >= 10


def test_a_metrics_port_that_is_taken_is_exit_code_2(environment: dict[str, str]) -> None:
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        done = run(
            environment | {"TRAILSTREAMS_METRICS_PORT": str(port)},
            *("source", "synthetic", "--until-caught-up", "--serve-metrics"),
        )
    assert done.returncode == 2
    assert f"port {port}" in done.stderr
