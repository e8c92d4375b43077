"""Looking now and then at what a worker stands on and would not hear of while it is idle.

Fetching goes on in a topic that was deleted and made again, at positions of the old one; and who
writes nothing is not told that somebody else has written its state (`trailstreams state`).
"""

import logging

from aiokafka.errors import KafkaError

from streams.engine.runtime import Runtime
from streams.errors import KafkaUnavailableError, StateError

logger = logging.getLogger(__name__)

LOOK_SECONDS = 5.0


async def look_out(runtime: Runtime) -> None:
    """Fail where the source topic is another one; read back what somebody else has written."""
    try:
        runtime.check_source(await runtime.source.topic_id())
        await _look_at_changelogs(runtime)
    except StateError as error:
        runtime.fail(error)
    except (KafkaError, KafkaUnavailableError, OSError, TimeoutError) as error:
        # Whoever needs Kafka now will hear of it too; the next look is soon.
        logger.debug("cannot look at the topics: %r", error)


async def _look_at_changelogs(runtime: Runtime) -> None:
    idle = {owned: owned.changelog_end for owned in runtime.owned.values() if not owned.flushing}
    if not idle:
        return
    ends = await runtime.source.changelog_ends([owned.partition for owned in idle])
    for owned, known_end in idle.items():
        # Only what did not move meanwhile: our own flushes move the end, too. An end before the
        # known one is a commit marker that Kafka has yet to write.
        if owned.flushing or owned.changelog_end != known_end:
            continue
        if ends[owned.partition] > known_end:
            runtime.lose(owned, "somebody else has written it")
