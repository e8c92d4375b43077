"""Processes seen from outside, through /proc (Linux)."""

from pathlib import Path


def resident_bytes(pid: int) -> int:
    """Return a process's resident set."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise ProcessLookupError(f"process {pid} has ended")
