"""Kafka's responses straight from the socket, each into a buffer of its own size.

asyncio's StreamReader copies each byte four times and grows its buffer as it goes; at hundreds of
megabytes of records a second that costs as much as counting them.
"""

import asyncio
import struct
from collections import deque
from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING, Any

from aiokafka import conn

if TYPE_CHECKING:
    import weakref

_SIZE = struct.Struct(">i")


class Frames(asyncio.BufferedProtocol):
    """Frames of a four-byte length and as many bytes; all else goes to the protocol before."""

    def __init__(self, before: asyncio.Protocol, wake: Callable[[], None]) -> None:
        self._before = before
        self._wake = wake
        self.ready: deque[BytesIO] = deque()
        """Whole frames, oldest first."""
        self._reads_length = True
        self._expect(_SIZE.size)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002
        """Return where the next bytes belong."""
        return self._view[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        """Take note of bytes that have come."""
        self._filled += nbytes
        if self._filled < len(self._view):
            return
        frame, self._reads_length = self._frame, not self._reads_length
        if self._reads_length:
            self.ready.append(frame)
            self._wake()
            self._expect(_SIZE.size)
        else:
            self._expect(_SIZE.unpack(self._view)[0])

    def eof_received(self) -> bool | None:
        """Pass it on."""
        stays_open = self._before.eof_received()
        self._wake()
        return stays_open

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass it on."""
        self._before.connection_lost(exc)
        self._wake()

    def pause_writing(self) -> None:
        """Pass it on."""
        self._before.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on."""
        self._before.resume_writing()

    def _expect(self, size: int) -> None:
        # Filled in place: `getvalue` copies nothing once no view of it is left, and aiokafka's
        # own BytesIO copies no `bytes`.
        self._frame = BytesIO(bytes(size))
        self._view = self._frame.getbuffer()
        self._filled = 0


class FrameConnection(conn.AIOKafkaConnection):  # type: ignore[misc]  # aiokafka has no types
    """A connection that reads by frames; what it sends and how it ends is aiokafka's."""

    def _create_reader_task(self) -> Any:
        # Nothing was sent yet, so nothing has been received.
        self._arrived = asyncio.Event()
        self._frames = Frames(self._protocol, self._arrived.set)
        self._writer.transport.set_protocol(self._frames)
        return super()._create_reader_task()

    @staticmethod
    async def _read(self_ref: "weakref.ref[FrameConnection]") -> None:
        self = self_ref()
        if self is None:
            return
        reader, frames, arrived = self._reader, self._frames, self._arrived
        # Held while waiting, the connection could not be collected, as aiokafka wants it.
        del self
        while True:
            while not frames.ready:
                if reader.at_eof():
                    raise EOFError
                arrived.clear()
                await arrived.wait()
            self = self_ref()
            if self is None:
                return
            self._handle_frame(frames.ready.popleft().getvalue())
            del self
