"""What repeats the code's declarations equals them: settings, metrics, the chart's schema."""

import json
import re
import subprocess
import sys
from pathlib import Path

from streams.metrics import METRICS
from streams.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]


def first_column(page: str) -> list[str]:
    return re.findall(r"^\| `([^`]+)` \|", (ROOT / page).read_text(), flags=re.MULTILINE)


def test_the_committed_files_are_what_the_code_generates(tmp_path: Path) -> None:
    """Else: python -m deploy.reference."""
    command = [sys.executable, "-m", "deploy.reference", str(tmp_path)]
    built = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert built.returncode == 0, built.stderr
    generated = {p.relative_to(tmp_path): p.read_text() for p in tmp_path.rglob("*.*")}
    committed = {path: (ROOT / path).read_text() for path in generated}
    assert generated == committed
    assert len(generated) == 3


def test_every_setting_is_documented_by_its_variable_and_nothing_else_is() -> None:
    assert first_column("docs/settings.md") == [PREFIX + n.upper() for n in Settings.model_fields]


def test_every_metric_is_documented_and_nothing_else_is() -> None:
    assert first_column("docs/metrics.md") == [metric.name for metric in METRICS]


def test_every_setting_says_what_it_means() -> None:
    for name, field in Settings.model_fields.items():
        assert (field.description or "").endswith("."), name


def test_the_chart_knows_every_setting_but_those_it_sets_itself() -> None:
    schema = json.loads((ROOT / "deploy/helm/trailstreams/values.schema.json").read_text())
    settings = schema["properties"]["settings"]
    set_by_chart = {
        "kafka_sasl_password",
        "schema_registry_password",
        "kafka_group_instance_id",
    }
    assert set(settings["properties"]) == set(Settings.model_fields) - set_by_chart
    assert settings["additionalProperties"] is False
