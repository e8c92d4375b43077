import numpy as np
import pytest

from streams.counting import dedup
from streams.counting.dedup import BLOCK_IDS, IdBlocks, Ids, IdSet


def ids(*numbers: int) -> Ids:
    return np.array(numbers, dtype=np.uint64)


def test_the_first_of_each_new_id_is_new() -> None:
    seen = IdSet()
    assert seen.add(ids(5, 7)) is None
    new = seen.add(ids(9, 7, 9, 2**64 - 1, 5))
    assert new is not None
    assert new.tolist() == [True, False, False, True, False]
    assert len(seen) == 4


def test_every_id_is_remembered_through_all_merges() -> None:
    rng = np.random.default_rng(1)
    seen = IdSet()
    given: set[int] = set()
    for size in rng.integers(1, 200, 60).tolist():
        chunk = rng.integers(0, 4_000, size).astype(np.uint64)
        new = seen.add(chunk)
        fresh = chunk if new is None else chunk[new]
        assert set(chunk.tolist()) - given == set(fresh.tolist())
        assert len(fresh) == len(set(fresh.tolist()))
        given |= set(chunk.tolist())
        assert len(seen) == len(given)
    seen.settle()
    assert seen.add(np.array(sorted(given), dtype=np.uint64)).tolist() == [False] * len(given)  # type: ignore[union-attr]


def test_a_block_stays_below_256_kib() -> None:
    blocks = IdBlocks()
    blocks.add(np.arange(2 * BLOCK_IDS + 5, dtype=np.uint64))
    written = blocks.save()
    sizes = [len(block) for _, block in written if block is not None]
    assert sizes == [BLOCK_IDS, BLOCK_IDS, 5]
    assert max(sizes) * 8 < 256 * 1024


def test_nothing_new_writes_nothing() -> None:
    blocks = IdBlocks()
    blocks.add(ids(1))
    assert [number for number, _ in blocks.save()] == [0]
    assert blocks.save() == []
    assert not blocks.changed


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dedup, "BLOCK_IDS", 4)
    monkeypatch.setattr(dedup, "_MOST_SMALL_BLOCKS", 3)


def replayed(flushes: list[list[tuple[int, Ids | None]]]) -> dict[int, list[int]]:
    held: dict[int, list[int]] = {}
    for flush in flushes:
        for number, block in flush:
            if block is None:
                del held[number]
            else:
                held[number] = block.tolist()
    return held


def all_ids(held: dict[int, list[int]]) -> list[int]:
    return sorted(number for block in held.values() for number in block)


@pytest.mark.usefixtures("small")
def test_many_small_blocks_are_rewritten_as_full_ones_and_deleted() -> None:
    blocks, flushes = IdBlocks(), []
    for number in range(11):
        blocks.add(ids(number))
        flushes.append(blocks.save())
    held = replayed(flushes)
    assert sorted(blocks.numbers()) == sorted(held)
    assert all_ids(held) == list(range(11))
    assert len(held) <= 11 // 4 + 3


@pytest.mark.usefixtures("small")
def test_a_closing_window_and_a_restart_keep_every_id_and_never_reuse_a_number() -> None:
    blocks, flushes = IdBlocks(), []
    for number in range(3):
        blocks.add(ids(number))
        flushes.append(blocks.save())
    blocks.tidy()
    flushes.append(blocks.save())
    held = replayed(flushes)
    assert list(held.values()) == [[0, 1, 2]]
    restored = IdBlocks((number, ids(*block)) for number, block in held.items())
    restored.add(ids(3))
    flushes.append(restored.save())
    assert all_ids(replayed(flushes)) == [0, 1, 2, 3]
    assert flushes[-1][0][0] > max(held)
