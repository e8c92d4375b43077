"""Settings: every error at once, secrets never shown, Kubernetes' own variables let through."""

import pytest
from pydantic import ValidationError

from streams.errors import ConfigurationError
from streams.settings import Settings, environment, load_settings


def test_defaults_need_no_environment() -> None:
    assert load_settings({}).window_seconds == 300


def test_variables_of_others_are_ignored() -> None:
    assert load_settings({"HOME": "/", "KAFKA_PARTITIONS": "3"}) == load_settings({})


def test_every_problem_is_told_at_once_and_on_one_line() -> None:
    bad = {
        "TRAILSTREAMS_WINDOW_SECONDS": "301",
        "TRAILSTREAMS_KAFKA_PARTITIONS": "many",
        "TRAILSTREAMS_NO_SUCH_THING": "1",
        "TRAILSTREAMS_FLUSH_SECONDS": "0",
    }
    with pytest.raises(ConfigurationError) as raised:
        load_settings(bad)
    message = str(raised.value)
    assert "\n" not in message
    for name in ("KAFKA_PARTITIONS", "NO_SUCH_THING", "FLUSH_SECONDS"):
        assert f"TRAILSTREAMS_{name}" in message


def test_a_window_must_divide_an_hour() -> None:
    with pytest.raises(ConfigurationError, match="must divide 3600, not 7"):
        load_settings({"TRAILSTREAMS_WINDOW_SECONDS": "7"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TRAILSTREAMS_METRICS_PORT", "tcp://10.0.0.7:9108"),
        ("TRAILSTREAMS_METRICS_SERVICE_HOST", "10.0.0.7"),
        ("TRAILSTREAMS_METRICS_SERVICE_PORT", "9108"),
        ("TRAILSTREAMS_METRICS_SERVICE_PORT_HTTP", "9108"),
        ("TRAILSTREAMS_METRICS_PORT_9108_TCP", "tcp://10.0.0.7:9108"),
        ("TRAILSTREAMS_METRICS_PORT_9108_TCP_PROTO", "tcp"),
        ("TRAILSTREAMS_PORT", "udp://10.0.0.7:53"),
    ],
)
def test_service_links_of_kubernetes_are_not_settings(name: str, value: str) -> None:
    assert load_settings({name: value}) == load_settings({})


def test_a_port_that_is_a_number_is_ours() -> None:
    assert load_settings({"TRAILSTREAMS_METRICS_PORT": "9200"}).metrics_port == 9200


def test_a_secret_is_in_no_message_and_no_text() -> None:
    values = {
        "TRAILSTREAMS_KAFKA_SASL_PASSWORD": "hunter2",
        "TRAILSTREAMS_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
    }
    with pytest.raises(ConfigurationError) as raised:
        load_settings(values)
    assert "hunter2" not in str(raised.value)
    settings = load_settings(values | {"TRAILSTREAMS_KAFKA_SASL_USERNAME": "me"})
    assert "hunter2" not in repr(settings)


def test_settings_travel_to_another_process_whole() -> None:
    settings = load_settings(
        {"TRAILSTREAMS_KAFKA_SASL_PASSWORD": "hunter2"}, window_seconds=60, app_id="other"
    )
    assert load_settings(environment(settings)) == settings


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        load_settings({}).window_seconds = 60  # type: ignore[misc]


def test_every_setting_is_described() -> None:
    assert all(field.description for field in Settings.model_fields.values())
