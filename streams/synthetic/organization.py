"""The organization whose traffic is invented: its accounts, its callers and their habits."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from streams.synthetic import callers
from streams.synthetic.apis import Api, catalogue
from streams.synthetic.callers import Caller
from streams.synthetic.habits import Habit, Rhythm

MONITORING_ACCOUNT = "123456789012"
"""The account whose dashboards read the other accounts' metrics."""

MEMBER_ACCOUNTS = ("111122223333", "444455556666", "777788889999")
REGIONS = ("us-east-1", "eu-west-1")
"""The first one is where global services (IAM, Organizations) are logged."""

# Role, its rhythm, and the APIs it uses with their relative weights: mostly reads.
_PROGRAMS: tuple[tuple[str, Rhythm, str], ...] = (
    (
        "orders-service",
        Rhythm.DAILY,
        "dynamodb:GetItem=9 s3:PutObject=3 kms:GenerateDataKey=2 sts:GetCallerIdentity=1",
    ),
    (
        "billing-service",
        Rhythm.DAILY,
        "s3:GetObject=8 kms:Decrypt=4 secretsmanager:GetSecretValue=1",
    ),
    ("search-indexer", Rhythm.STEADY, "s3:GetObject=8 s3:ListBuckets=1 ssm:GetParameter=2"),
    (
        "node-group",
        Rhythm.STEADY,
        (
            "ec2:DescribeInstances=5 ecr:BatchGetImage=2 ec2:DescribeNetworkInterfaces=3 "
            "eks:DescribeCluster=1"
        ),
    ),
    (
        "metrics-exporter",
        Rhythm.STEADY,
        (
            "monitoring:GetMetricData=8 monitoring:ListMetrics=4 ec2:DescribeInstances=2 "
            "rds:DescribeDBInstances=1"
        ),
    ),
    (
        "log-shipper",
        Rhythm.STEADY,
        "logs:FilterLogEvents=6 logs:DescribeLogGroups=2 logs:CreateLogStream=1",
    ),
    ("fleet-agent", Rhythm.STEADY, "ssm:UpdateInstanceInformation=4 ssm:GetParameter=3"),
    (
        "deployer",
        Rhythm.OFFICE,
        (
            "cloudformation:DescribeStacks=5 lambda:GetFunction20150331v2=2 ec2:CreateTags=1 "
            "iam:GetRole=2 ec2:RunInstances=1"
        ),
    ),
    (
        "compliance-scanner",
        Rhythm.HOURLY,
        (
            "ec2:DescribeSecurityGroups=3 ec2:DescribeVolumes=3 s3:GetBucketAcl=3 "
            "autoscaling:DescribeAutoScalingGroups=2 config:DescribeConfigRules=1 iam:ListUsers=1 "
            "organizations:ListAccounts=1"
        ),
    ),
    ("report-job", Rhythm.NIGHTLY, "s3:GetObject=2 backup:StartBackupJob=1"),
    ("event-handler", Rhythm.BURSTY, "lambda:Invoke=3 dynamodb:GetItem=2"),
)
_SERVICES = (
    ("lambda", "sts:AssumeRole=6 kms:Decrypt=2"),
    ("ec2", "sts:AssumeRole=5"),
    ("logs", "kms:GenerateDataKey=4"),
    ("cloudtrail", "s3:GetBucketAcl=1 kms:DescribeKey=1"),
)
_CONSOLE = (
    "ec2:DescribeInstances=4 monitoring:DescribeAlarms=3 logs:DescribeLogGroups=2 "
    "s3:ListBuckets=1 iam:ListRoles=2 cloudtrail:LookupEvents=1"
)
_GLOBAL = frozenset({"iam", "organizations"})


def habits(
    rng: np.random.Generator, *, accounts: Sequence[str], regions: Sequence[str], busy: float
) -> tuple[Habit, ...]:
    """Return what callers of the member accounts usually do.

    `busy` is the mean number of calls that a program makes to its main API in a step.
    The same generator state gives the same habits.
    """
    apis = catalogue()
    found = [
        _vary(rng, habit)
        for account in accounts
        for region in regions
        for habit in _regional(apis, account, region, busy)
    ]
    return tuple(habit for habit in found if _logged_here(habit, regions[0]))


