"""Real workers in processes of their own, and what they say of themselves."""

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prometheus_client.parser import text_string_to_metric_families

from benchmarks.results import DIRECTORY
from streams.settings import PREFIX, Settings, environment

PATIENCE_SECONDS = 60.0
POLL_SECONDS = 0.02


@contextmanager
def worker(settings: Settings, name: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a worker from when it is ready to the end of the block; its log bears the name."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(PREFIX)}
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    with (DIRECTORY / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "streams", "worker"],
            env=clean | environment(settings),
            stdout=log,
            stderr=log,
        )
    try:
        when(lambda: _ready(settings), f"{name} to be ready")
        yield process
        process.terminate()
        process.wait(30)
    finally:
        process.kill()
        process.wait()


def when(condition: Callable[[], bool], what: str) -> float:
    """Return when, on the monotonic clock, the condition was first seen to hold."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"error: waited {PATIENCE_SECONDS:.0f} s in vain for {what}")
        time.sleep(POLL_SECONDS)
    return time.monotonic()


def events_counted(settings: Settings, account: str) -> float:
    """Return how many events of an account a worker's /metrics shows as counted."""
    with urllib.request.urlopen(
        f"http://127.0.0.1:{settings.metrics_port}/metrics", timeout=10
    ) as answer:
        text = answer.read().decode()
    lines = "".join(f"{line}\n" for line in text.splitlines() if account in line)
    return sum(
        sample.value
        for family in text_string_to_metric_families(lines)
        for sample in family.samples
        if sample.name == "trailstreams_events_total"
    )


def _ready(settings: Settings) -> bool:
    address = f"127.0.0.1:{settings.metrics_port}"
    try:
        with urllib.request.urlopen(f"http://{address}/readyz", timeout=10) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
