"""What commands print: tables for eyes, one JSON object a line for pipes, messages on stderr."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table


def say(message: str) -> None:
    """Print a message for a person on stderr, so that pipes see data only."""
    Console(stderr=True, soft_wrap=True, highlight=False).print(message, markup=False)


def print_json(row: Mapping[str, object]) -> None:
    """Print one JSON object as one line on stdout, at once."""
    sys.stdout.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")
    sys.stdout.flush()


def print_rows(
    rows: Iterable[Mapping[str, object]], *, columns: Sequence[str], as_json: bool, title: str = ""
) -> None:
    """Print rows as JSON lines or as one table with the given columns, in order."""
    if as_json:
        for row in rows:
            print_json(row)
        return
    table = Table(title=title or None, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(str(row.get(column, "")) for column in columns))
    Console().print(table)


def print_facts(facts: Mapping[str, object]) -> None:
    """Print names and values, a line each, as a small table."""
    table = Table(show_header=False)
    for name, value in facts.items():
        table.add_row(name, f"{value:,}" if isinstance(value, int) else str(value))
    Console().print(table)


def print_line(text: str) -> None:
    """Print a line of text on stdout, wrapped to the terminal."""
    Console(highlight=False).print(text, markup=False)


def progress(*, hidden: bool = False) -> Progress:
    """Return a progress bar on stderr; hidden where nobody looks or data goes to a pipe."""
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        disable=hidden or not console.is_terminal,
        transient=True,
    )
