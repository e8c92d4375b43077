"""The worker: one Faust app, its agent and its table, wired from settings."""

import asyncio
import gc
import logging
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import NoReturn

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from streams.agents.count import create_count_agent
from streams.agents.job import CountingJob
from streams.engine.client import credentials
from streams.engine.ownership import EngineApp, TableManager
from streams.engine.runtime import Runtime
from streams.errors import ConfigurationError
from streams.metrics import Metrics
from streams.settings import Settings
from streams.tables import create_state_table
from streams.topics import check, topic_id, writing_codecs

logger = logging.getLogger(__name__)

STOP_SECONDS = 8.0
CRASH_POLL_SECONDS = 0.2


def create_app(settings: Settings, runtime: Runtime) -> EngineApp:
    """Return the Faust app of one worker; nothing is connected or started yet."""
    session = settings.kafka_session_timeout_seconds
    static = settings.kafka_group_instance_id
    app = EngineApp(
        settings.app_id,
        broker=f"chunks://{settings.kafka_bootstrap_servers.split(',')[0]}",
        broker_credentials=credentials(settings),
        broker_session_timeout=session,
        broker_heartbeat_interval=max(1.0, session / 10),
        broker_request_timeout=max(session, 30.0),
        broker_rebalance_timeout=60.0,
        broker_max_poll_interval=300.0,
        broker_commit_interval=settings.flush_seconds,
        broker_commit_every=10**9,
        key_serializer="raw",
        value_serializer="raw",
        store="memory://",
        # Faust makes the directory, but nothing is stored in it.
        datadir=tempfile.gettempdir() + "/trailstreams-faust",
        topic_allow_declare=False,
        topic_disable_leader=True,
        topic_partitions=settings.kafka_partitions,
        table_standby_replicas=0,
        stream_recovery_delay=0.0,
        web_enabled=False,
        # A bug in the fold ends the worker: going on without the chunk would lose it.
        agent_supervisor="mode.CrashingSupervisor",
        TableManager=TableManager,
        consumer_group_instance_id=static or None,
        # A static member must come back under the same address, or Faust's assignor refuses it.
        canonical_url=f"http://{static}" if static else None,
    )
    app.runtime = runtime
    app.topic_id = partial(topic_id, settings)
    create_count_agent(app, runtime.job.source_topic)
    create_state_table(app, settings.kafka_partitions)
    return app


async def run_worker(settings: Settings) -> None:
    """Run one worker until SIGTERM or SIGINT.

    Raise TrailstreamsError when it cannot go on: broker, topics, schemas, state.
    """
    await asyncio.to_thread(check, settings)
    codecs = await asyncio.to_thread(writing_codecs, settings)
    # Rows and keys live long and form no cycles: the default thresholds cost a microsecond an
    # event (benchmarks/state/fold.py, the hard case).
    gc.set_threshold(50_000, 20, 100)
    registry = CollectorRegistry()
    job = CountingJob(settings, codecs, Metrics(registry, max_series=settings.metrics_max_series))
    runtime = Runtime(settings, job, job)
    app = create_app(settings, runtime)
    async with _probes(settings.metrics_port, registry, runtime):
        await run_until_stopped(app, runtime)
    if runtime.failure is not None:
        raise runtime.failure


async def run_until_stopped(app: EngineApp, runtime: Runtime) -> None:
    """Run the app until a signal, a failure of the runtime or a crash; then stop it in order."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    starting = asyncio.ensure_future(app.start())
    endings = [
        asyncio.ensure_future(stop.wait()),
        asyncio.ensure_future(runtime.failed.wait()),
        asyncio.ensure_future(_crash(app)),
    ]
    await asyncio.wait(endings, return_when=asyncio.FIRST_COMPLETED)
    for ending in endings:
        ending.cancel()
    starting.cancel()
    stopping = asyncio.ensure_future(app.stop())
    await asyncio.wait([stopping], timeout=STOP_SECONDS)
    if not stopping.done():
        _leave(runtime.failure or app.crash_reason)
    await stopping
    if app.crashed and runtime.failure is None and app.crash_reason is not None:
        raise app.crash_reason


def _leave(failure: BaseException | None) -> NoReturn:
    """End the process as it is: Faust's thread and its tasks wait for a broker that is silent.

    What was not committed is read again by the next owner; that is what positions are for.
    """
    logger.warning("not everything stopped within %.0f s; leaving", STOP_SECONDS)
    if failure is not None:
        sys.stderr.write(f"error: {failure}\n")
    logging.shutdown()
    os._exit(0 if failure is None else 1)


async def _crash(app: EngineApp) -> None:
    while not app.crashed:  # noqa: ASYNC110 - mode has no public event for it
        await asyncio.sleep(CRASH_POLL_SECONDS)


@asynccontextmanager
async def _probes(port: int, registry: CollectorRegistry, runtime: Runtime) -> AsyncIterator[None]:
    """Serve /metrics, /healthz and /readyz, and nothing else."""

    async def metrics(_: web.Request) -> web.Response:
        body = await asyncio.to_thread(generate_latest, registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n", status=200 if runtime.failure is None else 500)

    async def readyz(_: web.Request) -> web.Response:
        return web.Response(
            text="ready\n" if runtime.ready else "not ready\n", status=200 if runtime.ready else 503
        )

    server = web.Application()
    server.add_routes(
        [web.get("/metrics", metrics), web.get("/healthz", healthz), web.get("/readyz", readyz)]
    )
    runner = web.AppRunner(server, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, port=port)
        try:
            await site.start()
        except OSError as error:
            raise ConfigurationError(
                f"cannot listen on metrics port {port}: {error.strerror}; "
                "set TRAILSTREAMS_METRICS_PORT to a free one"
            ) from error
        logger.info("metrics on port %s", runner.addresses[0][1])
        yield
    finally:
        await runner.cleanup()
