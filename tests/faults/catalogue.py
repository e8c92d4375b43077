"""Every fault, declared once: its name, what it does, what it needs."""

import os
import random
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from faults.changelog import compact
from faults.netproxy import CUT, FAIR, SILENT, Weather
from faults.orders import Action, Moment
from faults.rig import RECOVER_SECONDS, SLOTS, Rig

Inject = Callable[[Rig], None]


class Needs(NamedTuple):
    """What a run must be made of for a fault to be possible."""

    brokers: int = 1
    static: bool = False
    """Workers with names of their own in the group (KIP-345)."""


_NOTHING = Needs()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that happens to a run."""

    name: str
    does: str
    inject: Inject
    needs: Needs = _NOTHING


def _worker(rig: Rig) -> str:
    return rig.rng.choice(rig.running)


# Workers that die.


def _kill(rig: Rig) -> None:
    rig.wait(rig.rng.uniform(0, 1))
    rig.kill(_worker(rig))


def _kill_twice(rig: Rig) -> None:
    slot = _worker(rig)
    rig.kill(slot)
    rig.orders.give(Moment.FENCED, Action.KILL)
    _obeyed(rig, Moment.FENCED)


def _kill_all(rig: Rig) -> None:
    for slot in rig.running:
        rig.kill(slot)


def _order(rig: Rig, action: Action, moments: tuple[Moment, ...]) -> int:
    """Give an order for one of the moments and return who obeyed it."""
    moment = rig.rng.choice(moments)
    rig.orders.give(moment, action, delay_ms=rig.rng.randrange(8))
    return _obeyed(rig, moment)


def _obeyed(rig: Rig, moment: Moment) -> int:
    rig.until(
        lambda: rig.orders.taker(moment) is not None, RECOVER_SECONDS, f"a worker to be {moment}"
    )
    pid = rig.orders.taker(moment)
    rig.orders.forget()
    return pid or 0


_INSIDE = (Moment.BEGUN, Moment.WRITTEN, Moment.ACKED)
_AT_THE_END = (Moment.ENDING, Moment.ENDED)


def _kill_inside(rig: Rig) -> None:
    for _ in range(2):
        _order(rig, Action.KILL, _INSIDE)


def _kill_at_the_end(rig: Rig) -> None:
    for _ in range(2):
        _order(rig, Action.KILL, _AT_THE_END)


def _terminate(rig: Rig) -> None:
    slot = _worker(rig)
    rig.stop(slot)
    rig.start(slot)


# Workers that freeze, and come back when nobody needs them any more.


def _freeze(rig: Rig) -> None:
    rig.wait(rig.rng.uniform(0, 1))
    rig.freeze(_worker(rig), rig.timing.beyond_session_seconds)


def _freeze_on_order(rig: Rig, moments: tuple[Moment, ...]) -> None:
    pid = _order(rig, Action.FREEZE, moments)
    rig.wait(rig.timing.beyond_transaction_seconds)
    os.kill(pid, signal.SIGCONT)


def _freeze_inside(rig: Rig) -> None:
    _freeze_on_order(rig, _INSIDE)


def _freeze_at_the_end(rig: Rig) -> None:
    _freeze_on_order(rig, _AT_THE_END)


def _blink(rig: Rig) -> None:
    rig.freeze(_worker(rig), rig.timing.session_seconds / 2)


# Groups that change.


def _scale(rig: Rig) -> None:
    for slot in rig.running[1:]:
        rig.stop(slot)
    rig.caught_up()
    absent = [slot for slot in SLOTS if slot not in rig.running]
    for slot in absent:
        rig.start(slot)
        rig.wait(rig.rng.uniform(0, 3))
    rig.caught_up()
    for slot in rig.running[:2]:
        rig.stop(slot)


def _roll(rig: Rig) -> None:
    for slot in rig.running:
        rig.stop(slot)
        rig.start(slot)
        rig.caught_up()


# Transactions that fail.


def _fail_inside(rig: Rig) -> None:
    for _ in range(3):
        _order(rig, Action.FAIL, _INSIDE)


def _fail_at_the_end(rig: Rig) -> None:
    for _ in range(3):
        _order(rig, Action.FAIL, (Moment.ENDED,))


# Brokers.


def _kill_broker(rig: Rig) -> None:
    broker = rig.any_broker()
    broker.kill()
    rig.wait(rig.rng.uniform(0, 3))
    broker.start()


def _pause_broker(rig: Rig) -> None:
    broker = rig.any_broker()
    broker.pause()
    rig.wait(rig.timing.pause_seconds)
    broker.resume()


def _lose_replica(rig: Rig) -> None:
    broker = rig.any_broker()
    broker.kill()
    rig.wait(5)
    rig.caught_up()
    broker.start()


def _compact(rig: Rig) -> None:
    compact(rig)
    rig.kill(_worker(rig))


# The network of one worker.


@contextmanager
def _network(rig: Rig, weather: Weather) -> Iterator[None]:
    proxies = rig.cluster.proxies[_worker(rig)].values()
    for proxy in proxies:
        proxy.be(weather)
    try:
        yield
    finally:
        for proxy in proxies:
            proxy.be(FAIR)


def _slow_network(rig: Rig) -> None:
    with _network(rig, Weather(delay_seconds=rig.rng.uniform(0.05, 0.3))):
        rig.wait(rig.timing.beyond_session_seconds)


def _cut_network(rig: Rig) -> None:
    with _network(rig, CUT):
        rig.wait(rig.timing.beyond_session_seconds)


def _silent_network(rig: Rig) -> None:
    with _network(rig, SILENT):
        rig.wait(rig.timing.beyond_session_seconds)


def _reset_network(rig: Rig) -> None:
    for _ in range(3):
        for proxies in rig.cluster.proxies.values():
            for proxy in proxies.values():
                proxy.reset()
        rig.wait(rig.rng.uniform(0, 1))


FAULTS: tuple[Fault, ...] = (
    Fault(name="kill", does="SIGKILL to a worker", inject=_kill),
    Fault(
        name="kill-twice",
        does="SIGKILL to a worker, then to whoever has just fenced it",
        inject=_kill_twice,
    ),
    Fault(name="kill-all", does="SIGKILL to all workers at once", inject=_kill_all),
    Fault(
        name="kill-inside",
        does="SIGKILL inside an open transaction, twice",
        inject=_kill_inside,
    ),
    Fault(
        name="kill-at-the-end",
        does="SIGKILL within milliseconds of a transaction's end, twice",
        inject=_kill_at_the_end,
    ),
    Fault(name="terminate", does="SIGTERM to a worker", inject=_terminate),
    Fault(name="blink", does="SIGSTOP for half a session", inject=_blink),
    Fault(name="freeze", does="SIGSTOP past the session, then SIGCONT", inject=_freeze),
    Fault(
        name="freeze-inside",
        does="SIGSTOP inside an open transaction, past its timeout and the session",
        inject=_freeze_inside,
    ),
    Fault(
        name="freeze-at-the-end",
        does="SIGSTOP within milliseconds of a transaction's end, past its timeout",
        inject=_freeze_at_the_end,
    ),
    Fault(name="scale", does="1 worker, 3 workers, 1 worker", inject=_scale),
    Fault(
        name="roll",
        does="SIGTERM to one worker after the other, all static members",
        inject=_roll,
        needs=Needs(static=True),
    ),
    Fault(name="fail-inside", does="writes of a flush fail, three times", inject=_fail_inside),
    Fault(
        name="fail-at-the-end",
        does="a commit succeeds and its answer is lost, three times",
        inject=_fail_at_the_end,
    ),
    Fault(name="kill-broker", does="SIGKILL to a broker, and its restart", inject=_kill_broker),
    Fault(
        name="pause-broker",
        does="SIGSTOP to a broker for longer than a transaction may be open",
        inject=_pause_broker,
    ),
    Fault(
        name="lose-replica",
        does="one of three brokers is dead for a while",
        inject=_lose_replica,
        needs=Needs(brokers=3),
    ),
    Fault(
        name="compact",
        does="the changelog is compacted under the workers, and read back",
        inject=_compact,
    ),
    Fault(name="slow-network", does="one worker's network is slow", inject=_slow_network),
    Fault(
        name="cut-network",
        does="one worker's connections are refused, past the session",
        inject=_cut_network,
    ),
    Fault(
        name="silent-network",
        does="one worker's packets vanish, past the session",
        inject=_silent_network,
    ),
    Fault(
        name="reset-network",
        does="all workers' connections are reset, three times",
        inject=_reset_network,
    ),
)


def choose(rng: random.Random, needs: Needs, number: int) -> list[Fault]:
    """Choose faults for a run: those that only this kind of run can have, and any others."""
    possible = [
        fault
        for fault in FAULTS
        if fault.needs.brokers <= needs.brokers and fault.needs.static <= needs.static
    ]
    special = [fault for fault in possible if fault.needs != _NOTHING]
    usual = [fault for fault in possible if fault.needs == _NOTHING]
    chosen = [*special, *rng.sample(usual, number - len(special))]
    rng.shuffle(chosen)
    return chosen
