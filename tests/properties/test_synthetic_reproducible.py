"""The same scenario is the same traffic, whole or in parts."""

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.synthetic.habits import STEP_MS
from streams.synthetic.scenarios import DEFAULT_START_MS, HOUR_MS, Scenario, scenario
from streams.synthetic.traffic import MAX_DELAY_MS, Batch, Traffic

SPAN_MS = 2 * HOUR_MS


def made(seed: int, share: float = 0.1) -> Scenario:
    return scenario(
        "organisation",
        seed,
        end_ms=DEFAULT_START_MS + SPAN_MS,
        events_per_day=5_000,
        duplicate_share=share,
    )


def everything(seed: int) -> list[Batch]:
    return list(Traffic(made(seed)).batches())


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32), cuts=st.lists(st.integers(0, SPAN_MS + MAX_DELAY_MS)))
def test_parts_put_together_are_the_whole(seed: int, cuts: list[int]) -> None:
    """A connector that restarts after any stamp goes on with the same bytes."""
    bounds = [DEFAULT_START_MS + cut for cut in sorted(cuts)]
    parts: list[Batch] = []
    for after_ms, until_ms in zip([None, *bounds], [*bounds, None], strict=True):
        parts += Traffic(made(seed)).batches(until_ms, after_ms=after_ms)
    assert everything(seed) == parts


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_another_seed_is_another_traffic(seed: int) -> None:
    one = {record for batch in everything(seed) for record in batch.records}
    other = {record for batch in everything(seed + 1) for record in batch.records}
    assert not one & other


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**32), step=st.integers(0, SPAN_MS // STEP_MS - 1))
def test_a_step_does_not_depend_on_the_steps_before_it(seed: int, step: int) -> None:
    step_ms = DEFAULT_START_MS + step * STEP_MS
    after_others = Traffic(made(seed))
    for earlier_ms in range(DEFAULT_START_MS, step_ms, STEP_MS):
        after_others.events(earlier_ms)
    assert Traffic(made(seed)).events(step_ms) == after_others.events(step_ms)
