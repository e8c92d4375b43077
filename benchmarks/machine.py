"""What a reader must know of the machine: no names of hosts or owners."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

from streams.broker import KAFKA_VERSION

LIBRARIES = ("faust-streaming", "aiokafka", "confluent-kafka", "fastavro", "msgspec", "numpy")


def describe() -> dict[str, str]:
    """Return properties of machine and software, by name."""
    return {
        "Processor": f"{_processor()}, {os.cpu_count()} cores",
        "Memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB",
        "System": _system(),
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "Kafka": KAFKA_VERSION,
        "Libraries": ", ".join(f"{name} {version(name)}" for name in LIBRARIES),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except FileNotFoundError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return f"{platform.system()} {platform.release()}"
