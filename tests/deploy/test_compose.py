"""The compose file: the same settings, topics before workers, Prometheus and Grafana fed."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from streams.settings import PREFIX, load_settings

ROOT = Path(__file__).parents[2]
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())[
    "services"
]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
WORKERS = {name: service for name, service in OURS.items() if service["command"] == ["worker"]}


def mounts(service: str) -> dict[str, Path]:
    """Map paths in the container to those of the repository, of its bind mounts."""
    pairs = [volume.split(":") for volume in SERVICES[service]["volumes"]]
    return {inside: ROOT / outside for outside, inside, *_ in pairs if outside.startswith("./")}


def test_the_whole_road_is_there() -> None:
    commands = sorted(" ".join(service["command"]) for service in OURS.values())
    assert commands == ["source synthetic --serve-metrics", "topics apply", "worker", "worker"]
    assert set(SERVICES) - set(OURS) == {"kafka", "prometheus", "grafana"}


def test_docker_compose_accepts_it() -> None:
    """It needs no engine for this."""
    if shutil.which("docker-compose") is None:
        pytest.skip("docker-compose (Debian package docker-compose) is absent")
    checked = subprocess.run(
        ["docker-compose", "config", "-q"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize("name", OURS)
def test_the_settings_given_are_settings(name: str) -> None:
    environment = OURS[name]["environment"]
    assert all(variable.startswith(PREFIX) for variable in environment)
    assert all(isinstance(value, str) for value in environment.values())
    load_settings(environment)


def test_all_processes_agree_on_everything_but_the_name_of_the_worker() -> None:
    own = f"{PREFIX}KAFKA_GROUP_INSTANCE_ID"
    shared = [{k: v for k, v in s["environment"].items() if k != own} for s in OURS.values()]
    assert all(environment == shared[0] for environment in shared)
    assert {name: s["environment"][own] for name, s in WORKERS.items()} == {n: n for n in WORKERS}


def test_clients_are_told_the_address_the_broker_advertises() -> None:
    listeners = SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"].split(",")
    address = OURS["source"]["environment"][f"{PREFIX}KAFKA_BOOTSTRAP_SERVERS"]
    assert f"INSIDE://{address}" in listeners
    assert f"HOST://{load_settings({}).kafka_bootstrap_servers}" in listeners


def test_topics_exist_before_anyone_uses_them() -> None:
    assert OURS["topics"]["depends_on"] == {"kafka": {"condition": "service_healthy"}}
    for name in ["source", *WORKERS]:
        wanted = {"topics": {"condition": "service_completed_successfully"}}
        assert OURS[name]["depends_on"] == wanted


def test_what_runs_on_has_a_healthcheck_where_it_has_a_port() -> None:
    for name in ["kafka", "prometheus", "grafana", *WORKERS]:
        assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"


def test_images_are_pinned_and_ports_stay_on_the_loopback_interface() -> None:
    for name, service in SERVICES.items():
        if name not in OURS:
            assert re.fullmatch(r"[\w/-]+:v?\d+\.\d+\.\d+", service["image"])
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_prometheus_scrapes_workers_and_source_on_their_metrics_port_and_loads_the_alerts() -> None:
    mounted = mounts("prometheus")
    config = yaml.safe_load(mounted["/etc/prometheus/prometheus.yml"].read_text())
    (job,) = config["scrape_configs"]
    scraped = [*WORKERS, "source"]
    ports = {name: OURS[name]["environment"][f"{PREFIX}METRICS_PORT"] for name in scraped}
    assert job["static_configs"][0]["targets"] == [f"{name}:{port}" for name, port in ports.items()]
    (pattern,) = map(Path, config["rule_files"])
    assert list(mounted[str(pattern.parent)].glob(pattern.name))


def test_prometheus_accepts_its_configuration() -> None:
    if shutil.which("promtool") is None and os.environ.get("CI") != "true":
        pytest.skip("promtool (Debian package prometheus) is absent")
    checked = subprocess.run(
        ["promtool", "check", "config", "--syntax-only", "deploy/compose/prometheus.yml"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert checked.returncode == 0, checked.stderr


def test_grafana_finds_prometheus_and_the_dashboard() -> None:
    mounted = mounts("grafana")
    provisioning = Path("/etc/grafana/provisioning")
    (source,) = mounted[str(provisioning / "datasources")].glob("*.yaml")
    assert yaml.safe_load(source.read_text())["datasources"][0]["url"] == "http://prometheus:9090"
    (provider,) = mounted[str(provisioning / "dashboards")].glob("*.yaml")
    folder = yaml.safe_load(provider.read_text())["providers"][0]["options"]["path"]
    titles = [json.loads(file.read_text())["title"] for file in mounted[folder].glob("*.json")]
    assert titles == ["Trailstreams"]
    home = Path(SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert (mounted[str(home.parent)] / home.name).exists()
