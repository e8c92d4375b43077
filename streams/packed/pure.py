"""Without a compiler: a dict of byte strings; records are read by the Kafka client."""

import numpy as np

from streams.packed.strings import Integers, Strings


class KeyTable:
    """Numbers of byte strings; None is looked up as the empty string."""

    __slots__ = ("_numbers",)

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def put(self, key: bytes, number: int) -> None:
        """Enter a key, or give it a new number, from 0 to 2^31 - 1."""
        self._numbers[key] = number

    def get(self, key: bytes) -> int:
        """Return the key's number, -1 where it has none."""
        return self._numbers.get(key, -1)

    def find(self, keys: Strings) -> Integers:
        """Return the number of each key, -1 where it has none."""
        get = self._numbers.get
        return np.array([get(key or b"", -1) for key in keys], dtype=np.int64)
