"""Faust's table manager and recovery, told to open our partitions instead of reading changelogs."""

import asyncio
from typing import Any, ClassVar

from aiokafka.errors import IllegalStateError, KafkaError
from faust import App, Table
from faust.app.base import BootStrategy as FaustBootStrategy
from faust.tables.manager import TableManager as FaustTableManager
from faust.tables.recovery import RebalanceAgain, ServiceStopped
from faust.tables.recovery import Recovery as FaustRecovery
from mode import Service

from streams.engine.lookout import LOOK_SECONDS, look_out
from streams.engine.runtime import RevokedError, Runtime
from streams.errors import TrailstreamsError


class BootStrategy(FaustBootStrategy):
    """No producer of Faust's own: everything written goes through the partitions' transactions."""

    enable_kafka_producer = False
    enable_web = False


class Recovery(FaustRecovery):
    """Waits for assignments and opens what was assigned."""

    app: Any

    @Service.task
    async def _restart_recovery(self) -> None:
        while not self.should_stop:
            if await self.wait_for_stopped(self.signal_recovery_start):  # type: ignore[arg-type]
                break
            self.signal_recovery_start.clear()
            try:
                await self._recover(self._generation_id)
            except (RebalanceAgain, RevokedError, IllegalStateError):
                continue
            except ServiceStopped:
                break
            except (TrailstreamsError, KafkaError):
                # The runtime has told why and is ending the worker.
                break

    async def _recover(self, generation_id: int) -> None:
        self._set_recovery_started()
        runtime: Runtime = self.app.runtime
        topic = runtime.job.source_topic
        partitions = {tp.partition for tp in self.app.consumer.assignment() if tp.topic == topic}
        await self._wait(runtime.open(partitions))
        await self._wait(self.on_recovery_completed(generation_id))
        runtime.joined()

    @Service.task
    async def _look_out(self) -> None:
        while not self.should_stop:
            await self.sleep(LOOK_SECONDS)
            await look_out(self.app.runtime)

    @Service.task
    async def _slurp_changelogs(self) -> None:
        """Read nothing: `engine/changelog.py` does, with a consumer of its own."""
        await self.wait_for_stopped(asyncio.Event())  # type: ignore[arg-type]


class TableManager(FaustTableManager):
    """Makes our recovery instead of Faust's."""

    @property
    def recovery(self) -> Recovery:
        """The recovery service."""
        if self._recovery is None:
            self._recovery = Recovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery  # type: ignore[return-value]


class EngineTable(Table):  # type: ignore[type-arg]
    """A Faust table whose rows live in the runtime: Faust assigns its changelog, we write it."""

    async def on_recovery_completed(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: there is no store to warm up."""


class EngineApp(App):
    """A Faust app that carries its runtime."""

    BootStrategy: ClassVar[type[FaustBootStrategy]] = BootStrategy
    runtime: Runtime
    topic_id: Any
