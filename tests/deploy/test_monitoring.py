"""Dashboards and alerts: generated, on declared metrics only, and firing when they must."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from streams.metrics import METRICS

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "deploy/monitoring"
DASHBOARD = json.loads((MONITORING / "dashboards/trailstreams.json").read_text())
RULES = yaml.safe_load((MONITORING / "alerts/trailstreams.yaml").read_text())
ALERTS = [rule for group in RULES["groups"] for rule in group["rules"]]
RULE_TESTS = sorted((MONITORING / "tests").glob("*.yaml"))


def expressions() -> list[str]:
    panels = [target["expr"] for panel in panels_of_data() for target in panel["targets"]]
    return panels + [alert["expr"] for alert in ALERTS]


def panels_of_data() -> list[dict[str, Any]]:
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


@pytest.fixture
def promtool() -> str:
    """Path of promtool; in CI its absence is a failure, elsewhere a reason to skip."""
    found = shutil.which("promtool")
    if found is None and os.environ.get("CI") == "true":
        pytest.fail("promtool is absent: apt-get install --no-install-recommends prometheus")
    if found is None:
        pytest.skip("promtool (Debian package prometheus) is absent")
    return found


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def test_the_committed_files_are_what_the_code_generates(tmp_path: Path) -> None:
    """Else: python -m deploy.monitoring.build."""
    built = run(sys.executable, "-m", "deploy.monitoring.build", tmp_path)
    assert built.returncode == 0, built.stderr
    generated = {p.relative_to(tmp_path): p.read_text() for p in tmp_path.rglob("*.*")}
    committed = {path: (MONITORING / path).read_text() for path in generated}
    assert generated == committed
    assert len(generated) == 2


@pytest.mark.parametrize("expression", expressions())
def test_a_query_is_promql(expression: str, promtool: str, tmp_path: Path) -> None:
    rules = {"groups": [{"name": "g", "rules": [{"record": "r", "expr": expression}]}]}
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump(rules))
    checked = run(promtool, "check", "rules", file)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("expression", expressions())
def test_a_query_uses_declared_metrics_and_their_labels_only(expression: str) -> None:
    exposed = {name: metric for metric in METRICS for name in exposed_names(metric)}
    used = set(re.findall(r"\btrailstreams_\w+", expression))
    assert used
    assert used <= set(exposed)
    labels = {label for name in used for label in exposed[name].labels} | {"le"}
    labels |= set(re.findall(r'label_replace\([^"]*"(\w+)"', expression))
    assert set(labels_in(expression)) <= labels


def exposed_names(metric: Any) -> list[str]:
    if metric.kind == "histogram":
        return [f"{metric.name}_{suffix}" for suffix in ("bucket", "sum", "count")]
    return [metric.name]


def labels_in(expression: str) -> Iterator[str]:
    for names in re.findall(
        r"\b(?:by|without|on|ignoring|group_left|group_right) *\(([^)]*)\)", expression
    ):
        yield from re.findall(r"\w+", names)
    for matchers in re.findall(r"\{([^}]*)\}", expression):
        yield from re.findall(r"(\w+) *(?:=|!=|=~|!~) *\"", matchers)


def test_the_label_check_sees_every_place_a_label_can_stand_in() -> None:
    query = 'sum by (a, b) (x{c="1", d!~"2"}) * on (e) group_left (f) y'
    assert list(labels_in(query)) == ["a", "b", "e", "f", "c", "d"]


def panel_query(title: str) -> str:
    (panel,) = [panel for panel in panels_of_data() if panel["title"] == title]
    return str(panel["targets"][0]["expr"])


def test_the_cost_counts_each_event_once_though_every_worker_exports_the_price(
    promtool: str, tmp_path: Path
) -> None:
    """Two workers, one data event a second each, a millionth of a dollar an event."""
    series = [
        (f'{name}{{instance="{worker}", event_category="Data"{more}}}', values)
        for worker in ("a:9108", "b:9108")
        for name, more, values in (
            ("trailstreams_events_total", ', initiator="direct", region="eu-central-1"', "0+60x10"),
            ("trailstreams_price_dollars_per_event", "", "0.000001x10"),
        )
    ]
    query = panel_query("CloudTrail cost a day, at this rate")
    assert evaluate(promtool, tmp_path, query, series, ('{initiator="direct"}', 86400 * 2e-6)) == ""


def test_late_events_and_duplicates_are_told_apart(promtool: str, tmp_path: Path) -> None:
    series = [("trailstreams_late_events_total", "0+60x10")]
    query = panel_query("Late, too late and duplicate events")
    assert evaluate(promtool, tmp_path, query, series, ('{fate="late"}', 1.0)) == ""
    assert evaluate(promtool, tmp_path, query, series, ('{fate="duplicate"}', 1.0)) != ""


def evaluate(
    promtool: str,
    directory: Path,
    query: str,
    series: list[tuple[str, str]],
    sample: tuple[str, float],
) -> str:
    """Let promtool evaluate a query over series; return what it has against the expected sample."""
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series],
        "promql_expr_test": [
            {
                "expr": query,
                "eval_time": "10m",
                "exp_samples": [{"labels": sample[0], "value": sample[1]}],
            }
        ],
    }
    file = directory / "test.yaml"
    file.write_text(yaml.safe_dump({"tests": [test]}))
    tested = run(promtool, "test", "rules", file)
    return "" if tested.returncode == 0 else tested.stdout + tested.stderr


def test_panels_do_not_overlap_and_fill_their_lines() -> None:
    cells: dict[tuple[int, int], str] = {}
    for panel in DASHBOARD["panels"]:
        position = panel["gridPos"]
        for x in range(position["x"], position["x"] + position["w"]):
            for y in range(position["y"], position["y"] + position["h"]):
                assert (x, y) not in cells, panel["title"]
                cells[x, y] = panel["title"]
    width, height = (max(cell[i] for cell in cells) + 1 for i in (0, 1))
    assert width == 24
    assert len(cells) == width * height


def test_the_dashboard_has_one_row_first_and_distinct_ids() -> None:
    kinds = [panel["type"] for panel in DASHBOARD["panels"]]
    assert kinds[0] == "row"
    assert kinds.count("row") == 1
    identifiers = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(identifiers)) == len(identifiers)


def test_every_panel_says_what_it_shows_in_which_unit_from_the_chosen_data_source() -> None:
    variables = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    assert variables == {"datasource"}
    for panel in panels_of_data():
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


def test_an_alert_uses_the_query_of_a_panel() -> None:
    queries = [target["expr"] for panel in panels_of_data() for target in panel["targets"]]
    for alert in ALERTS:
        assert [q for q in queries if alert["expr"].startswith(q)], alert["alert"]


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_every_alert_has_its_section_in_the_runbook(alert: dict[str, Any]) -> None:
    page, _, anchor = alert["annotations"]["runbook_url"].partition("#")
    headings = re.findall(r"^## (.+)$", (ROOT / page).read_text(), flags=re.MULTILINE)
    assert anchor in [heading.lower() for heading in headings]


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_every_alert_has_a_firing_and_a_silent_test(alert: dict[str, Any]) -> None:
    expected = [
        bool(case["exp_alerts"])
        for file in RULE_TESTS
        for test in yaml.safe_load(file.read_text())["tests"]
        for case in test["alert_rule_test"]
        if case["alertname"] == alert["alert"]
    ]
    assert set(expected) == {True, False}


@pytest.mark.parametrize("file", RULE_TESTS, ids=lambda file: file.stem)
def test_alerts_fire_when_they_must_and_only_then(file: Path, promtool: str) -> None:
    tested = run(promtool, "test", "rules", file)
    assert tested.returncode == 0, tested.stdout + tested.stderr


@pytest.mark.parametrize("broken", ["vector(1) > 2", "vector(1) > 0"], ids=["never", "always"])
@pytest.mark.parametrize("file", RULE_TESTS, ids=lambda file: file.stem)
def test_the_rule_tests_notice_an_alert_that_fires_never_or_always(
    file: Path, broken: str, promtool: str, tmp_path: Path
) -> None:
    rules = yaml.safe_load((MONITORING / "alerts/trailstreams.yaml").read_text())
    for rule in rules["groups"][0]["rules"]:
        rule["expr"] = broken
    (tmp_path / "alerts").mkdir()
    (tmp_path / "tests").mkdir()
    (tmp_path / "alerts/trailstreams.yaml").write_text(yaml.safe_dump(rules))
    copy = shutil.copy(file, tmp_path / "tests")
    assert run(promtool, "test", "rules", copy).returncode == 1
