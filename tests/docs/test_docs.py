"""What the documents name exists: files, anchors, commands, options, targets, settings, metrics."""

import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from streams.cli import create_cli
from streams.cli.demo import SEED
from streams.cli.rows import instant
from streams.metrics import METRICS
from streams.settings import PREFIX, Settings
from streams.synthetic.scenarios import scenario

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    str(path.relative_to(ROOT)) for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))
)
LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`([^`\n]+)`")
# What stands for a word of the reader's own: PATH…, DIR.
PLACEHOLDER = re.compile(r"[A-Z]+…?|…")
OWN_PATH = re.compile(
    r"(?:streams|tests|avro|deploy|docs|benchmarks|requirements|\.ci)/[\w./-]*|[\w-]+\.(?:md|toml)"
)
HISTOGRAM = re.compile(r"_(?:bucket|count|sum)$")


def text_of(page: str) -> str:
    return (ROOT / page).read_text("utf-8")


def code_of(page: str) -> Iterator[str]:
    """Yield each line of a fenced block, continuation lines joined, and each inline code."""
    text = text_of(page)
    for _, block in FENCED.findall(text):
        yield from block.replace("\\\n", " ").splitlines()
    yield from INLINE.findall(FENCED.sub("", text))


def anchors_of(page: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", FENCED.sub("", text_of(page)), flags=re.MULTILINE)
    kept = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in kept}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files_and_headings_that_exist(page: str) -> None:
    for link in LINK.findall(FENCED.sub("", text_of(page))):
        if link.startswith(("https://", "http://")):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), f"{page}: {link}"
        if anchor:
            assert anchor in anchors_of(str(target.resolve().relative_to(ROOT))), f"{page}: {link}"


@pytest.mark.parametrize("page", PAGES)
def test_own_paths_in_code_exist(page: str) -> None:
    for code in code_of(page):
        if "://" in code:
            continue
        for path in OWN_PATH.findall(code):
            found = path.rstrip(".")
            near = (ROOT / page).parent / found
            assert (ROOT / found).exists() or near.exists() or _is_row(found), f"{page}: {path}"


def _is_row(name: str) -> bool:
    """Tell whether a bare name is that of a module beside one that was named in full."""
    return "/" not in name and bool(list((ROOT / "streams").rglob(name)))


@pytest.mark.parametrize("page", PAGES)
def test_modules_named_with_dots_exist(page: str) -> None:
    for module in re.findall(r"`(?:python -m )?((?:streams|deploy)(?:\.\w+)+)`", text_of(page)):
        path = ROOT / module.replace(".", "/")
        assert path.is_dir() or path.with_suffix(".py").exists(), f"{page}: {module}"


def command_lines(page: str) -> Iterator[str]:
    for code in code_of(page):
        # Comments, pipes and redirections are the shell's.
        line = re.split(r"\s#|[|>&]", code)[0].strip()
        if line.startswith("trailstreams ") or line == "trailstreams":
            yield line


def objection(line: str) -> str:
    """Say what the command line refuses of a line; empty when it takes all of it."""
    command = typer.main.get_command(create_cli())
    context = command.context_class(command, info_name="trailstreams")
    words = shlex.split(line)[1:]
    while isinstance(command, TyperGroup) and words and not words[0].startswith("-"):
        name = words.pop(0)
        if PLACEHOLDER.fullmatch(name):
            return ""
        found = command.get_command(context, name)
        if found is None:
            return f"{context.command_path} has no command {name}"
        command, context = found, found.context_class(found, parent=context, info_name=name)
    options = {option for item in command.get_params(context) for option in item.opts}
    missing = [word for word in words if word.startswith("-") and word.split("=")[0] not in options]
    return f"{context.command_path} has no option {', '.join(missing)}" if missing else ""


@pytest.mark.parametrize("page", PAGES)
def test_command_lines_are_the_command_line_s(page: str) -> None:
    refused = {line: why for line in command_lines(page) if (why := objection(line))}
    assert refused == {}


def test_commands_that_messages_name_are_the_command_line_s() -> None:
    for path in (ROOT / "streams").rglob("*.py"):
        for line in re.findall(r"`(trailstreams [^`{}]+)`", path.read_text("utf-8")):
            assert objection(line) == "", path


def test_a_line_with_an_invented_command_or_option_is_refused() -> None:
    assert "no command sing" in objection("trailstreams sing")
    assert "no command apples" in objection("trailstreams topics apples")
    assert "no option --loud" in objection("trailstreams source files PATH… --loud")
    assert objection("trailstreams source files PATH… --complete") == ""


def test_the_readme_names_every_command() -> None:
    command = typer.main.get_command(create_cli())
    assert isinstance(command, TyperGroup)
    named = {line.split()[1] for line in command_lines("README.md") if len(line.split()) > 1}
    assert set(command.list_commands(command.context_class(command))) <= named


def test_the_demo_s_output_shows_the_anomalies_it_injects() -> None:
    page = text_of("README.md")
    shown = re.findall(r"│ (\d{4}-\S+Z) +│ (\w+) +│ (\w+) +│ (\d+) +│ \w", page)
    expected = [
        (instant(item.start_ms), item.event_name, item.initiator, f"{item.factor:g}")
        for item in scenario("demo", SEED).injections
        if item.expected
    ]
    assert sorted(expected) == shown


def test_make_targets_exist() -> None:
    makefile = text_of("Makefile")
    targets = set(re.findall(r"^([a-z]+):", makefile, flags=re.MULTILINE))
    for page in PAGES:
        for code in code_of(page):
            for target in re.findall(r"\bmake ([a-z]+)", code):
                assert target in targets, f"{page}: make {target}"


@pytest.mark.parametrize("page", PAGES)
def test_settings_exist(page: str) -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    assert set(re.findall(rf"{PREFIX}[A-Z][A-Z_]*[A-Z]", text_of(page))) <= known


@pytest.mark.parametrize("page", PAGES)
def test_metrics_exist(page: str) -> None:
    known = {metric.name for metric in METRICS}
    for name in re.findall(r"\btrailstreams_[a-z_]+[a-z]", text_of(page)):
        assert name in known or HISTOGRAM.sub("", name) in known, f"{page}: {name}"


def test_the_layers_are_those_that_are_checked() -> None:
    checked = tomllib.loads(text_of("pyproject.toml"))["tool"]["importlinter"]["contracts"][0]
    drawn = [block for _, block in FENCED.findall(text_of("ARCHITECTURE.md"))]
    assert "\n".join(checked["layers"]) + "\n" in drawn


def test_every_package_is_on_the_map() -> None:
    page = text_of("ARCHITECTURE.md")
    for path in (ROOT / "streams").iterdir():
        if path.is_dir() and (path / "__init__.py").exists():
            assert f"streams/{path.name}/" in page
        elif path.suffix == ".py" and not path.name.startswith("__"):
            assert f"streams/{path.name}" in page


def test_long_modules_have_their_reason() -> None:
    section = (
        text_of("ARCHITECTURE.md").partition("## Modules past 300 lines")[2].partition("##")[0]
    )
    named = set(re.findall(r"^\| `([^`]+)`", section, flags=re.MULTILINE))
    files = subprocess.run(
        ["git", "ls-files", "streams/*.py"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if files.returncode:
        pytest.skip("not a git checkout")
    long = {
        name
        for name in files.stdout.split()
        if (ROOT / name).exists() and len(text_of(name).splitlines()) > 300
    }
    assert long == named


def test_decisions_are_listed_and_dated() -> None:
    folder = ROOT / "docs/adr"
    pages = sorted(path.name for path in folder.glob("[0-9]*.md"))
    listed = re.findall(r"\]\((\d{4}-[\w-]+\.md)\)", (folder / "README.md").read_text("utf-8"))
    assert listed == pages
    for number, name in enumerate(pages, 1):
        text = (folder / name).read_text("utf-8")
        assert text.startswith(f"# {number}. ")
        assert re.search(r"^Date: \d{4}-\d\d-\d\d$", text, flags=re.MULTILINE), name
