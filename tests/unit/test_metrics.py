"""The metrics of one process: what is counted, what vanishes with its partition, what is capped."""

import shutil
import subprocess
from collections.abc import Mapping

import pytest
from helpers.anomalies import ROLE, anomaly
from prometheus_client import CollectorRegistry, generate_latest

from streams import metrics as declared
from streams.cloudtrail.record import Activity
from streams.detection.anomaly import Anomaly, Attribution, Level, State
from streams.metrics import ANOMALY_INFO_MAX, METRICS, Metrics, PartitionStatus

NOW = 1_700_000_000.0


def activity(name: str = "GetMetricData", **changes: str) -> Activity:
    return Activity(
        account_id="111122223333",
        region="eu-central-1",
        event_source="monitoring.amazonaws.com",
        event_name=name,
        event_category="Management",
        initiator="internal",
        caller_account_id="111122223333",
        principal=ROLE,
        error_code="",
    )._replace(**changes)


class Process:
    """One process with a fresh registry and a clock that stands still."""

    def __init__(self, max_series: int = 100) -> None:
        self.registry = CollectorRegistry()
        self.metrics = Metrics(self.registry, max_series=max_series, clock=lambda: NOW)

    def samples(self, name: str) -> list[tuple[Mapping[str, str], float]]:
        families = self.registry.collect()
        found = [s for family in families for s in family.samples if s.name == name]
        return [(sample.labels, sample.value) for sample in found]

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)


@pytest.fixture
def process() -> Process:
    return Process()


def test_every_declared_metric_is_exposed_with_the_declared_labels(process: Process) -> None:
    busy(process)
    for family in process.registry.collect():
        total = "_total" if family.type == "counter" else ""
        metric = next(m for m in METRICS if m.name == family.name + total)
        assert (family.type, family.documentation) == (metric.kind, metric.help)
        assert family.samples, metric.name
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(metric.labels)
    assert len(list(process.registry.collect())) == len(METRICS)


def test_every_constant_of_the_module_is_in_the_list() -> None:
    """A metric that is declared and forgotten in METRICS would silently not exist."""
    constants = [v for v in vars(declared).values() if isinstance(v, declared.Metric)]
    assert constants == list(METRICS)
    assert len({metric.name for metric in METRICS}) == len(METRICS)


def test_names_carry_the_prefix_and_the_unit() -> None:
    for metric in METRICS:
        assert metric.name.startswith("trailstreams_")
        assert (metric.kind == "counter") == metric.name.endswith("_total")
        assert metric.buckets == tuple(sorted(metric.buckets))
        assert (metric.kind == "histogram") == bool(metric.buckets)


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool (Debian: prometheus) is absent")
def test_the_exposition_passes_the_linter_of_prometheus(process: Process) -> None:
    busy(process)
    text = generate_latest(process.registry)
    lint = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, check=False
    )
    assert (lint.returncode, lint.stderr) == (0, b"")


def test_two_instances_on_one_registry_are_refused(process: Process) -> None:
    with pytest.raises(ValueError, match="Duplicated timeseries"):
        Metrics(process.registry, max_series=100)


def test_events_of_all_principals_of_one_api_are_one_series_split_by_outcome(
    process: Process,
) -> None:
    process.metrics.events({activity(): 2, activity(principal="arn:other"): 3})
    process.metrics.events({activity(): 4, activity(error_code="AccessDenied"): 1})
    values = {labels["outcome"]: value for labels, value in process.samples(declared.EVENTS.name)}
    assert values == {"ok": 9.0, "error": 1.0}


def test_the_cap_keeps_the_sum_and_the_account_and_says_so() -> None:
    process = Process(max_series=100)
    process.metrics.events({activity(f"Call{number}"): 1 for number in range(100)})
    assert process.value("trailstreams_metrics_capped") == 0.0
    process.metrics.events({activity(f"Call{number}"): 1 for number in range(90, 130)})

    samples = process.samples(declared.EVENTS.name)
    assert len(samples) == 101
    assert sum(value for _, value in samples) == 140.0
    other = [(labels, value) for labels, value in samples if labels["event_name"] == "other"]
    assert [(labels["account_id"], value) for labels, value in other] == [("111122223333", 30.0)]
    assert process.value("trailstreams_metrics_capped") == 1.0


