"""The Helm chart: renders, is valid Kubernetes, hardened, and refuses what it does not know."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator, validate

from streams.settings import PREFIX, Settings, load_settings

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy/helm/trailstreams"
SERVICE_MONITOR_CRD = ROOT / "../shared/crds/servicemonitors.yaml"
Manifest = dict[str, Any]

EVERYTHING_ON: dict[str, Any] = {
    "settings": {
        "kafka_security_protocol": "SASL_SSL",
        "kafka_sasl_username": "trailstreams",
        "schema_registry_url": "https://registry.example",
        "schema_registry_username": "trailstreams",
        "max_object_bytes": 268435456,
        "flush_seconds": 0.5,
        "topic_prefix": "example.",
    },
    "kafkaSaslPassword": {"secretName": "kafka-user"},
    "schemaRegistryPassword": {"secretName": "registry-user", "secretKey": "token"},
    "kafkaCa": {"secretName": "cluster-ca-cert"},
    "image": {"pullSecrets": [{"name": "pull"}]},
    "worker": {
        "podAnnotations": {"example.com/team": "platform"},
        "nodeSelector": {"kubernetes.io/arch": "amd64"},
        "tolerations": [{"key": "dedicated", "operator": "Exists"}],
    },
    "source": {
        "args": ["files", "/trails"],
        "volumes": [{"name": "trails", "emptyDir": {}}],
        "volumeMounts": [{"name": "trails", "mountPath": "/trails", "readOnly": True}],
    },
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "serviceAccount": {"annotations": {"example.com/role": "reader"}},
}
EVERYTHING_OFF: dict[str, Any] = {
    "source": {"enabled": False},
    "topics": {"apply": False},
    "serviceAccount": {"create": False},
}
VARIANTS = pytest.mark.parametrize(
    "values", [{}, EVERYTHING_ON, EVERYTHING_OFF], ids=["defaults", "everything on", "off"]
)


@pytest.fixture
def helm() -> Any:
    """Helm's own library; in CI its absence is a failure, elsewhere a reason to skip."""
    if os.environ.get("CI") == "true":
        import helm_python  # noqa: PLC0415 - an ImportError is the failure wanted here
    else:
        helm_python = pytest.importorskip(
            "helm_python", reason="helm-python-sdk (PyPI) has no wheel here", exc_type=ImportError
        )
    return helm_python


def render(helm: Any, values: dict[str, Any], name: str = "example") -> list[Manifest]:
    with helm.Chart.load(CHART) as chart:
        files = chart.render(values=values, name=name, namespace="audit")
    texts = [text for path, text in files.items() if path.endswith(".yaml")]
    return [manifest for text in texts if (manifest := yaml.safe_load(text))]


def by_name(manifests: list[Manifest]) -> dict[str, Manifest]:
    """Index by kind and component, for example `Service/worker`."""
    component = "app.kubernetes.io/component"
    names = [
        "/".join([m["kind"], *filter(None, [m["metadata"]["labels"].get(component)])])
        for m in manifests
    ]
    assert len(set(names)) == len(names)
    return dict(zip(names, manifests, strict=True))


def pod_specs(manifests: list[Manifest]) -> Iterator[Manifest]:
    for manifest in manifests:
        if manifest["kind"] in {"StatefulSet", "Deployment", "Job"}:
            yield manifest["spec"]["template"]["spec"]


def environment(pod: Manifest) -> dict[str, Any]:
    (container,) = pod["containers"]
    names = [entry["name"] for entry in container["env"]]
    assert len(names) == len(set(names))
    return {entry["name"]: entry.get("value") for entry in container["env"]}


@VARIANTS
def test_helm_lints_it_without_a_warning(helm: Any, values: dict[str, Any]) -> None:
    report = helm.lint(CHART, values, strict=True)
    assert report["errors"] == []
    assert [m for m in report["messages"] if m["severity"] > 1] == []


@VARIANTS
def test_every_manifest_is_valid_kubernetes(helm: Any, values: dict[str, Any]) -> None:
    kubernetes_validate = pytest.importorskip("kubernetes_validate")
    core = [m for m in render(helm, values) if m["kind"] != "ServiceMonitor"]
    for manifest in core:
        for version in ("1.25", "1.31", "1.37"):
            kubernetes_validate.validate(manifest, version, strict=True)
    assert len(core) >= 2


