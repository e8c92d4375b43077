"""The lock files: complete, hashed, free of addresses, and agreeing with each other."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS = ("dev", "runtime", "build", "ci", "peers")
PURPOSES = {
    "runtime": PROJECT["project"]["dependencies"],
    "build": PROJECT["build-system"]["requires"],
    "ci": PROJECT["dependency-groups"]["ci"],
    "dev": [
        *PROJECT["project"]["dependencies"],
        *PROJECT["project"]["optional-dependencies"]["broker"],
        *PROJECT["dependency-groups"]["dev"],
        *PROJECT["build-system"]["requires"],
    ],
}


def locked(name: str) -> list[tuple[Requirement, int]]:
    """Return the pins of a lock and how many hashes each has."""
    text = re.sub(
        r"^\s*#.*\n", "", (ROOT / f"requirements/{name}.txt").read_text(), flags=re.MULTILINE
    )
    pins = []
    for entry in text.replace("\\\n", "").splitlines():
        requirement, *hashes = entry.split(" --hash=sha256:")
        pins.append((Requirement(requirement.strip()), len(hashes)))
    return pins


def versions(name: str) -> dict[tuple[str, str], str]:
    return {
        (canonicalize_name(pin.name), str(pin.marker)): str(pin.specifier)
        for pin, _ in locked(name)
    }


@pytest.mark.parametrize("name", LOCKS)
def test_every_pin_is_exact_and_hashed(name: str) -> None:
    for pin, hashes in locked(name):
        assert str(pin.specifier).startswith("=="), pin
        assert hashes, pin


@pytest.mark.parametrize("name", LOCKS)
def test_no_address_is_inside(name: str) -> None:
    """Where packages come from is the business of whoever installs."""
    text = (ROOT / f"requirements/{name}.txt").read_text()
    assert not re.search(r"://|--index|--find-links|--trusted", text)


@pytest.mark.parametrize("name", PURPOSES)
def test_what_the_project_asks_for_is_locked(name: str) -> None:
    """Else: make lock."""
    pins = locked(name)
    for wanted in map(Requirement, PURPOSES[name]):
        found = [
            pin for pin, _ in pins if canonicalize_name(pin.name) == canonicalize_name(wanted.name)
        ]
        assert found, wanted
        for pin in found:
            assert wanted.specifier.contains(str(pin.specifier).removeprefix("=="))


@pytest.mark.parametrize("name", ["runtime", "build", "ci"])
def test_locks_agree(name: str) -> None:
    """What the image runs is what the tests ran with."""
    dev = versions("dev")
    common = versions(name).keys() & dev.keys()
    assert common
    assert {key: versions(name)[key] for key in common} == {key: dev[key] for key in common}
