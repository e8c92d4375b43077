"""Options of a connector, declared as the fields of a dataclass; the command line follows them."""

from dataclasses import field
from typing import Any


def option(default: Any, text: str) -> Any:
    """Declare an option `--name` with its default and the sentence that `--help` shows."""
    return field(default=default, metadata={"help": text})


def argument(text: str) -> Any:
    """Declare the positional arguments: at least one word, collected in a tuple."""
    return field(metadata={"help": text, "argument": True})
