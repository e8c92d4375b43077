"""What peers need: Kafka Streams is built by Maven, those in Python get a virtual environment."""

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.results import DIRECTORY, ROOT
from streams.broker.java import find_java
from streams.errors import KafkaUnavailableError

PEERS = Path(__file__).parent / "peers"
_POM = PEERS / "kafka-streams" / "pom.xml"
_STREAMS = DIRECTORY / "kafka-streams"
_VENV = DIRECTORY / "peers-venv"
_REQUIREMENTS = ROOT / "requirements" / "peers.txt"

PEERS_PYTHON = _VENV / "bin" / "python"


def nothing() -> str:
    """Return that nothing is in the way."""
    return ""


@functools.cache
def kafka_streams() -> str:
    """Build the Java program; return why that cannot be, empty when it is there."""
    missing = [tool for tool in ("mvn", "javac") if shutil.which(tool) is None]
    if missing:
        return f"{' and '.join(missing)} not found"
    try:
        find_java()
    except KafkaUnavailableError as error:
        return str(error)
    return _done("mvn", "-q", "-B", "-f", str(_POM), "process-classes")


def java_class_path() -> str:
    """Return the class path of the Java program."""
    return os.pathsep.join((str(_STREAMS / "classes"), str(_STREAMS / "lib" / "*")))


@functools.cache
def peers_python(module: str) -> str:
    """Make the peers' virtual environment; return why a module is not there, empty when it is."""
    wanted, made = _REQUIREMENTS.read_bytes(), _VENV / ".made"
    if not (made.exists() and made.read_bytes() == wanted):
        install = ("-m", "pip", "--disable-pip-version-check", "--quiet", "install")
        failure = _done(sys.executable, "-m", "venv", "--clear", str(_VENV)) or _done(
            str(PEERS_PYTHON), *install, "--require-hashes", "-r", str(_REQUIREMENTS)
        )
        if failure:
            return failure
        made.write_bytes(wanted)
    return _done(str(PEERS_PYTHON), "-c", f"import {module}")


def _done(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not done.returncode:
        return ""
    said = (done.stderr + done.stdout).strip().splitlines() or ["no output"]
    return f"{command[0]} failed: {said[-1]}"
