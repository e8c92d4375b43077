"""Log files for benchmarks, laid out as S3 holds them: made once, the same on every machine."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.results import DIRECTORY, ROOT


@dataclass(frozen=True, slots=True, kw_only=True)
class Trail:
    """Made-up traffic as log files."""

    name: str
    days: float
    events: int
    """About how many records."""
    description: str


SMALL = Trail(name="small", days=0.5, events=30_000, description="about 35 records a file")
LARGE = Trail(name="large", days=0.1, events=80_000, description="about 400 records a file")
LONG = Trail(name="long", days=0.5, events=500_000, description="about 550 records a file")


def make(trail: Trail) -> Path:
    """Return the folder of a trail, written at the first call."""
    folder = DIRECTORY / "trails" / f"{trail.name}-{trail.days}-{trail.events}"
    if not (folder / "labels.json").exists():
        shutil.rmtree(folder, ignore_errors=True)
        words = ["generate", str(folder), "--days", str(trail.days), "--events", str(trail.events)]
        subprocess.run([sys.executable, "-m", "streams", *words], check=True, cwd=ROOT)
    return folder / "AWSLogs"
