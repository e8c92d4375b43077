"""One broker or three, each with a listener per worker that is advertised behind a proxy.

A Kafka client goes where the broker says it stands; so that a worker stays behind its proxy, the
broker has a listener for it that is advertised at the proxy's port.
"""

import base64
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from faults.netproxy import Proxy
from streams.broker import Broker
from streams.broker.probe import HOST, free_port

_TUNED = {
    # A group of one member starts consuming at once instead of after 3 s.
    "group.initial.rebalance.delay.ms": "0",
    # Sessions shorter than 6 s, so that a short run can outlast one.
    "group.min.session.timeout.ms": "1000",
    # A transaction that outlived its timeout is aborted at once instead of within 10 s.
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "500",
    "log.initial.task.delay.ms": "1000",
    "log.retention.check.interval.ms": "1000",
    "log.cleaner.backoff.ms": "500",
}


class Cluster:
    """Brokers on the loopback interface, and the proxies of every worker to each of them."""

    def __init__(self, directory: Path, slots: Sequence[str], brokers: int) -> None:
        self._controllers = {node: free_port() for node in range(1, brokers + 1)}
        self._cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        self.proxies: dict[str, dict[int, Proxy]] = {slot: {} for slot in slots}
        self.brokers: dict[int, Broker] = {}
        for node in self._controllers:
            inner = {slot: free_port() for slot in slots}
            for slot, port in inner.items():
                self.proxies[slot][node] = Proxy(port)
            port, home = free_port(), directory / f"broker-{node}"
            if brokers > 1:
                self._join(home, node)
            self.brokers[node] = Broker(home, port, self._config(node, port, inner))
        self._stack = ExitStack()

    @property
    def bootstrap_servers(self) -> str:
        """The brokers without a proxy between: for sources, auditors and the driver."""
        return ",".join(broker.bootstrap_servers for broker in self.brokers.values())

    def bootstrap_servers_of(self, slot: str) -> str:
        """Return the brokers as one worker sees them."""
        return ",".join(f"{HOST}:{proxy.port}" for proxy in self.proxies[slot].values())

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for proxies in self.proxies.values():
                for proxy in proxies.values():
                    stack.enter_context(proxy)
            for broker in self.brokers.values():
                stack.callback(_end, broker)
            # Together: none of three serves before a second one is there.
            with ThreadPoolExecutor() as pool:
                list(pool.map(Broker.start, self.brokers.values()))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def _join(self, home: Path, node: int) -> None:
        """Format a data directory for a cluster with others: a Broker formats one of its own."""
        (home / "data").mkdir(parents=True)
        (home / "data/meta.properties").write_text(
            f"version=1\ncluster.id={self._cluster_id}\nnode.id={node}\n"
        )
        (home / "formatted").touch()

    def _config(self, node: int, port: int, inner: dict[str, int]) -> dict[str, str]:
        names = {slot: f"WORKER_{slot.upper()}" for slot in inner}
        brokers = len(self._controllers)
        replicas, in_sync = str(brokers), str((brokers + 1) // 2)
        own = f"PLAINTEXT://{HOST}:{port}"
        inside = [f"{names[slot]}://{HOST}:{at}" for slot, at in inner.items()]
        outside = [f"{name}://{HOST}:{self.proxies[s][node].port}" for s, name in names.items()]
        voters = [f"{number}@{HOST}:{at}" for number, at in self._controllers.items()]
        plain = ["PLAINTEXT", "CONTROLLER", *names.values()]
        return _TUNED | {
            "node.id": str(node),
            "listeners": ",".join([own, *inside, f"CONTROLLER://{HOST}:{self._controllers[node]}"]),
            "advertised.listeners": ",".join([own, *outside]),
            "listener.security.protocol.map": ",".join(f"{name}:PLAINTEXT" for name in plain),
            "controller.quorum.voters": ",".join(voters),
            "default.replication.factor": replicas,
            "min.insync.replicas": in_sync,
            "offsets.topic.replication.factor": replicas,
            "transaction.state.log.replication.factor": replicas,
            "transaction.state.log.min.isr": in_sync,
        }


def _end(broker: Broker) -> None:
    """End a broker, paused or dead ones included, without its orderly 15 s: nothing is kept."""
    with suppress(RuntimeError):
        broker.kill()
    broker.stop()
