"""Orders to workers: what is to happen to whichever reaches a moment of its life next.

An order is a file in a folder, named after the moment; the first worker that reaches the moment
takes it by renaming it, and obeys. Its text is an action and a delay in milliseconds.
"""

import os
import signal
import threading
from enum import StrEnum
from pathlib import Path

from aiokafka.errors import KafkaTimeoutError


class Moment(StrEnum):
    """Where in its life a worker looks for an order."""

    FENCED = "fenced"
    """It owns a partition that it has not read back yet."""
    BEGUN = "begun"
    """A transaction is begun, nothing is written."""
    WRITTEN = "written"
    """The rows of one topic are acknowledged."""
    ACKED = "acked"
    """All is acknowledged, the transaction is open."""
    ENDING = "ending"
    """The transaction is being committed: within milliseconds of its end."""
    ENDED = "ended"
    """It is committed, and the worker has not noted it."""


class Action(StrEnum):
    """What happens to the worker then."""

    KILL = "SIGKILL"
    FREEZE = "SIGSTOP"
    FAIL = "fail"
    """It gets the error of an answer that never came; not to be given for ENDING."""


class Orders:
    """The orders in one folder, as who gives them sees it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def give(self, moment: Moment, action: Action, delay_ms: int = 0) -> None:
        """Write an order, whole or not at all; the delay counts for ENDING only."""
        draft = self.folder / "draft"
        draft.write_text(f"{action} {delay_ms}")
        draft.rename(self.folder / moment)

    def taker(self, moment: Moment) -> int | None:
        """Return the process id of who took the order for this moment; None while nobody has."""
        return next((int(path.suffix[1:]) for path in self.folder.glob(f"{moment}.*")), None)

    def forget(self) -> None:
        """Take back what was not taken, and forget what was."""
        for path in self.folder.iterdir():
            path.unlink(missing_ok=True)


class Obedience:
    """The orders in one folder, as who obeys them sees it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def at(self, moment: Moment) -> None:
        """Obey the order for this moment, if there is one."""
        if (order := self._take(moment)) is not None:
            _do(order[0])

    def during(self, moment: Moment) -> None:
        """Obey the order for this moment from another thread, its delay from now."""
        if (order := self._take(moment)) is not None:
            threading.Timer(order[1], _do, order[:1]).start()

    def _take(self, moment: Moment) -> tuple[str, float] | None:
        taken = self._folder / f"{moment}.{os.getpid()}"
        try:
            (self._folder / moment).rename(taken)
        except FileNotFoundError:
            return None
        action, delay_ms = taken.read_text().split()
        return action, int(delay_ms) / 1000


def _do(action: str) -> None:
    if action == Action.FAIL:
        raise KafkaTimeoutError("a fault: the answer never came")
    os.kill(os.getpid(), signal.Signals[action])
