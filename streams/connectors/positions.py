"""What a source remembers across processes: the finished objects, and how far it has come."""

from collections.abc import Mapping

from streams.codecs import Codecs, SourcePosition
from streams.connectors.reader import latest
from streams.settings import Settings
from streams.topics import SOURCE_POSITIONS, topic_name


def load_positions(
    settings: Settings, codecs: Codecs, source_id: str
) -> Mapping[str, SourcePosition]:
    """Read a source's positions by object; raise KafkaUnavailableError."""
    values = latest(settings, topic_name(settings, SOURCE_POSITIONS)).values()
    positions = map(codecs.decode_source_position, values)
    return {item.object: item for item in positions if item.source_id == source_id}
