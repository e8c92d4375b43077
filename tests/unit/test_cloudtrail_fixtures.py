"""What each fixture record counts as. The fixtures are shaped like the records AWS documents."""

from pathlib import Path

import pytest

from streams.cloudtrail.activity import filtered_reason, is_counted
from streams.cloudtrail.parse import parse
from streams.cloudtrail.record import Activity, Filtered, Origin, TrailRecord

FIXTURES = Path(__file__).parent.parent / "fixtures" / "cloudtrail"
PUBLISHED_MS = 1_714_554_611_000  # the fixtures' 2024-05-01T09:10:11Z
HERE = "111122223333"
ROLE = f"arn:aws:iam::{HERE}:role/example-role"
USER = f"arn:aws:iam::{HERE}:user/example"


def key(
    source: str,
    name: str,
    initiator: str,
    principal: str,
    *,
    category: str = "Management",
    caller: str = HERE,
    region: str = "us-east-1",
    error: str = "",
) -> Activity:
    source = f"{source}.amazonaws.com"
    return Activity(HERE, region, source, name, category, initiator, caller, principal, error)


def read(name: str) -> list[TrailRecord]:
    lines = (FIXTURES / name).read_bytes().splitlines()
    parsed = [
        parse(line, Origin(name, index), published_ms=PUBLISHED_MS)
        for index, line in enumerate(lines)
    ]
    assert all(isinstance(record, TrailRecord) for record in parsed), parsed
    return [record for record in parsed if isinstance(record, TrailRecord)]


CLOUDWATCH = [
    (key("monitoring", "PutMetricAlarm", "direct", USER), "otherwise"),
    (key("events", "PutRule", "console", ROLE), "console-session"),
    (key("logs", "CreateExportTask", "direct", USER), "otherwise"),
    (key("monitoring", "GetMetricData", "direct", ROLE, category="Data"), "otherwise"),
    (
        key(
            "monitoring",
            "GetMetricData",
            "direct",
            "arn:aws:iam::444455556666:role/example-monitoring",
            category="Data",
            caller="444455556666",
        ),
        "otherwise",
    ),
    (
        key(
            "monitoring",
            "GetMetricData",
            "internal",
            f"arn:aws:iam::{HERE}:role/example-dashboards",
            category="Data",
        ),
        "invoked-by-aws-internal",
    ),
    (key("monitoring", "GetMetricWidgetImage", "direct", USER, category="Data"), "otherwise"),
    (key("monitoring", "GenerateQuery", "console", ROLE), "browser"),
    (key("internetmonitor", "ListMonitors", "direct", ROLE), "otherwise"),
    (key("internetmonitor", "CreateMonitor", "direct", ROLE), "otherwise"),
    (key("synthetics", "DescribeCanaries", "console", ROLE), "internal-agent"),
    (key("synthetics", "UpdateCanary", "direct", ROLE), "otherwise"),
    (
        key("synthetics", "GetCanaryRuns", "direct", ROLE, error="ResourceNotFoundException"),
        "otherwise",
    ),
    (key("rum", "CreateAppMonitor", "direct", ROLE), "otherwise"),
    (key("rum", "PutRumMetricsDestination", "direct", ROLE), "otherwise"),
    (key("rum", "BatchCreateRumMetricDefinitions", "direct", ROLE), "otherwise"),
    (
        key(
            "rum",
            "PutRumEvents",
            "internal",
            f"arn:aws:iam::{HERE}:role/service-role/RUM-Monitor-us-east-1-{HERE}-Unauth",
            category="Data",
        ),
        "invoked-by-aws-internal",
    ),
]
OIDC = f"arn:aws:iam::{HERE}:oidc-provider/oidc.eks.us-east-1.amazonaws.com/id/EXAMPLE"
SSO_FOLDER = f"arn:aws:iam::{HERE}:role/aws-reserved/sso.amazonaws.com"
SSO_ROLE = f"{SSO_FOLDER}/AWSReservedSSO_Example_0123456789abcdef"
IDENTITY_STORE = f"arn:aws:identitystore::{HERE}:identitystore/d-9067642ac7"
IDENTITIES = [
    (key("s3", "ListBuckets", "console", f"arn:aws:iam::{HERE}:root"), "console-agent"),
    (key("s3", "ListBuckets", "direct", USER), "otherwise"),
    (key("s3", "ListBuckets", "direct", ROLE), "otherwise"),
    (
        key(
            "s3",
            "ListBuckets",
            "direct",
            f"arn:aws-us-gov:iam::{HERE}:role/example-role",
            region="us-gov-west-1",
        ),
        "otherwise",
    ),
    (key("s3", "ListBuckets", "direct", f"{SSO_ROLE}/someone@example.com"), "otherwise"),
    (
        key(
            "sts",
            "AssumeRoleWithWebIdentity",
            "direct",
            f"{OIDC}/system:serviceaccount:example:web",
            caller="",
        ),
        "otherwise",
    ),
    (
        key("sts", "AssumeRoleWithWebIdentity", "direct", "accounts.google.com", caller=""),
        "otherwise",
    ),
    (
        key(
            "sts",
            "AssumeRoleWithSAML",
            "direct",
            "examplequalifier=/someone@example.com",
            caller="",
        ),
        "otherwise",
    ),
    (key("s3", "ListBuckets", "direct", f"{USER}/example-federated"), "otherwise"),
    (
        key(
            "codewhisperer",
            "GenerateCompletions",
            "direct",
            f"{IDENTITY_STORE}/544894e8-80c1-707f-60e3-3ba6510dfac1",
        ),
        "otherwise",
    ),
    (key("sts", "AssumeRole", "service", "ec2.amazonaws.com", caller=""), "invoked-by-service"),
    (key("kms", "RotateKey", "internal", "AWS Internal"), "invoked-by-aws-internal"),
    (
        key(
            "s3",
            "GetObject",
            "direct",
            "account:444455556666",
            category="Data",
            caller="444455556666",
        ),
        "otherwise",
    ),
    (key("workdocs", "DownloadDocument", "console", "d-9067642ac7/someone"), "internal-agent"),
    (key("example", "DoExample", "direct", "EXAMPLEID"), "otherwise"),
    (
        key("example", "ServiceDidExample", "service", "unknown", caller=""),
        "unnamed-service-event",
    ),
    (key("signin", "ConsoleLogin", "console", "unknown"), "console-event"),
    (
        key(
            "autoscaling",
            "DescribeAutoScalingGroups",
            "service",
            f"arn:aws:iam::{HERE}:role/aws-service-role/example.amazonaws.com/AWSServiceRoleForExample",
        ),
        "service-linked-role",
    ),
]
ADDENDA = [
    (key("events", "PutRule", "correction", USER), "addendum-updated-data"),
    (key("events", "PutRule", "direct", USER), "otherwise"),  # DELIVERY_DELAY
    (key("events", "PutRule", "direct", USER), "otherwise"),  # SERVICE_OUTAGE
    (key("events", "PutRule", "direct", USER), "otherwise"),  # a reason of the future
]
SHAPES = [
    (key("s3", "ListBuckets", "console", USER), "console-agent"),
    (key("s3", "ListBuckets", "direct", USER), "otherwise"),
    (key("s3", "ListBuckets", "service", USER), "source-is-service"),
    (
        key("ec2", "RunInstances", "none", "unknown", category="Insight", caller=""),
        "insight",
    ),
    (
        key("s3", "AwsAggregatedEvent", "none", "unknown", category="Aggregated", caller=""),
        "aggregated",
    ),
    (key("monitoring", "GetMetricData", "direct", ROLE, category="NetworkActivity"), "otherwise"),
    (key("example", "DoExample", "direct", USER, category="SomethingNew"), "otherwise"),
    (key("lambda", "Invoke20150331", "direct", ROLE, category="Data"), "otherwise"),
    (
        key("dynamodb", "GetItem", "direct", USER, category="Data", error="AccessDenied"),
        "otherwise",
    ),
]


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("cloudwatch.ndjson", CLOUDWATCH),
        ("identities.ndjson", IDENTITIES),
        ("addenda.ndjson", ADDENDA),
        ("shapes.ndjson", SHAPES),
    ],
)
def test_each_fixture_counts_as_expected(file: str, expected: list[tuple[Activity, str]]) -> None:
    assert expected == [(record.activity, record.initiator_rule) for record in read(file)]


