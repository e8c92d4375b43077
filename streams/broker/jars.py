"""Kafka's jars: pinned by SHA-256, fetched once, verified at every start, offline afterwards."""

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

from streams.errors import KafkaUnavailableError

KAFKA_VERSION = "4.1.0"

_PINS = Path(__file__).with_name("jars.sha256")
_FETCH_TIMEOUT_SECONDS = 600
_PROBLEM_LENGTH = 120  # of a tool's own message, in characters
_MAVEN_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"


class Jar(NamedTuple):
    """One pinned jar."""

    sha256: str
    group: str
    artifact: str
    version: str

    @property
    def file_name(self) -> str:
        """Name of the file, the same in every Maven repository."""
        return f"{self.artifact}-{self.version}.jar"


def pinned_jars(pins: Path = _PINS) -> tuple[Jar, ...]:
    """Read the pins: lines of `sha256  group:artifact:version`, `#` starts a comment."""
    lines = (line.split("#")[0].split() for line in pins.read_text("utf-8").splitlines())
    return tuple(Jar(line[0], *line[1].split(":")) for line in lines if line)


def cache_directory() -> Path:
    """Return where the jars are kept (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "trailstreams" / f"kafka-{KAFKA_VERSION}"


def kafka_jars(tell: Callable[[str], None]) -> tuple[Path, ...]:
    """Return Kafka's class path out of the cache, fetching what is missing or damaged.

    Without anything to fetch no network is used. Raise KafkaUnavailableError.
    """
    cache, jars = cache_directory(), pinned_jars()
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with _locked(cache / ".lock"):
            wanted = _missing(cache, jars)
            if wanted:
                tell(f"Fetching Apache Kafka {KAFKA_VERSION} ({len(jars)} jars, 43 MB), once")
                _fetch(cache, jars, wanted)
    except OSError as error:
        raise KafkaUnavailableError(
            f"cannot keep Kafka's jars in {cache}: {error.strerror}; set XDG_CACHE_HOME"
        ) from error
    return tuple(cache / jar.file_name for jar in jars)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    # Two commands at once on a fresh machine: the second waits for the first one's jars.
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _missing(cache: Path, jars: Sequence[Jar]) -> list[Jar]:
    """Return the jars that are not there, deleting those that are there but damaged."""
    missing = []
    for jar in jars:
        path = cache / jar.file_name
        if path.is_file():
            if _sha256(path) == jar.sha256:
                continue
            path.unlink()
        missing.append(jar)
    return missing


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fetch(cache: Path, jars: Sequence[Jar], wanted: Sequence[Jar]) -> None:
    problems = []
    # Inside the cache: moving a verified jar to its place is then atomic.
    with tempfile.TemporaryDirectory(dir=cache, prefix=".fetch-") as name:
        for tool, run in (("jgo", _run_jgo), ("mvn", _run_maven)):
            scratch = Path(name) / tool
            scratch.mkdir()
            problem = run(scratch, jars) or _take(scratch, cache, wanted)
            if not problem:
                return
            problems.append(f"{tool}: {problem}")
    raise KafkaUnavailableError(
        f"cannot fetch Kafka's jars (the network is needed once): {'; '.join(problems)}"
    )


def _take(scratch: Path, cache: Path, wanted: Sequence[Jar]) -> str:
    """Move the wanted jars into the cache; return what is wrong with the first bad one, or ""."""
    found = {path.name: path for path in scratch.rglob("*.jar")}
    for jar in wanted:
        path = found.get(jar.file_name)
        if path is None:
            return f"{jar.file_name} did not come"
        if _sha256(path) != jar.sha256:
            return f"{jar.file_name} is not the pinned one (SHA-256 differs)"
        shutil.move(path, cache / jar.file_name)
    return ""


def _run_jgo(scratch: Path, jars: Sequence[Jar]) -> str:
    # Every jar is named with its version, because jgo's own choice of versions follows the
    # dependencyManagement of whatever else is asked for (seen: kafka-clients 3.8.0 beside 4.1.0).
    # Its caches are private to this call: it does not repair a damaged file in them.
    if importlib.util.find_spec("jgo") is None:
        return "not installed (pip install 'trailstreams[broker]')"
    coordinates = "+".join(":".join(jar[1:]) for jar in jars)
    options = ["--resolver=python", "--ignore-config", "--class-path-only", "--links=copy"]
    caches = [f"--cache-dir={scratch / 'jgo'}", f"--repo-cache={scratch / 'm2'}", "--timeout=60"]
    command = [sys.executable, "-m", "jgo", *options, *caches, "info", "jars", coordinates]
    return _run(command, scratch)


def _run_maven(scratch: Path, jars: Sequence[Jar]) -> str:
    # Maven knows the settings.xml of the house (mirrors, proxies), which jgo's resolver ignores.
    maven = shutil.which("mvn")
    if maven is None:
        return "not installed"
    pom = scratch / "pom.xml"
    pom.write_text(_pom(jars), "utf-8")
    command = [maven, "-B", "-q", "-f", str(pom), _MAVEN_COPY, "-DincludeScope=runtime"]
    return _run([*command, f"-DoutputDirectory={scratch / 'jars'}"], scratch)


def _pom(jars: Sequence[Jar]) -> str:
    dependencies = "".join(
        f"<dependency><groupId>{escape(jar.group)}</groupId>"
        f"<artifactId>{escape(jar.artifact)}</artifactId>"
        f"<version>{escape(jar.version)}</version></dependency>"
        for jar in jars
    )
    return (
        "<project><modelVersion>4.0.0</modelVersion><groupId>trailstreams</groupId>"
        "<artifactId>kafka-jars</artifactId><version>1</version>"
        f"<dependencies>{dependencies}</dependencies></project>"
    )


def _run(command: Sequence[str], scratch: Path) -> str:
    """Run a fetching tool; return the start of its last line where it failed, or ""."""
    try:
        done = subprocess.run(  # noqa: S603 - the arguments are ours
            command,
            cwd=scratch,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=_FETCH_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no end after {_FETCH_TIMEOUT_SECONDS} s"
    if done.returncode == 0:
        return ""
    lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    return lines[-1][:_PROBLEM_LENGTH] if lines else f"exit code {done.returncode}"