def test_the_cap_holds_when_accounts_are_what_multiplies() -> None:
    process = Process(max_series=100)
    process.metrics.events({activity(account_id=f"{number:012}"): 1 for number in range(1000)})
    samples = process.samples(declared.EVENTS.name)
    assert len(samples) <= 111
    assert sum(value for _, value in samples) == 1000.0


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ([anomaly()], 1.0),
        ([anomaly(provisional=True)], None),
        ([anomaly(provisional=True), anomaly(revision=1)], 1.0),
        ([anomaly(), anomaly(revision=1, state=State.END)], 1.0),
        ([anomaly(provisional=True), anomaly(revision=1, state=State.RETRACTED)], None),
        ([anomaly(suppressed=True)], None),
    ],
)
def test_an_anomaly_counts_once_when_it_is_definitive(
    process: Process, records: list[Anomaly], expected: float | None
) -> None:
    for record in records:
        process.metrics.anomaly_started(record)
    found = process.value(declared.ANOMALIES.name, type="InternalCallRate", level="principal")
    assert found == expected


def test_gauges_of_a_partition_vanish_when_it_is_disowned(process: Process) -> None:
    """Otherwise two workers report one anomaly for ever."""
    metrics = process.metrics
    names = [declared.ANOMALIES_ACTIVE.name, declared.ANOMALY_INFO.name]
    names += [declared.WATERMARK_LAG.name, declared.CONSUMER_LAG.name]
    status = PartitionStatus(open_anomalies=[anomaly()], learning=2, watching=5, lag_records=7)
    metrics.own(3)
    metrics.partition(3, status)
    assert [len(process.samples(name)) for name in names] == [1, 1, 1, 1]
    assert process.value("trailstreams_series", state="watching") == 5.0

    metrics.disown(3)
    metrics.partition(3, status)  # a flush that ends after the revocation
    assert [len(process.samples(name)) for name in names] == [0, 0, 0, 0]
    assert process.value("trailstreams_series", state="watching") == 0.0

    metrics.own(3)
    assert process.samples(declared.ANOMALY_INFO.name) == []


def test_series_and_anomalies_add_up_over_the_owned_partitions(process: Process) -> None:
    for partition in (1, 2):
        process.metrics.own(partition)
        process.metrics.partition(
            partition,
            PartitionStatus(open_anomalies=[anomaly(anomaly_id=f"{partition:032}")], learning=4),
        )
    assert process.value("trailstreams_series", state="learning") == 8.0
    assert [value for _, value in process.samples(declared.ANOMALIES_ACTIVE.name)] == [2.0]


def test_suppressed_anomalies_are_not_shown_and_provisional_ones_are(process: Process) -> None:
    process.metrics.own(0)
    opened = [anomaly(suppressed=True), anomaly(anomaly_id="a" * 32, provisional=True)]
    process.metrics.partition(0, PartitionStatus(open_anomalies=opened))
    shown = [labels["anomaly_id"] for labels, _ in process.samples(declared.ANOMALY_INFO.name)]
    assert shown == ["a" * 32]


def test_at_most_a_hundred_anomalies_say_who_incidents_first(process: Process) -> None:
    parts = [anomaly(anomaly_id=f"{n:032}", parent_id="f" * 32) for n in range(ANOMALY_INFO_MAX)]
    incident = anomaly(anomaly_id="f" * 32, window_start_ms=1_700_000_100_000)
    process.metrics.own(0)
    process.metrics.partition(0, PartitionStatus(open_anomalies=[*parts, incident]))
    shown = [labels["anomaly_id"] for labels, _ in process.samples(declared.ANOMALY_INFO.name)]
    assert len(shown) == ANOMALY_INFO_MAX
    assert shown[0] == "f" * 32
    assert [value for _, value in process.samples(declared.ANOMALIES_ACTIVE.name)] == [101.0]


