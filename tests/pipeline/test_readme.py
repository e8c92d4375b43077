"""The README's blocks that are marked to be run: three terminals, as a person would use them."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from helpers.kafka import wait_until

from streams.broker.probe import free_port
from streams.settings import PREFIX

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"<!-- run: (\w+) -->\n```shell\n(.*?)^```$", re.DOTALL | re.MULTILINE)
DEFAULT_PORTS = ("9092", "9108")
READING_SECONDS = 200


def terminals() -> dict[str, str]:
    """Return each marked block with ports of this test's own; it begins as the README asks to."""
    blocks = dict(BLOCK.findall((ROOT / "README.md").read_text("utf-8")))
    activate = shlex.quote(f"{sys.prefix}/bin/activate")
    kafka, metrics = (str(free_port()) for _ in DEFAULT_PORTS)
    first = (
        f"set -e -o pipefail\nsource {activate}\n"
        f"export {PREFIX}KAFKA_BOOTSTRAP_SERVERS=localhost:{kafka}\n"
        f"export {PREFIX}METRICS_PORT={metrics}\n"
    )
    return {
        name: first + block.replace("9092", kafka).replace("9108", metrics)
        for name, block in blocks.items()
    }


def clean() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}


@contextmanager
def left_running(script: str, folder: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a terminal's block until the end of the context, which is Ctrl-C."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["bash", "-c", script],
            cwd=folder,
            env=clean(),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield process
        os.killpg(process.pid, signal.SIGINT)
        process.wait(30)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.mark.timeout(400)
def test_the_readme_s_road_on_one_machine(tmp_path: Path) -> None:
    """What three terminals do with the README's blocks counts every record that was generated."""
    folder = tmp_path / "a folder"
    folder.mkdir()
    blocks = terminals()
    assert set(blocks) == {"broker", "worker", "source"}
    with ExitStack() as stack:
        broker_log, worker_log = tmp_path / "broker.log", tmp_path / "worker.log"
        stack.enter_context(left_running(blocks["broker"], folder, broker_log))
        wait_until(lambda: "Kafka listens" in broker_log.read_text(), 120, "the broker")
        stack.enter_context(left_running(blocks["worker"], folder, worker_log))
        done = subprocess.run(
            ["bash", "-c", blocks["source"]],
            cwd=folder,
            env=clean(),
            capture_output=True,
            text=True,
            timeout=READING_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr + worker_log.read_text()
    assert "trailstreams_events_total{" in done.stdout
    assert "learning:" in done.stdout
    made = json.loads((folder / "trails/labels.json").read_text("utf-8"))["records"]
    assert counted(folder / "counts.ndjson") == made


def counted(ndjson: Path) -> int:
    """Sum the last revision of every count."""
    last = {}
    for line in ndjson.read_text("utf-8").splitlines():
        row = json.loads(line)
        changing = ("count", "revision", "partition", "offset", "append_time")
        times = ("first_event_time", "last_event_time")
        key = tuple(value for name, value in row.items() if name not in (*changing, *times))
        last[key] = row["count"]
    return sum(last.values())
