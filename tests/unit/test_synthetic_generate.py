"""`trailstreams generate`: the files it writes and what it refuses."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from streams.cli import generate
from streams.errors import ConfigurationError, InputError

Run = Callable[..., Result]
SMALL = ("--days", "0.1", "--events", "800")


@pytest.fixture
def run() -> Run:
    app = typer.Typer()
    generate.add(app)

    def invoke(*arguments: object) -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return invoke


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_writes_log_files_and_labels(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "with a space"
    result = run(folder, *SMALL, "--json")
    assert result.exit_code == 0
    written = files(folder)
    labels = json.loads(written.pop("labels.json"))
    records = [
        record
        for data in written.values()
        for record in json.loads(gzip.decompress(data))["Records"]
    ]
    assert 500 < len(records) < 1_200
    assert labels["records"] == len(records)
    assert labels["files"] == len(written)
    summary = json.loads(result.stdout)
    assert {"folder": str(folder), "files": len(written), "records": len(records)} == summary
    for name, data in written.items():
        first = json.loads(gzip.decompress(data))["Records"][0]
        assert name.startswith(
            f"AWSLogs/{first['recipientAccountId']}/CloudTrail/{first['awsRegion']}/2026/01/05/"
        )


def test_labels_name_the_series_that_was_changed(run: Run, tmp_path: Path) -> None:
    run(tmp_path / "trail", "--scenario", "demo", "--days", "2.5", "--events", "300")
    labels = json.loads((tmp_path / "trail" / "labels.json").read_bytes())
    shift, *spikes = labels["injections"]
    assert (shift["kind"], shift["expected"]) == ("level_shift", False)
    assert all(spike["expected"] for spike in spikes)
    internal = next(spike for spike in spikes if spike["initiator"] == "internal")
    assert internal["event_source"] == "monitoring.amazonaws.com"
    assert internal["start"] == "2026-01-07T04:00:00Z"
    assert internal["caller_account_id"] != internal["account_id"]


def test_same_arguments_write_the_same_bytes(run: Run, tmp_path: Path) -> None:
    for name in ("one", "two"):
        run(tmp_path / name, *SMALL, "--seed", 7)
    run(tmp_path / "other", *SMALL, "--seed", 8)
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert files(tmp_path / "one") != files(tmp_path / "other")


def test_start_and_duplicates_are_taken(run: Run, tmp_path: Path) -> None:
    result = run(tmp_path / "t", *SMALL, "--start", "2024-02-29T12:00", "--duplicates", 1, "--json")
    records = [
        record
        for name, data in files(tmp_path / "t").items()
        if name.endswith(".gz")
        for record in json.loads(gzip.decompress(data))["Records"]
    ]
    assert all("2024-02-29T12" <= record["eventTime"] < "2024-02-29T15" for record in records)
    ids = {record["eventID"] for record in records}
    assert len(ids) < json.loads(result.stdout)["records"]


def test_a_folder_that_is_not_empty_needs_force(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("kept")
    refused = run(tmp_path, *SMALL)
    assert isinstance(refused.exception, ConfigurationError)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    assert run(tmp_path, *SMALL, "--force").exit_code == 0
    assert (tmp_path / "mine.txt").read_text() == "kept"
    assert (tmp_path / "labels.json").exists()


@pytest.mark.parametrize(
    "arguments",
    [("--start", "yesterday"), ("--scenario", "x"), ("--scenario", "demo", "--days", 1)],
)
def test_wrong_use_leaves_nothing_behind(
    run: Run, tmp_path: Path, arguments: tuple[object, ...]
) -> None:
    assert isinstance(run(tmp_path / "t", *arguments).exception, ConfigurationError)
    assert not (tmp_path / "t").exists()


def test_a_place_that_cannot_be_written_is_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    error = run(tmp_path / "file", *SMALL).exception
    assert isinstance(error, InputError)
    assert "file: cannot write: " in str(error)
