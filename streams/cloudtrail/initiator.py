"""Who started a call: AWS itself, a service acting for us, a person in the console, or a client.

The exact shape of the GetMetricData records that CloudWatch writes for its own calls is not
verified on real records, so the rules are an ordered table: the first that holds decides, and its
name travels with the record.
"""

from collections.abc import Callable
from enum import StrEnum
from functools import lru_cache
from typing import Final, NamedTuple


class Initiator(StrEnum):
    """The closed set of initiators; the last two are reserved for what is not counted."""

    INTERNAL = "internal"
    """AWS called its own API: nobody asked for this very call."""
    SERVICE = "service"
    """An AWS service called on behalf of the account."""
    CONSOLE = "console"
    """A person in the AWS console."""
    DIRECT = "direct"
    """A client of the account: SDK, command line, infrastructure code."""
    CORRECTION = "correction"
    """Not a call: an addendum that corrects an earlier record."""
    NONE = "none"
    """Not a call: a summary of calls, or a source's progress."""


NOT_CALLS: Final[frozenset[str]] = frozenset({Initiator.CORRECTION, Initiator.NONE})


class Caller(NamedTuple):
    """All that the rules may look at."""

    event_source: str
    event_type: str = ""
    identity_type: str = ""
    identity_named: bool = True
    invoked_by: str = ""
    issuer_arn: str = ""
    web_session: bool = False
    source_host: str = ""
    """`sourceIPAddress` where it is a name; empty for an address, so that callers repeat."""
    user_agent: str = ""
    console_session: bool = False
    """`sessionCredentialFromConsole` is true."""


class Rule(NamedTuple):
    """One named reason to call a caller by its initiator."""

    name: str
    initiator: Initiator
    holds: Callable[[Caller], bool]


AWS_INTERNAL: Final = "AWS Internal"
CLOUDWATCH_FAMILY: Final = frozenset(
    {
        "application-signals",
        "cloudwatch",
        "cloudwatch-crossaccount",
        "internetmonitor",
        "logs",
        "monitoring",
        "oam",
        "rum",
        "synthetics",
    }
)
"""Service names that are CloudWatch: one calling another is CloudWatch calling itself."""
CONSOLE_HOSTS: Final = frozenset({"console.amazonaws.com", "signin.amazonaws.com"})
CONSOLE_EVENT_TYPES: Final = frozenset({"AwsConsoleSignIn", "AwsConsoleAction"})


def _service_name(host: str) -> str:
    """Return `logs` of `logs.amazonaws.com`, `logs.eu-west-1.amazonaws.com`; else empty."""
    name, dot, rest = host.partition(".")
    # ec2-203-0-113-7.compute-1.amazonaws.com is a customer's machine, not a service.
    is_service = rest.endswith(("amazonaws.com", "amazonaws.com.cn")) and "compute" not in rest
    return name if dot and is_service else ""


def _same_service(caller: Caller) -> bool:
    by, called = _service_name(caller.invoked_by), _service_name(caller.event_source)
    return bool(by) and (by == called or {by, called} <= CLOUDWATCH_FAMILY)


def _console_agent(caller: Caller) -> bool:
    """Hold for `S3Console/0.4`, `RDS Console`, `AWSLambdaConsole/…`, `console.amazonaws.com`."""
    return caller.user_agent in CONSOLE_HOSTS or "console" in caller.user_agent.lower()


def _internal_agent(caller: Caller) -> bool:
    agent = caller.user_agent.lstrip("[")
    is_internal = agent == AWS_INTERNAL or agent.startswith("aws-internal/")
    return is_internal and not _console_agent(caller)


def _browser(caller: Caller) -> bool:
    # CloudWatch RUM and other public clients run in browsers too: with a web identity's session.
    return caller.user_agent.lstrip("[").startswith("Mozilla/") and not caller.web_session


RULES: Final[tuple[Rule, ...]] = (
    # Before the console: a dashboard that refreshes itself runs on a person's console session, and
    # its calls cost nothing in CloudWatch like every other internal one.
    Rule("invoked-by-aws-internal", Initiator.INTERNAL, lambda c: c.invoked_by == AWS_INTERNAL),
    Rule("invoked-by-same-service", Initiator.INTERNAL, _same_service),
    Rule(
        "internal-source-and-agent",
        Initiator.INTERNAL,
        lambda c: c.source_host == AWS_INTERNAL and _internal_agent(c),
    ),
    Rule("invoked-by-service", Initiator.SERVICE, lambda c: bool(c.invoked_by)),
    Rule("identity-is-service", Initiator.SERVICE, lambda c: c.identity_type == "AWSService"),
    Rule(
        "unnamed-service-event",
        Initiator.SERVICE,
        lambda c: c.event_type == "AwsServiceEvent" and not c.identity_named,
    ),
    Rule("source-is-service", Initiator.SERVICE, lambda c: bool(_service_name(c.source_host))),
    Rule("service-linked-role", Initiator.SERVICE, lambda c: "/aws-service-role/" in c.issuer_arn),
    Rule("console-session", Initiator.CONSOLE, lambda c: c.console_session),
    Rule("console-event", Initiator.CONSOLE, lambda c: c.event_type in CONSOLE_EVENT_TYPES),
    Rule("console-agent", Initiator.CONSOLE, _console_agent),
    Rule("browser", Initiator.CONSOLE, _browser),
    # AWS's own code with the address of a customer: a console page calls for whoever looks at it.
    Rule("internal-agent", Initiator.CONSOLE, _internal_agent),
    # After the console: a person there may be logged with this source, too.
    Rule("source-is-aws", Initiator.SERVICE, lambda c: c.source_host == AWS_INTERNAL),
    Rule("otherwise", Initiator.DIRECT, lambda _: True),
)


@lru_cache(16_384)
def initiator_of(caller: Caller) -> tuple[str, str]:
    """Return the initiator and the name of the first rule that holds."""
    rule = next(rule for rule in RULES if rule.holds(caller))
    return rule.initiator.value, rule.name


def host_of(source_address: str) -> str:
    """Return `sourceIPAddress` if it is a name, empty if it is an IPv4 or IPv6 address."""
    return "" if source_address[:1].isdigit() or ":" in source_address else source_address