def _regional(apis: dict[str, Api], account: str, region: str, busy: float) -> Iterator[Habit]:
    """Return the habits of one account in one Region, as the organization means them to be."""
    for name, rhythm, mix in _PROGRAMS:
        # Jobs and people are small beside the machines that never rest.
        share = 1.0 if rhythm in {Rhythm.STEADY, Rhythm.DAILY} else 0.15
        like = _Like(callers.role(account, name), account, region, rhythm)
        yield from like.habits(apis, mix, busy * share)
    for name, mix in _SERVICES:
        like = _Like(callers.service(name), account, region, Rhythm.STEADY)
        yield from like.habits(apis, mix, busy * 0.3)
    for caller, mix in _others(account, region):
        like = _Like(caller, account, region, Rhythm.DAILY)
        yield from like.habits(apis, mix, busy * 0.1)
    for caller in _people(account):
        like = _Like(caller, account, region, Rhythm.OFFICE)
        yield from like.habits(apis, _CONSOLE, busy * 0.08)


def _others(account: str, region: str) -> Iterator[tuple[Caller, str]]:
    """Return the rarer kinds of identity, each with what it calls."""
    linked = callers.service_linked(account, "autoscaling", "AWSServiceRoleForAutoScaling")
    yield (
        linked,
        "ec2:DescribeInstances=3 elasticloadbalancing:DescribeTargetHealth=3",
    )
    yield (
        callers.user(account, "ci-runner"),
        "sts:GetCallerIdentity=1 cloudformation:DescribeStacks=2",
    )
    workload = callers.workload(account, region, "payments", "ledger")
    yield workload, "sts:AssumeRoleWithWebIdentity=3"
    yield callers.federated(account, "auditor@example.com"), "sts:AssumeRoleWithSAML=1"
    yield callers.identity_center(account, region, "analyst@example.com"), "sso:ListAccountRoles=1"
    yield callers.foreign(MONITORING_ACCOUNT), "sts:AssumeRole=1"
    yield (
        callers.internal(MONITORING_ACCOUNT, "CloudWatch-CrossAccountSharing"),
        "monitoring:GetMetricData=9",
    )
    yield callers.internal(account, "DashboardViewer"), "monitoring:GetMetricData=3"


def _people(account: str) -> Iterator[Caller]:
    for number in (1, 2, 3):
        yield callers.person(account, "AdministratorAccess", f"operator-{number}@example.com")
    yield callers.console_user(account, "break-glass")


class _Like(NamedTuple):
    """What all habits of one caller in one place have in common."""

    caller: Caller
    account_id: str
    region: str
    rhythm: Rhythm

    def habits(self, apis: dict[str, Api], mix: str, rate: float) -> Iterator[Habit]:
        """Yield one habit for each `service:Event=weight`; `rate` is the largest weight's."""
        pairs = (item.split("=") for item in mix.split())
        weights = {name: float(weight) for name, weight in pairs}
        for name, weight in weights.items():
            yield Habit(
                caller=self.caller,
                api=apis[name],
                account_id=self.account_id,
                region=self.region,
                rate=rate * weight / max(weights.values()),
                rhythm=self.rhythm,
            )


def _vary(rng: np.random.Generator, habit: Habit) -> Habit:
    """Return the habit as this account and Region happen to have it."""
    people = habit.rhythm is Rhythm.OFFICE
    return replace(
        habit,
        rate=float(habit.rate * rng.lognormal(0, 0.5)),
        error_share=float(rng.choice([0.0, 0.0, 0.005, 0.02])),
        dispersion=0.1 if people else 0.005,
    )


def _logged_here(habit: Habit, global_region: str) -> bool:
    return habit.api.service not in _GLOBAL or habit.region == global_region
