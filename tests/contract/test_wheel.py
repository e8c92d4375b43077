"""The wheel works without the checkout: command, schemas, data files."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCHEMAS = sorted(path.name for path in (ROOT / "avro").glob("*.avsc"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel as `pip install .` would, offline."""
    folder = tmp_path_factory.mktemp("wheel")
    return build(folder)


def build(folder: Path, **environment: str) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    built = subprocess.run(
        command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into an environment that borrows this one's dependencies.

    It does not borrow the editable install: of a folder named in a .pth file, .pth files are not
    read. The path has a space, as a user's may.
    """
    folder = tmp_path_factory.mktemp("an environment")
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin/python"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(python)]
    install = [*pip, "install", "--no-index", "--no-deps", str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    scheme = {"base": str(folder), "platbase": str(folder)}
    (Path(sysconfig.get_path("purelib", "venv", scheme)) / "borrowed.pth").write_text(
        f"{sysconfig.get_path('purelib')}\n"
    )
    return folder


def run(*command: str | Path, cwd: Path) -> str:
    """Run a program away from the checkout and return what it printed."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        command, cwd=cwd, env=clean, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_command_runs(environment: Path, tmp_path: Path) -> None:
    assert "broker" in run(environment / "bin/trailstreams", "--help", cwd=tmp_path)


def test_schemas_and_pins_are_inside(environment: Path, tmp_path: Path) -> None:
    code = (
        "import streams\n"
        "from streams.broker.jars import pinned_jars\n"
        "from streams.codecs.schemas import load_schemas\n"
        "print(streams.__file__, len(load_schemas()), len(pinned_jars()))\n"
    )
    printed = run(environment / "bin/python", "-c", code, cwd=tmp_path)
    file, schemas, pins = printed.rsplit(maxsplit=2)
    assert Path(file).is_relative_to(environment)
    assert int(schemas) == len(SCHEMAS) > 0
    assert int(pins) > 0


def test_faust_finds_the_transport(environment: Path, tmp_path: Path) -> None:
    code = (
        "from importlib.metadata import entry_points\n"
        "(found,) = entry_points(group='faust.transports', name='chunks')\n"
        "print(found.load().__module__)\n"
    )
    assert "streams.engine" in run(environment / "bin/python", "-c", code, cwd=tmp_path)


def test_nothing_but_the_package_is_inside(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"streams", "trailstreams"}
    assert {f"streams/avro/{name}" for name in SCHEMAS} <= set(names)
    assert "streams/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_without_a_compiler_the_wheel_is_pure_python_and_works(tmp_path: Path) -> None:
    wheel = build(tmp_path, CC="/no/compiler/here")
    assert wheel.name.endswith("-py3-none-any.whl")
    code = (
        "from streams.packed import KeyTable, walk\n"
        "keys = KeyTable()\n"
        "keys.put(b'a key', 7)\n"
        "print(walk, keys.find([b'a key', None]).tolist())\n"
    )
    borrowed = os.pathsep.join([str(wheel), sysconfig.get_path("purelib")])
    command = [sys.executable, "-S", "-c", code]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={"PYTHONPATH": borrowed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "None [7, -1]\n"
