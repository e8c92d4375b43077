"""Which seeds have been run with the code as it is: the long form goes on where it stopped."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
_CODE = ("streams", "avro", "tests/faults", "tests/helpers", "requirements")


def code_version() -> str:
    """Return a digest of everything that decides about a run."""
    digest = hashlib.sha256()
    for path in _code_files():
        digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _code_files() -> Iterator[Path]:
    for folder in _CODE:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path


class Ledger:
    """The seeds that were run, in a file; those of other code are forgotten."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._version = code_version()
        stored = json.loads(path.read_text()) if path.exists() else {}
        same = stored.get("code") == self._version
        self.passed: dict[int, bool] = (
            {int(seed): passed for seed, passed in stored["passed"].items()} if same else {}
        )

    def note(self, seed: int, *, passed: bool) -> None:
        """Remember a seed's outcome."""
        self.passed[seed] = passed
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_suffix(".draft")
        draft.write_text(json.dumps({"code": self._version, "passed": self.passed}, indent=1))
        draft.replace(self._path)
