"""Every setting, once: read from `TRAILSTREAMS_*`, checked all at once, frozen."""

import os
import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from streams.errors import ConfigurationError

PREFIX = "TRAILSTREAMS_"

# What a Kubernetes Service named `trailstreams…` injects into every pod of its namespace
# (Kubernetes documentation, "Accessing the Service", environment variables).
_SERVICE_LINK = re.compile(r"_SERVICE_HOST$|_SERVICE_PORT(_\w+)?$|_PORT_\d+_(TCP|UDP|SCTP)(_\w+)?$")
_SERVICE_LINK_VALUE = re.compile(r"^(tcp|udp|sctp)://")

Seconds = Annotated[int, Field(ge=1)]


class Settings(BaseSettings):
    """Settings of one deployment; names in the environment carry the prefix `TRAILSTREAMS_`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    app_id: str = Field(
        "trailstreams",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        description="Name of the application: consumer group, changelog topic, transactional ids.",
    )
    topic_prefix: str = Field(
        "cloudtrail.",
        pattern=r"^[A-Za-z0-9._-]*$",
        description="Prefix of every topic; another prefix is another timeline.",
    )
    kafka_bootstrap_servers: str = Field(
        "localhost:9092", min_length=1, description="host:port of Kafka brokers, comma separated."
    )
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How clients talk to Kafka."
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="SASL mechanism, where the protocol is SASL_*."
    )
    kafka_sasl_username: str = Field("", description="SASL user name.")
    kafka_sasl_password: SecretStr = Field(SecretStr(""), description="SASL password.")
    kafka_ssl_ca_location: str = Field(
        "", description="File of CA certificates (PEM); empty takes the system's."
    )
    schema_registry_url: str = Field(
        "",
        pattern=r"^(https?://[^,\s@]+(,https?://[^,\s@]+)*)?$",
        description="Address of a Schema Registry (Confluent's API), several comma separated: "
        "values and keys are framed with its ids; empty is single-object encoding.",
    )
    schema_registry_username: str = Field("", description="User name at the Schema Registry.")
    schema_registry_password: SecretStr = Field(
        SecretStr(""), description="Password at the Schema Registry."
    )
    kafka_partitions: int = Field(
        12,
        ge=1,
        le=10_000,
        description="Partitions of the records topic, the derived topics and the changelog.",
    )
    kafka_replication_factor: int = Field(
        3, ge=1, le=10, description="Replicas of every topic that `topics apply` creates."
    )
    kafka_session_timeout_seconds: Seconds = Field(
        30, description="A worker silent for this long loses its partitions."
    )
    kafka_group_instance_id: str = Field(
        "", description="Static member id (KIP-345), for example the pod's name; empty is dynamic."
    )
    window_seconds: Seconds = Field(
        300, description="Length of the tumbling windows; must divide 3600."
    )
    allowed_lateness_seconds: int = Field(
        600, ge=0, description="How far a source's Progress stays behind what it has read."
    )
    amendment_seconds: int = Field(
        6 * 3600,
        ge=0,
        description="How long after its close a window still accepts events, as amendments.",
    )
    flush_seconds: float = Field(
        1.0, gt=0, le=60, description="How often a partition's state is committed."
    )
    flush_rows: int = Field(
        50_000, ge=100, description="Changed rows after which a partition is committed early."
    )
    max_series: int = Field(
        200_000, ge=100, description="Watched series per partition; the longest idle is dropped."
    )
    anomaly_threshold: float = Field(
        6.0,
        gt=0,
        description="Score (-log10 of the calibrated tail probability) at which an anomaly opens.",
    )
    max_object_bytes: int = Field(
        256 * 1024 * 1024,
        ge=1024,
        description="Largest log file after decompression; a larger one becomes a dead letter.",
    )
    metrics_port: int = Field(
        9108, ge=0, le=65535, description="Port of /metrics, /healthz and /readyz; 0 picks one."
    )
    metrics_max_series: int = Field(
        20_000, ge=100, description="Cap on the label sets of events_total in one worker."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="Least severe level that is logged."
    )

    @model_validator(mode="after")
    def _consistent(self) -> "Settings":
        if 3600 % self.window_seconds:
            raise ValueError(f"window_seconds must divide 3600, not {self.window_seconds}")
        if self.kafka_security_protocol.startswith("SASL") and not self.kafka_sasl_username:
            raise ValueError(f"{self.kafka_security_protocol} needs {PREFIX}KAFKA_SASL_USERNAME")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take values from the constructor only: `load_settings` reads the environment."""
        return (init_settings,)

    @property
    def changelog_topic(self) -> str:
        """Name of the one changelog topic."""
        return f"{self.app_id}-state-changelog"


def load_settings(environ: Mapping[str, str] | None = None, **overrides: object) -> Settings:
    """Read the settings from `environ` (default: the process environment); overrides win.

    Raise ConfigurationError naming every unknown variable and every bad value at once.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, object] = {}
    problems: list[str] = []
    for name, value in environ.items():
        if not name.startswith(PREFIX):
            continue
        field = name.removeprefix(PREFIX).lower()
        if _is_service_link(name, value):
            continue
        if field in Settings.model_fields:
            values[field] = value
        else:
            problems.append(f"{name}: no such setting")
    values.update({name: value for name, value in overrides.items() if value is not None})
    try:
        settings = Settings(**values)  # type: ignore[arg-type]
    except ValidationError as error:
        problems += [_problem(item["loc"], item["msg"]) for item in error.errors()]
    if problems:
        raise ConfigurationError("; ".join(sorted(problems)))
    return settings


def environment(settings: Settings) -> dict[str, str]:
    """Return the variables that give another process these settings, secrets included."""
    values = {name: getattr(settings, name) for name in settings.model_fields_set}
    return {
        PREFIX + name.upper(): str(
            value.get_secret_value() if isinstance(value, SecretStr) else value
        )
        for name, value in values.items()
    }


def _is_service_link(name: str, value: str) -> bool:
    if name.endswith("_PORT") and _SERVICE_LINK_VALUE.match(value):
        return True
    return bool(_SERVICE_LINK.search(name))


def _problem(location: tuple[int | str, ...], message: str) -> str:
    # The value itself is left out: it may be a secret.
    name = PREFIX + ".".join(str(part) for part in location).upper() if location else "settings"
    return f"{name}: {message.removeprefix('Value error, ')}"
