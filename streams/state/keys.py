"""Interned activity keys: raw bytes in, small numbers out, so that counting sees only arrays."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import IntEnum
from hashlib import blake2b
from itertools import count

import numpy as np

from streams.cloudtrail.record import Activity
from streams.counting.columns import Array, Integers, distinct, with_room
from streams.counting.watermark import PROGRESS_EVENT_SOURCE
from streams.packed import KeyTable, Strings, take

KeyDecoder = Callable[[bytes], tuple[bytes, Activity]]
"""Raw record key to (Avro body, Activity); the body is the end of the raw key. Raises StateError
where the key belongs to another partition, and gives UNREADABLE for what is no key."""

BodyDecoder = Callable[[bytes], Activity]
"""Avro body of a key, as the changelog holds it, to Activity."""

Resolve = Callable[[Sequence[Activity]], Integers]
"""Activities to the series of each on three levels, in rows."""

UNREADABLE = Activity("", "", "trailstreams.unreadable", "", "", "none", "", "", "")
"""Stands for a key that cannot be read."""

UNRESOLVED = -2
_NONE: Integers = np.zeros(0, dtype=np.int64)
_UNCOUNTED_INITIATORS = frozenset(("correction", "none"))


class Kind(IntEnum):
    """What a record with this key is to the counting."""

    COUNTED = 0
    IGNORED = 1
    """Stored in the topic, never counted: corrections."""
    PROGRESS = 2
    UNREADABLE = 3


class Keys:
    """Every key seen and not yet released, numbered in order of first sight.

    The numbers live in this process only. One bytes object is kept a key: the raw key, whose end
    is the body; keys that came from the changelog are kept as bodies until their first event.
    """

    def __init__(self, decode_key: KeyDecoder, decode_body: BodyDecoder) -> None:
        self._decode_key = decode_key
        self._decode_body = decode_body
        self._headers: dict[bytes, None] = {}
        self._clear()

    def _clear(self) -> None:
        self._index_of = KeyTable()
        self._restored: dict[bytes, int] = {}
        self._raw: list[bytes] = []
        self._fresh: dict[int, Activity] = {}
        self._instances: dict[int, str] = {}
        self._outcome_of: dict[Activity, int] = {}
        self.outcomes: list[Activity] = []
        """Activities without caller and principal: what events are reported by."""
        self.header_bytes: Array = np.zeros(0, dtype=np.uint8)
        self.kind: Array = np.zeros(0, dtype=np.uint8)
        self.is_error: Array = np.zeros(0, dtype=np.bool_)
        self.outcome: Array = np.zeros(0, dtype=np.int32)
        """Index into `outcomes`; -1 for a key of the changelog nobody has asked about."""
        self.series: Array = np.zeros((0, 3), dtype=np.int32)
        """Series of each key on three levels; -1 unwatched, UNRESOLVED not asked for yet."""
        # 0 until it is asked for.
        self._digest: Array = np.zeros(0, dtype=np.uint64)

    def __len__(self) -> int:
        return len(self._raw)

    def lookup(self, raw_keys: Strings) -> Integers:
        """Return the number of each raw key, None being empty; a key never seen is decoded once."""
        self._fresh = {}
        numbers = self._index_of.find(raw_keys)
        missing = np.flatnonzero(numbers < 0)
        if len(missing):
            new = take(raw_keys, missing)
            # dict.fromkeys, because a set's order differs from process to process.
            self._learn(dict.fromkeys(key or b"" for key in new))
            numbers[missing] = self._index_of.find(new)
        return numbers

    def restore(self, bodies: Iterable[bytes]) -> Integers:
        """Return the number of each body of the changelog; before any key is looked up."""
        numbered: defaultdict[bytes, int] = defaultdict(count().__next__)
        numbers = np.array(list(map(numbered.__getitem__, bodies)), dtype=np.int64)
        numbered.default_factory = None
        self._restored = numbered
        self._append(list(numbered), 0)
        return numbers

    def bodies(self, numbers: Array) -> list[bytes]:
        """Return the Avro body of each key."""
        raw = self._raw
        sizes = self.header_bytes[numbers].tolist()
        return [raw[k][size:] for k, size in zip(numbers.tolist(), sizes, strict=True)]

    def held(self, numbers: Array) -> tuple[list[bytes], list[int]]:
        """Return what is kept of each key, and how many bytes of it come before the body.

        Both stay true whatever becomes of the keys.
        """
        kept = list(map(self._raw.__getitem__, numbers.tolist()))
        return kept, self.header_bytes[numbers].tolist()

    def activity(self, number: int) -> Activity:
        """Return the activity of a counted key.

        It is kept only until the next lookup and decoded again after that: activities would take
        more memory than all else, and are rarely asked for.
        """
        activity = self._fresh.get(number)
        if activity is None:
            activity = self._decode_body(self._raw[number][self.header_bytes[number] :])
        return activity

    def instance_id(self, number: int) -> str:
        """Return the source instance that a Progress key names."""
        return self._instances[number]

    def resolve(self, numbers: Integers, resolve: Resolve) -> None:
        """Ask detection for the series of keys."""
        if not len(numbers):
            return
        activities = [self.activity(number) for number in numbers.tolist()]
        for at in np.flatnonzero(self.outcome[numbers] < 0).tolist():
            self._describe(int(numbers[at]), activities[at])
        self.series[numbers] = resolve(activities)

    def forget_series(self, gone: Integers) -> None:
        """Mark the keys that are part of a series of `gone` as not asked for."""
        named = self.series[: len(self)]
        # One place more: -1 and UNRESOLVED index from the end, and are never gone.
        is_gone = np.zeros(int(max(gone.max(initial=0), named.max(initial=0))) + 3, dtype=np.bool_)
        is_gone[gone] = True
        named[is_gone[named].any(axis=1)] = UNRESOLVED

    def unresolved(self, numbers: Integers) -> Integers:
        """Return those of `numbers` whose series were not asked for."""
        asked: Integers = numbers[self.series[numbers, 0] == UNRESOLVED]
        return asked

    def in_order(self, numbers: Array, at_most: int) -> Iterator[Integers]:
        """Yield the positions of `numbers` in an order that depends on the bodies alone.

        The order is that of a 64-bit digest, because sorting it is vectorised and comparing
        bodies is not; about `at_most` positions come at a time, or none where that took its time.
        """
        yield from self._digest_all(numbers, at_most)
        digest = self._digest[numbers]
        bits = max(len(numbers) // at_most, 0).bit_length()
        if not bits:
            yield np.argsort(digest)
            return
        bucket = (digest >> np.uint64(64 - bits)).astype(np.int64)
        for number in range(1 << bits):
            members = np.flatnonzero(bucket == number)
            yield members[np.argsort(digest[members])]

    def _digest_all(self, numbers: Array, at_most: int) -> Iterator[Integers]:
        # Late, because few keys of a changelog are ever asked for their digest.
        missing = numbers[self._digest[numbers] == 0]
        for begin in range(0, len(missing), at_most):
            part = missing[begin : begin + at_most]
            digests = [blake2b(body, digest_size=8).digest() for body in self.bodies(part)]
            self._digest[part] = np.frombuffer(b"".join(digests), dtype="<u8")
            yield _NONE

    def release(self, live: Integers) -> Integers:
        """Keep only the counted keys `live` (ascending); return the new number of each old one."""
        raw, restored, outcomes = self._raw, set(self._restored.values()), self.outcomes
        sizes, is_error = self.header_bytes[live], self.is_error[live]
        series, outcome, digest = self.series[live], self.outcome[live], self._digest[live]
        new_numbers = np.full(len(raw), -1, dtype=np.int64)
        new_numbers[live] = np.arange(len(live))
        self._clear()
        for number, old in enumerate(live.tolist()):
            if old in restored:
                self._restored[raw[old]] = number
            else:
                self._index_of.put(raw[old], number)
            self._raw.append(raw[old])
        self._grow(len(live))
        columns = self.header_bytes, self.is_error, self.series, self._digest
        for column, kept in zip(columns, (sizes, is_error, series, digest), strict=True):
            column[: len(live)] = kept
        for place in distinct(outcome[outcome >= 0]).tolist():
            self.outcome[: len(live)][outcome == place] = self._place_of(outcomes[place])
        return new_numbers

    def _learn(self, raw_keys: Iterable[bytes]) -> None:
        first = len(self._raw)
        names: list[bytes] = []
        sizes: list[int] = []
        activities: list[Activity] = []
        for raw in raw_keys:
            body, activity = self._decode_key(raw)
            name = raw
            if _kind(activity) is Kind.COUNTED:
                self._headers[raw[: len(raw) - len(body)]] = None
                if self._alias(raw, body, activity):
                    continue
            else:
                # It never gets a row: its bytes may be anything, and are not needed.
                name = body = b""
            self._index_of.put(raw, first + len(names))
            names.append(name)
            sizes.append(len(name) - len(body))
            activities.append(activity)
        self._append(names, np.array(sizes, dtype=np.uint8))
        for number, activity in enumerate(activities, first):
            self._describe(number, activity)
            self._fresh[number] = activity

    def _alias(self, raw: bytes, body: bytes, activity: Activity) -> bool:
        """Enter `raw` as a name of a body already here; return False when the body is new."""
        number = self._restored.pop(body, None)
        if number is not None:
            self._index_of.put(raw, number)
            self._raw[number] = raw
            self.header_bytes[number] = len(raw) - len(body)
            self._describe(number, activity)
            return True
        for header in self._headers:
            number = self._index_of.get(header + body)
            if number >= 0:
                self._index_of.put(raw, number)
                return True
        return False

    def _append(self, names: Sequence[bytes], sizes: Array | int) -> None:
        first, size = len(self._raw), len(self._raw) + len(names)
        self._raw.extend(names)
        self._grow(size)
        self.header_bytes[first:size] = sizes

    def _describe(self, number: int, activity: Activity) -> None:
        kind = self.kind[number] = _kind(activity)
        if kind is Kind.PROGRESS:
            self._instances[number] = activity.principal
        self.is_error[number] = bool(activity.error_code)
        self.outcome[number] = self._place_of(activity._replace(caller_account_id="", principal=""))

    def _place_of(self, outcome: Activity) -> int:
        place = self._outcome_of.setdefault(outcome, len(self.outcomes))
        if place == len(self.outcomes):
            self.outcomes.append(outcome)
        return place

    def _grow(self, size: int) -> None:
        self.header_bytes = with_room(self.header_bytes, size)
        self.kind = with_room(self.kind, size)
        self.is_error = with_room(self.is_error, size)
        self.outcome = with_room(self.outcome, size, -1)
        self.series = with_room(self.series, size, UNRESOLVED)
        self._digest = with_room(self._digest, size)


def _kind(activity: Activity) -> Kind:
    if activity.event_source == PROGRESS_EVENT_SOURCE:
        return Kind.PROGRESS
    if activity == UNREADABLE:
        return Kind.UNREADABLE
    return Kind.IGNORED if activity.initiator in _UNCOUNTED_INITIATORS else Kind.COUNTED
