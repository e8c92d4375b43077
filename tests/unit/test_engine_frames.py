"""Frames read from a real socket: whole, in order, however the bytes arrive."""

import asyncio
import os
import struct
from collections.abc import Awaitable, Callable

import pytest
from aiokafka.errors import KafkaConnectionError

from streams.engine.frames import FrameConnection, Frames

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def received(serve: Serve, count: int) -> list[bytes]:
    """Return the frames that a client gets of a server, until `count` or the end."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    loop, changed = asyncio.get_running_loop(), asyncio.Event()
    reader = asyncio.StreamReader()
    frames = Frames(asyncio.StreamReaderProtocol(reader), changed.set)
    transport, _ = await loop.create_connection(lambda: frames, "127.0.0.1", port)
    while len(frames.ready) < count and not reader.at_eof():
        changed.clear()
        await changed.wait()
    transport.close()
    server.close()
    return [frame.getvalue() for frame in frames.ready]


def framed(*bodies: bytes) -> bytes:
    return b"".join(struct.pack(">i", len(body)) + body for body in bodies)


@pytest.mark.parametrize("portion", [1, 3, 4, 5, 1_000_000])
def test_frames_arrive_whole_in_whatever_portions(portion: int) -> None:
    bodies = [b"x", b"four", os.urandom(50), b"y" * 7]
    sent = framed(*bodies)

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for at in range(0, len(sent), portion):
            writer.write(sent[at : at + portion])
            await writer.drain()
            await asyncio.sleep(0)

    assert asyncio.run(received(serve, len(bodies))) == bodies


def test_a_frame_of_megabytes_arrives_whole() -> None:
    body = os.urandom(9 << 20)

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(framed(body, b"after"))

    assert asyncio.run(received(serve, 2)) == [body, b"after"]


def test_the_end_of_the_stream_is_seen_within_a_frame() -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(framed(b"whole") + framed(b"cut")[:5])
        writer.close()

    assert asyncio.run(asyncio.wait_for(received(serve, 2), 10)) == [b"whole"]


def test_a_connection_that_ends_fails_what_waits_for_an_answer() -> None:
    async def connect() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(4)
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        connection = FrameConnection("127.0.0.1", server.sockets[0].getsockname()[1])
        with pytest.raises(KafkaConnectionError):
            await asyncio.wait_for(connection.connect(), 10)
        assert not connection.connected()
        server.close()

    asyncio.run(connect())