def test_only_calls_are_counted() -> None:
    """Corrections and summaries are not calls; late first deliveries and network activity are."""
    assert [is_counted(r.activity) for r in read("addenda.ndjson")] == [False, True, True, True]
    shapes = read("shapes.ndjson")
    uncounted = {r.activity.event_category for r in shapes if not is_counted(r.activity)}
    assert {"Insight", "Aggregated"} == uncounted


def test_sources_filter_summaries_and_nothing_else() -> None:
    reasons = [filtered_reason(record.activity) for record in read("shapes.ndjson")]

    assert [reason for reason in reasons if reason] == [Filtered.INSIGHT, Filtered.AGGREGATED]
    assert not any(filtered_reason(record.activity) for record in read("addenda.ndjson"))


def test_caller_of_another_account_is_cross_account() -> None:
    crossing = [record.cross_account for record in read("cloudwatch.ndjson")]

    assert [index for index, crosses in enumerate(crossing) if crosses] == [4]


def test_an_aggregated_record_happens_at_the_start_of_its_window() -> None:
    aggregated = read("shapes.ndjson")[4]

    assert aggregated.event_time_ms == 1_714_554_600_000


def test_event_time_with_zone_and_fraction_is_utc_milliseconds() -> None:
    assert read("shapes.ndjson")[8].event_time_ms == PUBLISHED_MS + 250


def test_session_and_access_key_are_kept_beside_the_key() -> None:
    record = read("cloudwatch.ndjson")[3]

    assert (
        record.session_name,
        record.access_key_id,
    ) == ("example-session", "ASIAIOSFODNN7EXAMPLE")


def test_dedup_ids_of_distinct_events_differ() -> None:
    records = [
        record
        for file in ("cloudwatch", "identities", "addenda", "shapes")
        for record in read(f"{file}.ndjson")
    ]

    assert len(records) == len({record.dedup_id for record in records})
    assert {16} == {len(record.dedup_id) for record in records}
