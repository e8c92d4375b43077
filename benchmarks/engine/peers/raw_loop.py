"""The floor: librdkafka, consume(n) and a dictionary. No state is kept, nothing is recovered.

Usage: raw_loop.py BOOTSTRAP TOPIC GROUP OUTPUT; SIGTERM writes the counts to OUTPUT and ends it.
"""

import gc
import pickle
import signal
import sys
import time
from collections import defaultdict

from confluent_kafka import Consumer

WINDOW_MS = 300_000


def window_of(time: bytes) -> int:
    """Return the window's start (ms) of a six-byte Avro long."""
    zigzag = sum((byte & 0x7F) << 7 * at for at, byte in enumerate(time))
    event_ms = zigzag >> 1
    return event_ms - event_ms % WINDOW_MS


class Windows(dict[bytes, int]):
    """The window of each time seen."""

    def __missing__(self, time: bytes) -> int:
        window = self[time] = window_of(time)
        return window


def main() -> None:
    """Count until SIGTERM."""
    bootstrap, topic, group, output = sys.argv[1:]
    gc.disable()
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "check.crcs": False,
            "fetch.wait.max.ms": 50,
            "queued.max.messages.kbytes": 65_536,
        }
    )
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stopped.append(number))
    counts: defaultdict[tuple[bytes, int], int] = defaultdict(int)
    windows = Windows()
    consumer.subscribe([topic])
    committed_at, dirty = time.monotonic(), False
    while not stopped:
        messages = consumer.consume(5_000, 0.1)
        for message in messages:
            counts[message.key(), windows[message.value()[26:32]]] += 1
        dirty = dirty or bool(messages)
        if dirty and time.monotonic() > committed_at + 1:
            consumer.commit(asynchronous=False)
            committed_at, dirty = time.monotonic(), False
    consumer.close()
    with open(output, "wb") as file:  # noqa: PTH123 - a script with as few imports as can be
        pickle.dump(dict(counts), file)


if __name__ == "__main__":
    main()
