"""`trailstreams topics`, as typed."""

import json

import pytest
import typer
from typer.testing import CliRunner

from streams.cli import topics
from streams.settings import PREFIX, Settings
from streams.topics import RECORDS, topic_name


def test_commands_print_json_lines(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    app = typer.Typer()
    topics.add(app)
    for name in (
        "app_id",
        "topic_prefix",
        "kafka_bootstrap_servers",
        "kafka_partitions",
        "kafka_replication_factor",
    ):
        monkeypatch.setenv(PREFIX + name.upper(), str(getattr(settings, name)))
    runner = CliRunner()
    applied = runner.invoke(app, ["topics", "apply", "--json"])
    assert [json.loads(line)["done"] for line in applied.stdout.splitlines()] == [
        "created with 4 partitions"
    ] * 6
    checked = runner.invoke(app, ["topics", "check", "--json"])
    assert [json.loads(line)["state"] for line in checked.stdout.splitlines()] == ["fine"] * 6
    listed = runner.invoke(app, ["topics", "list", "--json"])
    records = json.loads(listed.stdout.splitlines()[0])
    assert records == {
        "topic": topic_name(settings, RECORDS),
        "key": "ActivityKey",
        "value": "TrailRecord",
        "partitions": 4,
        "cleanup": "delete",
        "retention": "7 d",
        "state": "fine",
    }
    assert "fine" in runner.invoke(app, ["topics", "list"]).stdout
