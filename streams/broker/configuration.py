"""server.properties and log4j2.properties of the single node."""

from collections.abc import Mapping

from streams.broker.probe import HOST

# Without its own hook log4j writes until the end of Kafka's shutdown.
LOG4J = """\
shutdownHook=disable
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=[%d] %p %m (%c)%n
rootLogger.level=info
rootLogger.appenderRef.out.ref=out
"""

# What is different from Kafka's defaults because there is one node with a small heap.
_SINGLE_NODE = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    # Relative to the working directory, so that any path will do (this is a comma separated list).
    "log.dirs": "data",
    # Topics are made by `trailstreams topics apply`; a mistyped name must not become one.
    "auto.create.topics.enable": "false",
    "default.replication.factor": "1",
    "min.insync.replicas": "1",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    # After a kill the controller, which is the same process, waits for the end of the dead broker's
    # session (9 s by default) before it lets the new one in.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    # A quarter of the heap by default.
    "log.cleaner.dedupe.buffer.size": str(32 * 1024 * 1024),
}


def server_properties(port: int, controller_port: int, overrides: Mapping[str, str]) -> str:
    """Return the text of server.properties for the given ports; `overrides` win."""
    listener = f"PLAINTEXT://{HOST}:{port}"
    entries = {
        **_SINGLE_NODE,
        "listeners": f"{listener},CONTROLLER://{HOST}:{controller_port}",
        "advertised.listeners": listener,
        "controller.quorum.voters": f"1@{HOST}:{controller_port}",
        **overrides,
    }
    return "".join(f"{key}={value}\n" for key, value in sorted(entries.items()))
