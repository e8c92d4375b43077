"""Write what repeats the code's declarations: `python -m deploy.reference [DIRECTORY]`.

docs/settings.md from `Settings`, docs/metrics.md from `METRICS`, and the chart's schema of its
`settings`, so that a value which the worker would refuse is refused by `helm install` already.
"""

import json
import sys
from pathlib import Path
from typing import Any

from streams.metrics import METRICS, Metric
from streams.settings import PREFIX, Settings

ROOT = Path(__file__).parents[1]
CHART_SCHEMA = "deploy/helm/trailstreams/values.schema.json"
SET_BY_CHART = frozenset(
    {"kafka_sasl_password", "schema_registry_password", "kafka_group_instance_id"}
)
"""Settings that are no chart values: secrets' keys, and the pod's name."""

_SETTINGS_HEAD = f"""\
# Settings

Written by `python -m deploy.reference` from `streams/settings.py`; do not edit.

Every command reads its settings from the environment.
A variable that begins with `{PREFIX}` and is not in this table is an error:
a typing mistake is never silent.
What Kubernetes injects for a Service (`*_SERVICE_HOST`, `*_PORT` with a `tcp://` value) is ignored.
All errors are reported at once, at start, with exit code 2.

| variable | default | allowed | meaning |
|---|---|---|---|
"""
_METRICS_HEAD = """\
# Metrics

Written by `python -m deploy.reference` from `streams/metrics.py`; do not edit.

A worker serves them at `/metrics` on `TRAILSTREAMS_METRICS_PORT`,
a source does with `--serve-metrics`.
Counters of events move after the commit that made the counts durable,
never while a partition recovers.
Metrics with the label `partition`, `anomalies_active`, `anomaly_info`, `series` and
`partition_share_max` belong to the partitions a worker owns, and vanish when it loses them.

| metric | type | labels | meaning |
|---|---|---|---|
"""


def main(directory: Path) -> None:
    """Write every generated file below `directory`."""
    for name, text in generated().items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def generated() -> dict[str, str]:
    """Give the text of each generated file by its path below the repository's root."""
    properties = Settings.model_json_schema()["properties"]
    settings = "".join(_setting_row(name, schema) for name, schema in properties.items())
    metrics = "".join(_metric_row(metric) for metric in METRICS)
    return {
        "docs/settings.md": _SETTINGS_HEAD + settings,
        "docs/metrics.md": _METRICS_HEAD + metrics,
        CHART_SCHEMA: _chart_schema(properties),
    }


def _setting_row(name: str, schema: dict[str, Any]) -> str:
    default = schema["default"]
    shown = "empty" if default == "" else f"`{default}`"
    return (
        f"| `{PREFIX}{name.upper()}` | {shown} | {_allowed(schema)} | {schema['description']} |\n"
    )


def _allowed(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    words = [schema["type"]]
    words += [f"> {schema['exclusiveMinimum']:g}"] if "exclusiveMinimum" in schema else []
    words += [f"≥ {schema['minimum']}"] if "minimum" in schema else []
    words += [f"≤ {schema['maximum']:g}"] if "maximum" in schema else []
    return " ".join(words)


def _metric_row(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels) or "none"
    bounds = ", ".join(f"{bound:g}" for bound in metric.buckets)
    text = f"{metric.help} Buckets: {bounds}." if bounds else metric.help
    return f"| `{metric.name}` | {metric.kind} | {labels} | {text} |\n"


def _chart_schema(properties: dict[str, Any]) -> str:
    schema = json.loads((ROOT / CHART_SCHEMA).read_text(encoding="utf-8"))
    schema["properties"]["settings"]["properties"] = {
        name: {key: value for key, value in rules.items() if key not in {"title", "default"}}
        for name, rules in properties.items()
        if name not in SET_BY_CHART
    }
    # A Service needs to know the port; 0 would pick one.
    schema["properties"]["settings"]["properties"]["metrics_port"]["minimum"] = 1
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT)
