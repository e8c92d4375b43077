"""The floor: librdkafka, consume(n) and a dictionary. No state is kept, nothing is recovered.

Usage: raw_loop.py BOOTSTRAP TOPIC GROUP OUTPUT; SIGTERM writes the counts to OUTPUT and ends it.
"""

import gc
import pickle
import signal
import sys
import time
from collections import defaultdict
from pathlib import Path

from confluent_kafka import Consumer
from event_time import WINDOW_MS, event_ms


def main() -> None:
    """Count until SIGTERM."""
    bootstrap, topic, group, output = sys.argv[1:]
    # Nothing here forms a cycle, and the collector takes a third of the time.
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
    consumer.subscribe([topic])
    committed_at, dirty = time.monotonic(), False
    while not stopped:
        messages = consumer.consume(5_000, 0.1)
        for message in messages:
            counts[message.key(), event_ms(message.value()) // WINDOW_MS] += 1
        dirty = dirty or bool(messages)
        if dirty and time.monotonic() > committed_at + 1:
            consumer.commit(asynchronous=False)
            committed_at, dirty = time.monotonic(), False
    consumer.close()
    windows = {(key, number * WINDOW_MS): count for (key, number), count in counts.items()}
    Path(output).write_bytes(pickle.dumps(windows))


if __name__ == "__main__":
    main()
