"""Items that are made while they are read, out of columns taken at one moment."""

from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import chain
from typing import TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")


class Deferred(Collection[Item]):
    """A collection in parts, each a function that makes its items from what it has copied.

    To take columns is cheap and done at once, which makes a consistent cut; to make objects of
    them takes far longer, and is left to whoever reads, one part after the other.
    """

    __slots__ = ("_parts", "_size")

    def __init__(self, items: Iterable[Item] = ()) -> None:
        self._parts: list[Callable[[], Iterable[Item]]] = []
        self._size = 0
        for item in items:
            self.append(item)

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Item]:
        return chain.from_iterable(make() for make in self._parts)

    def __contains__(self, item: object) -> bool:
        return any(one == item for one in self)

    def add(self, size: int, make: Callable[[], Iterable[Item]]) -> None:
        """Append a part of `size` items; nothing that `make` reads may change any more."""
        self._parts.append(make)
        self._size += size

    def append(self, item: Item) -> None:
        """Append an item that is there already."""
        self.add(1, lambda: (item,))

    def extend(self, other: "Deferred[Item]") -> None:
        """Append another collection, which may not grow any more."""
        self.add(len(other), lambda: other)

    def map(self, function: Callable[[Item], Made]) -> "Deferred[Made]":
        """Return what `function` will make of each item."""
        mapped: Deferred[Made] = Deferred()
        mapped.add(len(self), lambda: map(function, self))
        return mapped