def test_the_service_monitor_is_valid_and_selects_the_services(helm: Any) -> None:
    if not SERVICE_MONITOR_CRD.exists():
        pytest.skip("the ServiceMonitor CRD is not at ../shared/crds")
    kinds = by_name(render(helm, EVERYTHING_ON))
    monitor = kinds["ServiceMonitor"]
    (version,) = yaml.safe_load(SERVICE_MONITOR_CRD.read_text())["spec"]["versions"]
    validate(monitor, closed(version["schema"]["openAPIV3Schema"]))
    selector = monitor["spec"]["selector"]
    (expression,) = selector["matchExpressions"]
    for service in (kinds["Service/worker"], kinds["Service/source"]):
        labels = service["metadata"]["labels"]
        assert selector["matchLabels"].items() <= labels.items()
        assert labels[expression["key"]] in expression["values"]
        assert monitor["spec"]["endpoints"][0]["port"] == service["spec"]["ports"][0]["name"]


def closed(schema: Any) -> Any:
    """Refuse unknown members, as the API server's strict field validation does."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {key: closed(value) for key, value in schema.items()}
    properties = schema.get("properties")
    if isinstance(properties, dict) and properties and "type" in schema:
        strict.setdefault("additionalProperties", False)
    return strict


def test_what_is_switched_off_is_not_there(helm: Any) -> None:
    always = {"StatefulSet/worker", "Service/worker"}
    assert set(by_name(render(helm, EVERYTHING_OFF))) == always
    assert set(by_name(render(helm, EVERYTHING_ON))) == always | {
        "Deployment/source",
        "Service/source",
        "Job/topics",
        "ServiceMonitor",
        "ServiceAccount",
    }


@VARIANTS
def test_every_pod_is_hardened_and_takes_no_service_links(
    helm: Any, values: dict[str, Any]
) -> None:
    """A Service named trailstreams-metrics would inject TRAILSTREAMS_METRICS_PORT."""
    for pod in pod_specs(render(helm, values)):
        assert pod["enableServiceLinks"] is False
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        (container,) = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"name": "tmp", "mountPath": "/tmp"} in container["volumeMounts"]  # noqa: S108
        assert container["resources"]["requests"]
        volumes = {volume["name"] for volume in pod["volumes"]}
        assert {mount["name"] for mount in container["volumeMounts"]} == volumes


@VARIANTS
def test_the_worker_accepts_the_environment_it_is_given(helm: Any, values: dict[str, Any]) -> None:
    """Numbers arrive as numbers: Helm would print 268435456 as 2.68435456e+08."""
    for pod in pod_specs(render(helm, values)):
        given = {name: value or "from-elsewhere" for name, value in environment(pod).items()}
        settings = load_settings(given)
        for name, value in values.get("settings", {}).items():
            assert getattr(settings, name) == value


def test_the_worker_is_a_static_member_of_its_group_named_after_its_pod(helm: Any) -> None:
    worker = by_name(render(helm, {}))["StatefulSet/worker"]["spec"]
    pod = worker["template"]["spec"]
    (container,) = pod["containers"]
    (name,) = [e for e in container["env"] if e["name"].endswith("GROUP_INSTANCE_ID")]
    assert name["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    assert container["args"] == ["worker"]
    assert pod["terminationGracePeriodSeconds"] == 60
    paths = {probe: container[probe]["httpGet"]["path"] for probe in container if "Probe" in probe}
    assert paths == {"livenessProbe": "/healthz", "readinessProbe": "/readyz"}


@pytest.mark.parametrize(
    ("service", "found", "others"),
    [
        ("Service/worker", "StatefulSet/worker", "Deployment/source"),
        ("Service/source", "Deployment/source", "StatefulSet/worker"),
    ],
)
def test_a_service_finds_its_own_pods_and_only_them(
    helm: Any, service: str, found: str, others: str
) -> None:
    kinds = by_name(render(helm, {}))
    spec = kinds[service]["spec"]
    assert spec["clusterIP"] == "None"
    templates = [kinds[name]["spec"]["template"] for name in (found, others)]
    labels = [template["metadata"]["labels"].items() for template in templates]
    assert [spec["selector"].items() <= items for items in labels] == [True, False]
    ports = templates[0]["spec"]["containers"][0]["ports"]
    assert spec["ports"][0]["targetPort"] in [port["name"] for port in ports]
    assert (
        kinds["StatefulSet/worker"]["spec"]["serviceName"]
        == (kinds["Service/worker"]["metadata"]["name"])
    )


def test_the_source_is_the_command_of_the_values_and_serves_its_metrics(helm: Any) -> None:
    pod = by_name(render(helm, EVERYTHING_ON))["Deployment/source"]["spec"]["template"]["spec"]
    assert pod["containers"][0]["args"] == ["source", "files", "/trails", "--serve-metrics"]


def test_another_metrics_port_reaches_the_setting_the_container_and_the_service(helm: Any) -> None:
    kinds = by_name(render(helm, {"settings": {"metrics_port": 9999}}))
    pod = kinds["StatefulSet/worker"]["spec"]["template"]["spec"]
    assert environment(pod)["TRAILSTREAMS_METRICS_PORT"] == "9999"
    assert pod["containers"][0]["ports"] == [{"name": "metrics", "containerPort": 9999}]
    assert kinds["Service/worker"]["spec"]["ports"][0]["port"] == 9999


def test_passwords_come_from_secrets_and_the_certificate_from_its_mount(helm: Any) -> None:
    for pod in pod_specs(render(helm, EVERYTHING_ON)):
        (container,) = pod["containers"]
        assert {
            entry["name"]: entry["valueFrom"]["secretKeyRef"]
            for entry in container["env"]
            if entry["name"].endswith("PASSWORD")
        } == {
            "TRAILSTREAMS_KAFKA_SASL_PASSWORD": {"name": "kafka-user", "key": "password"},
            "TRAILSTREAMS_SCHEMA_REGISTRY_PASSWORD": {"name": "registry-user", "key": "token"},
        }
        location = environment(pod)["TRAILSTREAMS_KAFKA_SSL_CA_LOCATION"]
        mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
        assert str(Path(location).parent) in mounts


def test_topics_are_applied_before_the_rest_and_need_nothing_of_it(helm: Any) -> None:
    job = by_name(render(helm, {}))["Job/topics"]
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    pod = job["spec"]["template"]["spec"]
    assert pod["containers"][0]["args"] == ["topics", "apply"]
    assert "serviceAccountName" not in pod


def test_the_longest_release_name_gives_valid_names(helm: Any) -> None:
    for manifest in render(helm, {}, name="r" * 53):
        assert len(manifest["metadata"]["name"]) <= 63
        for value in manifest["metadata"]["labels"].values():
            assert len(value) <= 63


@pytest.mark.parametrize(
    "values",
    [
        {"replicas": 3},
        {"worker": {"replicas": -1}},
        {"worker": {"replica": 3}},
        {"worker": {"terminationGracePeriodSeconds": 5}},
        {"settings": {"kafka_partition": 3}},
        {"settings": {"kafka_partitions": "twelve"}},
        {"settings": {"kafka_partitions": 0}},
        {"settings": {"kafka_security_protocol": "TLS"}},
        {"settings": {"kafka_sasl_password": "in the values"}},
        {"settings": {"schema_registry_password": "in the values"}},
        {"settings": {"schema_registry_url": "https://user:password@registry.example"}},
        {"settings": {"kafka_group_instance_id": "one for all"}},
        {"settings": {"metrics_port": 0}},
        {"image": {"pullPolicy": "Sometimes"}},
        {"source": {"args": []}},
        {"source": {"args": "synthetic"}},
        {"serviceMonitor": {"interval": "often"}},
        {"serviceAccount": {"name": "Not A Name"}},
    ],
    ids=json.dumps,
)
def test_the_schema_refuses_a_bad_value(helm: Any, values: dict[str, Any]) -> None:
    with pytest.raises(helm.HelmValuesError):
        render(helm, values)


def test_every_object_of_the_schema_with_named_members_is_closed() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    Draft7Validator.check_schema(schema)
    for node in walk(schema):
        if "properties" in node and node.get("type") == "object":
            assert node["additionalProperties"] is False


def walk(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from walk(value)


def test_every_value_of_the_schema_is_in_values_yaml() -> None:
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert set(schema["properties"]) - {"global"} == set(defaults)
    for section in set(defaults) - {"settings"}:
        named = schema["properties"][section].get("properties", {})
        assert not named or set(named) == set(defaults[section]), section


def test_every_value_in_values_yaml_is_explained_by_the_line_above_it() -> None:
    lines = (CHART / "values.yaml").read_text().splitlines()
    keys = [number for number, line in enumerate(lines) if re.match(r"(  )?\w+:", line)]
    unexplained = [
        lines[number] for number in keys if not lines[number - 1].strip().startswith("#")
    ]
    assert unexplained == []


def test_settings_in_values_yaml_are_settings() -> None:
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())["settings"]
    assert set(defaults) <= set(Settings.model_fields)
    load_settings({PREFIX + name.upper(): str(value) for name, value in defaults.items()})
