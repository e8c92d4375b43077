"""Every initiator rule holds somewhere, and wins over the ones below it."""

import pytest

from streams.cloudtrail.initiator import (
    AWS_INTERNAL,
    NOT_CALLS,
    RULES,
    Caller,
    Initiator,
    host_of,
    initiator_of,
)

MONITORING = "monitoring.amazonaws.com"
S3 = "s3.amazonaws.com"

EXAMPLES = [
    (Caller(MONITORING, invoked_by=AWS_INTERNAL), "internal", "invoked-by-aws-internal"),
    (
        # A dashboard that refreshes itself on a person's session.
        Caller(MONITORING, invoked_by=AWS_INTERNAL, console_session=True),
        "internal",
        "invoked-by-aws-internal",
    ),
    (Caller(MONITORING, invoked_by=MONITORING), "internal", "invoked-by-same-service"),
    (
        Caller("logs.amazonaws.com", invoked_by="logs.eu-west-1.amazonaws.com"),
        "internal",
        "invoked-by-same-service",
    ),
    (
        Caller(MONITORING, invoked_by="synthetics.amazonaws.com"),
        "internal",
        "invoked-by-same-service",
    ),
    (
        Caller(MONITORING, source_host=AWS_INTERNAL, user_agent=AWS_INTERNAL),
        "internal",
        "internal-source-and-agent",
    ),
    (Caller(S3, invoked_by="cloudtrail.amazonaws.com"), "service", "invoked-by-service"),
    (Caller(S3, invoked_by="monitoring.example.com"), "service", "invoked-by-service"),
    (Caller(S3, identity_type="AWSService"), "service", "identity-is-service"),
    (
        Caller(S3, event_type="AwsServiceEvent", identity_named=False),
        "service",
        "unnamed-service-event",
    ),
    (Caller(S3, source_host="config.amazonaws.com"), "service", "source-is-service"),
    (
        Caller(S3, source_host="ec2-203-0-113-7.compute-1.amazonaws.com"),
        "direct",
        "otherwise",
    ),
    (
        Caller(S3, issuer_arn="arn:aws:iam::1:role/aws-service-role/x.amazonaws.com/X"),
        "service",
        "service-linked-role",
    ),
    (Caller(S3, console_session=True, user_agent=AWS_INTERNAL), "console", "console-session"),
    (Caller(S3, event_type="AwsConsoleSignIn"), "console", "console-event"),
    (Caller(S3, user_agent="[S3Console/0.4, aws-internal/3]"), "console", "console-agent"),
    (Caller(S3, user_agent="signin.amazonaws.com"), "console", "console-agent"),
    (
        # A person in the console, not an internal call.
        Caller(S3, source_host=AWS_INTERNAL, user_agent="AWS CloudWatch Console"),
        "console",
        "console-agent",
    ),
    (Caller(S3, user_agent="Mozilla/5.0 (X11)"), "console", "browser"),
    (Caller(S3, user_agent="Mozilla/5.0 (X11)", web_session=True), "direct", "otherwise"),
    (Caller(S3, user_agent="aws-internal/3 aws-sdk-java/1.12"), "console", "internal-agent"),
    (Caller(S3, source_host=AWS_INTERNAL, user_agent="Boto3/1.34"), "service", "source-is-aws"),
    (Caller(S3, user_agent="aws-cli/2.17"), "direct", "otherwise"),
    (Caller(""), "direct", "otherwise"),
]


@pytest.mark.parametrize(("caller", "initiator", "rule"), EXAMPLES)
def test_first_rule_that_holds_decides(caller: Caller, initiator: str, rule: str) -> None:
    assert (initiator, rule) == initiator_of(caller)


def test_each_rule_has_an_example() -> None:
    assert {rule.name for rule in RULES} == {rule for _, _, rule in EXAMPLES}


def test_rules_have_distinct_names_and_never_give_a_reserved_initiator() -> None:
    assert len(RULES) == len({rule.name for rule in RULES})
    assert not {rule.initiator for rule in RULES} & NOT_CALLS
    assert {"internal", "service", "console", "direct", "correction", "none"} == set(Initiator)


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("192.0.2.1", ""),
        ("2001:db8::1", ""),
        ("fe80::1", ""),
        ("config.amazonaws.com", "config.amazonaws.com"),
        (AWS_INTERNAL, AWS_INTERNAL),
        ("", ""),
    ],
)
def test_addresses_are_no_hosts(address: str, host: str) -> None:
    assert host == host_of(address)
