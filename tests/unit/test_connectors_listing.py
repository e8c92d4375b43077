"""Which files there are, and in which order they are read."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.connectors.listing import by_delivery, find, stamp_ms
from streams.errors import InputError

NAME = "111122223333_CloudTrail_us-east-1_{}_Abcdefghijklmnop.json.gz"


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")


def names(paths: list[str]) -> list[str]:
    return [Path(file.path).name for file in find(paths)]


def test_the_stamp_is_read_off_the_name() -> None:
    assert stamp_ms("/a/" + NAME.format("20230710T1205Z")) == 1_688_990_700_000


@pytest.mark.parametrize("name", ["records.ndjson", NAME.format("20231310T1205Z"), "_2023_"])
def test_a_name_without_a_true_stamp_has_none(name: str) -> None:
    assert stamp_ms(name) is None


def test_folders_are_read_recursively_and_each_file_once(tmp_path: Path) -> None:
    touch(tmp_path, "b/2.json", "a/1.json", "3.json")
    assert names([str(tmp_path), str(tmp_path / "a"), f"{tmp_path}/*.json"]) == [
        "3.json",
        "1.json",
        "2.json",
    ]


def test_files_keep_the_order_they_were_given_in(tmp_path: Path) -> None:
    touch(tmp_path, "1", "2", "3")
    assert names([str(tmp_path / name) for name in "312"]) == ["3", "1", "2"]


def test_globs_are_expanded_also_below_folders(tmp_path: Path) -> None:
    touch(tmp_path, "x/y/1.json", "x/2.json", "x/3.txt")
    assert names([f"{tmp_path}/**/*.json"]) == ["2.json", "1.json"]


def test_a_file_whose_name_looks_like_a_glob_is_that_file(tmp_path: Path) -> None:
    touch(tmp_path, "[1].json", "1.json")
    assert names([str(tmp_path / "[1].json")]) == ["[1].json"]


def test_a_name_is_absolute_so_that_positions_hold_in_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "1.json")
    monkeypatch.chdir(tmp_path)
    assert find(["1.json"])[0].name == str(tmp_path / "1.json")


def test_a_name_that_is_no_utf8_can_still_be_written_to_a_topic(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/\xff.json"
    Path(os.fsdecode(path)).write_text("{}")
    assert find([str(tmp_path)])[0].name.encode().endswith(b"/\\xff.json")


def test_files_are_ordered_by_stamp_and_a_median_stands_for_a_missing_one(tmp_path: Path) -> None:
    noon, later = NAME.format("20230710T1200Z"), NAME.format("20230710T1205Z")
    touch(tmp_path, "a.json", noon, later)
    files = find([str(tmp_path)])
    between = 1_688_990_500_000
    ordered = by_delivery(files, lambda _: between)
    assert [Path(file.path).name for file in ordered] == [noon, "a.json", later]


@pytest.mark.parametrize("path", ["absent.json", "absent/*.json", "empty"])
def test_what_holds_no_file_is_refused_by_name(tmp_path: Path, path: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=str(tmp_path / path).replace("*", r"\*")):
        find([str(tmp_path / path)])


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """Yield a folder that may be entered by a user who may not read everything."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65_534)
        try:
            yield folder
        finally:
            os.seteuid(user)


def test_a_file_without_permission_is_refused_in_one_line(unprivileged: Path) -> None:
    user = os.geteuid()
    os.seteuid(os.getuid())
    path = unprivileged / "1.json"
    path.write_text("{}")
    path.chmod(0)
    os.seteuid(user)
    with pytest.raises(InputError, match="permission") as caught:
        find([str(unprivileged)])
    assert "\n" not in str(caught.value)


def test_a_folder_without_permission_is_refused_in_one_line(unprivileged: Path) -> None:
    user = os.geteuid()
    os.seteuid(os.getuid())
    (unprivileged / "closed").mkdir(mode=0)
    os.seteuid(user)
    with pytest.raises(InputError, match="permission"):
        find([str(unprivileged)])
