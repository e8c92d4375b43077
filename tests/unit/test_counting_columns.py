import numpy as np
import pytest

from streams.counting.columns import distinct, with_room
from streams.counting.slots import SlotIndex


def test_room_is_made_with_the_fill_and_keeps_what_was_there() -> None:
    column = with_room(np.array([[1, 2]]), 5, fill=-1)
    assert column[:2].tolist() == [[1, 2], [-1, -1]]
    assert with_room(column, 5) is column


@pytest.mark.parametrize(("values", "different"), [([], []), ([3, 1, 3, 3, 2, 1], [1, 2, 3])])
def test_distinct_values_come_once_and_ascending(values: list[int], different: list[int]) -> None:
    assert different == distinct(np.array(values, dtype=np.int64)).tolist()


def test_slots_are_found_whatever_the_order_they_were_put_in() -> None:
    index = SlotIndex()
    index.put(np.array([5, 100_000, 16]), 0)
    index.put(np.array([0, 17, 4_000_000]), 3)
    asked = np.array([4_000_000, 16, 15, 5, 99_999_999, 0, 17, 100_000])
    assert index.find(asked).tolist() == [5, 2, -1, 0, -1, 3, 4, 1]


def test_an_index_of_few_large_numbers_stays_small() -> None:
    index = SlotIndex()
    index.put(np.arange(0, 1_000_000, 1_000), 0)
    assert index._pages.nbytes + index._page_of.nbytes < 500_000