def test_an_anomaly_of_many_principals_names_the_one_with_the_largest_share(
    process: Process,
) -> None:
    shares = (
        Attribution("initiator", "internal", 1.0, 1.0),
        Attribution("principal", "arn:small", 0.2, None),
        Attribution("principal", "arn:large", 0.7, None),
    )
    process.metrics.own(0)
    group = anomaly(level=Level.INITIATOR, principal="", attributions=shares)
    process.metrics.partition(0, PartitionStatus(open_anomalies=[group]))
    shown = process.samples(declared.ANOMALY_INFO.name)
    assert [labels["principal"] for labels, _ in shown] == ["arn:large"]


def test_the_watermark_lag_grows_with_the_clock_and_starts_in_1970(process: Process) -> None:
    lag = declared.WATERMARK_LAG.name
    for partition in (1, 2, 3):
        process.metrics.own(partition)
    process.metrics.partition(1, PartitionStatus(watermark_ms=int(NOW * 1000) - 90_500))
    process.metrics.partition(2, PartitionStatus())
    assert process.value(lag, partition="1") == 90.5
    assert process.value(lag, partition="2") == NOW
    assert process.value(lag, partition="3") is None, "owned, but its state is not recovered yet"


def test_the_hottest_partition_is_a_share_of_what_this_worker_folded(process: Process) -> None:
    assert process.value("trailstreams_partition_share_max") is None
    for partition, records in ((0, 10), (1, 30)):
        process.metrics.own(partition)
        process.metrics.partition(partition, PartitionStatus(records=records))
    assert process.value("trailstreams_partition_share_max") == 0.75


def test_a_histogram_counts_a_value_on_a_bound_into_that_bucket(process: Process) -> None:
    for seconds in (0.005, 1.0, 61.0):
        process.metrics.flushed(seconds=seconds, rows=10)
    name = declared.FLUSH_SECONDS.name
    assert process.value(f"{name}_bucket", le="0.005") == 1.0
    assert process.value(f"{name}_bucket", le="1.0") == 2.0
    assert process.value(f"{name}_bucket", le="60.0") == 2.0
    assert process.value(f"{name}_bucket", le="+Inf") == 3.0
    assert process.value(f"{name}_count") == 3.0
    assert process.value(f"{name}_sum") == 62.005
    assert process.value("trailstreams_flush_rows_total") == 30.0


def test_each_record_of_a_source_is_accounted_for(process: Process) -> None:
    process.metrics.source(seen=10)
    process.metrics.source(published=7, filtered=2, rejected=1)
    seen, *parts = (
        process.value(f"trailstreams_source_records_{part}_total")
        for part in ("seen", "published", "filtered", "rejected")
    )
    assert (seen, parts) == (10.0, [7.0, 2.0, 1.0])


def test_the_price_of_every_category_is_there_for_promql(process: Process) -> None:
    prices = {labels["event_category"]: v for labels, v in process.samples(declared.PRICE.name)}
    assert prices == {"Management": 0.0, "Data": 1e-6, "NetworkActivity": 1e-6}


def busy(process: Process) -> None:
    """Use every part of the interface once."""
    metrics = process.metrics
    metrics.events({activity(): 3})
    metrics.duplicates(1)
    metrics.late(2)
    metrics.too_late(3)
    metrics.anomaly_started(anomaly())
    metrics.source(seen=1, published=1)
    metrics.counted(event_seconds=400.0, publish_seconds=0.7)
    metrics.flushed(seconds=0.1, rows=20)
    metrics.recovered(seconds=2.0)
    metrics.ready(ready=True)
    metrics.own(0)
    metrics.partition(0, PartitionStatus(open_anomalies=[anomaly()], watching=1, records=3))
