"""The topics' schemas in a Schema Registry, and codecs that know its ids.

Subjects are `<topic>-key` and `<topic>-value` (Confluent's TopicNameStrategy).
`trailstreams topics apply` registers; everybody else looks up, so that writers need no right to
register.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from streams.codecs import Codecs, ConfluentWire, load_schemas
from streams.errors import ConfigurationError, RegistryUnavailableError
from streams.settings import Settings
from streams.topics.catalogue import catalogue

T = TypeVar("T")

_REQUEST_SECONDS = 5
_APPLY = "`trailstreams topics apply` registers schemas"
_NOT_FOUND = 404


def writing_codecs(settings: Settings) -> Codecs:
    """Return codecs that write the framing of the settings and read every framing.

    Raise RegistryUnavailableError where the Schema Registry does not have all our schemas.
    """
    if not settings.schema_registry_url:
        return Codecs()
    registry = _Registry(settings)
    return Codecs(ConfluentWire(registry.ids()), registry.schema)


def reading_codecs(settings: Settings) -> Codecs:
    """Return codecs for who only reads: the Schema Registry is asked where an id first comes."""
    if not settings.schema_registry_url:
        return Codecs()
    return Codecs(registered=_Registry(settings).schema)


def check_schemas(settings: Settings) -> None:
    """Raise RegistryUnavailableError naming, a line each, every schema that is not registered."""
    if settings.schema_registry_url:
        _Registry(settings).ids()


def register_schemas(settings: Settings) -> dict[str, str]:
    """Register what is missing; return what was done by subject, nothing without a registry.

    Raise RegistryUnavailableError, also where a subject refuses our schema as incompatible.
    """
    if not settings.schema_registry_url:
        return {}
    registry = _Registry(settings)
    return {subject: registry.register(subject, name) for subject, name in subjects(settings)}


def subjects(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield each subject with the name of its schema; every schema has one subject."""
    for topic in catalogue(settings):
        for side, name in (("key", topic.key_schema), ("value", topic.value_schema)):
            if name:
                yield f"{topic.name}-{side}", name


class _Registry:
    """The Schema Registry of the settings.

    Each call tries for some seconds, and raises RegistryUnavailableError.
    """

    def __init__(self, settings: Settings) -> None:
        try:
            from confluent_kafka import schema_registry  # noqa: PLC0415 - optional
            from httpx2 import HTTPError  # noqa: PLC0415 - what its client raises
        except ImportError as error:
            raise ConfigurationError(
                "TRAILSTREAMS_SCHEMA_REGISTRY_URL needs more packages: "
                "pip install 'trailstreams[registry]'"
            ) from error
        self._settings = settings
        self._refusal = schema_registry.SchemaRegistryError
        self._failures = (HTTPError, ValueError)  # no answer, and one that is not the API's
        self._client = schema_registry.SchemaRegistryClient(_client_config(settings))
        self._schemas = {
            name: schema_registry.Schema(json.dumps(schema.definition), "AVRO")
            for name, schema in load_schemas().items()
        }

    def ids(self) -> dict[str, int]:
        """Return the id of every schema of ours, by its name."""
        found = {pair: self._id(*pair) for pair in subjects(self._settings)}
        missing = [
            f"schema {name} is not registered as {subject}"
            for (subject, name), number in found.items()
            if number is None
        ]
        if missing:
            raise RegistryUnavailableError("\n".join((*missing, _APPLY)))
        return {name: number for (_, name), number in found.items() if number is not None}

    def register(self, subject: str, name: str) -> str:
        """Register a schema of ours where it is not yet; return what was done."""
        if self._id(subject, name) is not None:
            return "unchanged"
        with self._asking(f"register {name} as {subject}"):
            return f"registered as {self._client.register_schema(subject, self._schemas[name])}"

    def schema(self, number: int) -> Mapping[str, Any] | None:
        """Return the JSON of the schema with this id; None where there is none of Avro."""
        found = self._found(f"show schema {number}", lambda: self._client.get_schema(number))
        if found is None or found.schema_type != "AVRO":
            return None
        definition = json.loads(found.schema_str or "null")
        return definition if isinstance(definition, dict) else None

    def _id(self, subject: str, name: str) -> int | None:
        schema = self._schemas[name]
        found = self._found(
            f"look up {subject}", lambda: self._client.lookup_schema(subject, schema)
        )
        return None if found is None else found.schema_id

    def _found(self, what: str, ask: Callable[[], T]) -> T | None:
        """Return the answer; None where the registry has no such thing."""
        with self._asking(what):
            try:
                return ask()
            except self._refusal as error:
                if error.http_status_code == _NOT_FOUND:
                    return None
                raise

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        try:
            yield
        except (self._refusal, *self._failures) as error:
            raise RegistryUnavailableError(
                f"the Schema Registry at {self._settings.schema_registry_url} does not {what}: "
                f"{error}"
            ) from error


def _client_config(settings: Settings) -> dict[str, Any]:
    """Return the configuration of confluent_kafka's client; it tries four times within seconds."""
    config: dict[str, Any] = {"url": settings.schema_registry_url, "timeout": _REQUEST_SECONDS}
    if settings.schema_registry_username:
        password = settings.schema_registry_password.get_secret_value()
        config["basic.auth.user.info"] = f"{settings.schema_registry_username}:{password}"
    return config
