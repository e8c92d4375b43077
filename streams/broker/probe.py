"""Ports of the loopback interface, and whether a Kafka serves on one."""

import random
import socket
import struct

from streams.errors import KafkaUnavailableError

HOST = "127.0.0.1"

# Below the ranges that systems take client ports from (Linux 32768+, macOS 49152+). Inside them
# a client that retries while the broker is away may connect to *itself* and so hold its port.
_PORTS = range(10_000, 30_000)
_TIMEOUT_SECONDS = 1.0

# Metadata request, version 1: size, key 3, version, correlation id, client id, no topics
# (Kafka protocol guide). Raw bytes, because the layers allow no Kafka client here.
_METADATA = struct.pack(">hhih5si", 3, 1, 1, 5, b"probe", 0)
_REQUEST = struct.pack(">i", len(_METADATA)) + _METADATA


def port_is_free(port: int) -> bool:
    """Say whether a server could listen on the port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError:
            return False
        return True


def free_port(*, besides: int = 0) -> int:
    """Return a random port that nothing listens on and that is not `besides`."""
    for port in random.sample(_PORTS, 100):
        if port != besides and port_is_free(port):
            return port
    raise KafkaUnavailableError(f"no free port between {_PORTS.start} and {_PORTS.stop} on {HOST}")


def serves(port: int) -> bool:
    """Say whether a broker on the port answers with at least one broker that takes requests.

    Kafka lists itself only once it is registered and not fenced any more; before that it answers,
    but refuses to create topics.
    """
    try:
        with socket.create_connection((HOST, port), timeout=_TIMEOUT_SECONDS) as connection:
            connection.sendall(_REQUEST)
            # size, correlation id, number of brokers
            answer = connection.recv(12, socket.MSG_WAITALL)
    except OSError:
        return False
    return len(answer) == 12 and struct.unpack(">iii", answer)[2] > 0
