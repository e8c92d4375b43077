"""A TCP proxy between one worker and one broker, with a network one can break."""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from streams.broker.probe import HOST, free_port

_PIECE_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """What the network is like."""

    delay_seconds: float = 0.0
    """Added to every piece of at most 16 KiB, in both directions."""
    silent: bool = False
    """Connections stay open and nothing arrives, as where packets are dropped."""
    cut: bool = False
    """Every connection ends at once, as where they are rejected."""


FAIR = Weather()
CUT = Weather(cut=True)
SILENT = Weather(silent=True)


class Proxy:
    """Forwards a port of its own to `upstream_port`; one thread, one event loop."""

    def __init__(self, upstream_port: int) -> None:
        self.port = free_port(besides=upstream_port)
        self._upstream_port = upstream_port
        self._weather = FAIR
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._wait(self._open())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._wait(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def be(self, weather: Weather) -> None:
        """Change the network, for the connections there are as well."""
        self._wait(self._be(weather))

    def reset(self) -> None:
        """End every connection once."""
        self._wait(self._drop())

    def _wait(self, coroutine: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    async def _open(self) -> None:
        self._fair = asyncio.Event()
        self._fair.set()
        self._server = await asyncio.start_server(self._connect, HOST, self.port)

    async def _be(self, weather: Weather) -> None:
        was, self._weather = self._weather, weather
        (self._fair.clear if weather.silent else self._fair.set)()
        if weather.cut or was.silent:
            # After a silence TCP would have given up: who waited on the connection hears its end.
            await self._drop()

    async def _drop(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _close(self) -> None:
        self._server.close()
        await self._drop()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._weather.cut:
            writer.transport.abort()
            return
        try:
            upstream = await asyncio.open_connection(HOST, self._upstream_port)
        except OSError:
            writer.transport.abort()
            return
        ends = {writer, upstream[1]}
        self._writers |= ends
        try:
            await asyncio.gather(self._pump(reader, upstream[1]), self._pump(upstream[0], writer))
        finally:
            self._writers -= ends

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(_PIECE_BYTES):
                await self._fair.wait()
                if self._weather.delay_seconds:
                    await asyncio.sleep(self._weather.delay_seconds)
                writer.write(piece)
                await writer.drain()
        writer.transport.abort()
