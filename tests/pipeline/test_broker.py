"""The embedded Kafka: it serves, comes back after a crash, and never outlives its owner."""

import fcntl
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from streams.broker import Broker
from streams.broker.probe import HOST, free_port, serves
from streams.errors import KafkaUnavailableError

COMMAND = "from streams.cli import main; main()"
OWNER = """
import signal
from streams.broker import Broker
with Broker() as broker:
    print(broker.pid, broker.log_path.parent, sep="\\n", flush=True)
    signal.pause()
"""


def make_topic(broker: Broker, name: str) -> None:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    admin.create_topics([NewTopic(name, 1, 1)])[name].result(30)


def topics(broker: Broker) -> set[str]:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    return set(admin.list_topics(timeout=30).topics)


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@contextmanager
def python(code: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run a Python program in a process group of its own, killed at the end."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().rstrip("\n")


def wait_for_lock(directory: Path) -> None:
    """Return when the guard of the directory's broker, and so the broker, has ended."""
    with (directory / ".lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)


def test_serves_real_clients(kafka: Broker) -> None:
    topic = f"roundtrip-{os.urandom(4).hex()}"
    make_topic(kafka, topic)
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    producer.produce(topic, b"value", b"key")
    assert producer.flush(30) == 0
    consumer = Consumer(
        {
            "bootstrap.servers": kafka.bootstrap_servers,
            "group.id": topic,
            "auto.offset.reset": "earliest",
        }
    )
    consumer.subscribe([topic])
    message = consumer.poll(30)
    consumer.close()
    assert message is not None
    assert (message.key(), message.value()) == (b"key", b"value")


def test_comes_back_after_a_crash_and_a_pause_with_port_and_data(tmp_path: Path) -> None:
    """One broker's life, in one test because each start costs seconds."""
    # Separators of the lists in which Kafka and Java take paths.
    directory = tmp_path / "with space, comma"
    with Broker(directory) as broker:
        make_topic(broker, "kept")
        address, port = broker.bootstrap_servers, int(broker.bootstrap_servers.split(":")[1])

        broker.pause()
        assert not serves(port)
        broker.resume()
        assert serves(port)

        broker.kill()
        assert not exists(broker.pid)
        broker.start()
        assert broker.bootstrap_servers == address
        assert "kept" in topics(broker)

        with pytest.raises(KafkaUnavailableError, match="another broker runs on"):
            Broker(directory).start()
        with pytest.raises(KafkaUnavailableError, match=f"port {port} on 127.0.0.1 is in use"):
            Broker(port=port).start()
    assert not exists(broker.pid)

    with Broker(directory) as again:
        assert "kept" in topics(again)


def test_temporary_data_is_removed() -> None:
    with Broker() as broker:
        directory = broker.log_path.parent
        assert directory.is_dir()
    assert not directory.exists()


def test_a_bad_configuration_is_one_line_and_leaves_nothing() -> None:
    broker = Broker(config={"num.io.threads": "none"})
    with pytest.raises(KafkaUnavailableError) as caught:
        broker.start()
    assert "num.io.threads" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_ends_when_its_owner_is_killed() -> None:
    """SIGKILL leaves the owner no chance to stop anything: the guard does."""
    with python(OWNER) as owner:
        pid, directory = int(line(owner)), Path(line(owner))
        assert exists(pid)
        with (directory / ".lock").open() as lock:
            owner.kill()
            fcntl.flock(lock, fcntl.LOCK_EX)
    assert not exists(pid)
    assert not directory.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_command_stops_in_order(number: signal.Signals, tmp_path: Path) -> None:
    """Ctrl-C goes to the whole process group; the exit code is 0 and Kafka's shutdown complete."""
    with python(COMMAND, "broker", "--port", str(free_port()), "--dir", str(tmp_path)) as command:
        assert command.stderr is not None
        while "Ctrl-C stops it" not in (said := command.stderr.readline()):
            assert said, "the command ended early"
        os.killpg(command.pid, number)
        assert command.wait(30) == 0
        assert "Traceback" not in command.stderr.read()
    wait_for_lock(tmp_path)
    assert "shut down completed" in (tmp_path / "kafka.log").read_text()


def test_command_names_a_busy_port() -> None:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        listener.listen()
        port = listener.getsockname()[1]
        with python(COMMAND, "broker", "--port", str(port)) as command:
            _, said = command.communicate(timeout=60)
    assert command.returncode == 1
    assert (
        said.strip()
        .splitlines()[-1]
        .endswith(f"port {port} on 127.0.0.1 is in use: stop what listens there or take another")
    )
