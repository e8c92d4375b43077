"""Who calls: one constructor for each kind of identity that CloudTrail records.

Shapes follow the AWS page "CloudTrail userIdentity element"; `<names>` are filled in by `render`.
Each caller states the principal and the initiator that a parser is expected to find.
"""

from dataclasses import dataclass
from uuid import UUID

from streams.synthetic.words import Json, hexadecimal

_SDK_JAVA = (
    "aws-sdk-java/2.29.52 md/io#sync md/http#Apache ua/2.1 os/Linux#6.1.119 lang/java#21.0.5"
)
_BOTO = (
    "Boto3/1.36.2 md/Botocore#1.36.2 ua/2.0 os/linux#6.1.119 lang/python#3.12.8 "
    "cfg/retry-mode#standard"
)
_CLI = (
    "aws-cli/2.22.35 md/awscrt#0.23.4 ua/2.0 os/linux#6.8.0 lang/python#3.12.6 md/command#example"
)
_TERRAFORM = (
    "APN/1.0 HashiCorp/1.0 Terraform/1.10.4 terraform-provider-aws/5.83.1 aws-sdk-go-v2/1.32.8"
)
_AGENTS = (_SDK_JAVA, _BOTO, _CLI, _TERRAFORM)
_BROWSER = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/131.0.0.0 Safari/537.36"
)
_INTERNAL = "AWS Internal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """One stable actor; its sessions, keys and addresses come and go."""

    principal: str
    """What identifies the actor: the key member of that name."""
    initiator: str
    """`internal`, `service`, `console` or `direct`."""
    account_id: str
    """Account the identity names as its own; empty where the kind of identity names none."""
    identity: dict[str, Json]
    """`userIdentity`."""
    agent: str
    """`userAgent`."""
    address: str
    """`sourceIPAddress`."""
    console: bool = False
    """Whether the credentials come from a console session."""


def role(account_id: str, name: str) -> Caller:
    """Return a role that programs on EC2 instances use."""
    return Caller(
        principal=f"arn:aws:iam::{account_id}:role/{name}",
        initiator="direct",
        account_id=account_id,
        identity=_assumed(account_id, "", name, "<instance>", ec2RoleDelivery="2.0"),
        agent=_AGENTS[int(hexadecimal(2, name), 16) % len(_AGENTS)],
        address="10.0.<octet>.<octet2>",
    )


def user(account_id: str, name: str) -> Caller:
    """Return an IAM user with a long-lived access key."""
    return Caller(
        principal=f"arn:aws:iam::{account_id}:user/{name}",
        initiator="direct",
        account_id=account_id,
        identity={
            "type": "IAMUser",
            "principalId": "<user_id>",
            "arn": f"arn:aws:iam::{account_id}:user/{name}",
            "accountId": account_id,
            "accessKeyId": "<user_key>",
            "userName": name,
        },
        agent=_AGENTS[int(hexadecimal(2, name), 16) % len(_AGENTS)],
        address="198.51.100.<octet>",
    )


def console_user(account_id: str, name: str) -> Caller:
    """Return an IAM user signed in to the console."""
    arn = f"arn:aws:iam::{account_id}:user/{name}"
    return Caller(
        principal=arn,
        initiator="console",
        account_id=account_id,
        identity={
            "type": "IAMUser",
            "principalId": "<user_id>",
            "arn": arn,
            "accountId": account_id,
            "accessKeyId": "<key>",
            "userName": name,
            "sessionContext": {"attributes": _attributes("true")},
        },
        agent=_BROWSER,
        address="203.0.113.<octet>",
        console=True,
    )


def person(account_id: str, permission_set: str, name: str) -> Caller:
    """Return a person in the console through Identity Center: a reserved role, one session each."""
    reserved = f"AWSReservedSSO_{permission_set}_{hexadecimal(16, account_id, permission_set)}"
    path = "aws-reserved/sso.amazonaws.com/"
    return Caller(
        principal=f"arn:aws:iam::{account_id}:role/{path}{reserved}/{name}",
        initiator="console",
        account_id=account_id,
        identity=_assumed(account_id, path, reserved, name, mfa="true"),
        agent=_BROWSER,
        address="203.0.113.<octet>",
        console=True,
    )


def service(name: str) -> Caller:
    """Return an AWS service that calls for itself: Lambda assuming a function's role."""
    host = f"{name}.amazonaws.com"
    return Caller(
        principal=host,
        initiator="service",
        account_id="",
        identity={"type": "AWSService", "invokedBy": host},
        agent=host,
        address=host,
    )


def service_linked(account_id: str, name: str, role_name: str) -> Caller:
    """Return a service-linked role: a service that calls in the account's name."""
    host, path = f"{name}.amazonaws.com", f"aws-service-role/{name}.amazonaws.com/"
    return Caller(
        principal=f"arn:aws:iam::{account_id}:role/{path}{role_name}",
        initiator="service",
        account_id=account_id,
        identity=_assumed(account_id, path, role_name, "<word>", invokedBy=host),
        agent=host,
        address=host,
    )


def internal(account_id: str, role_name: str) -> Caller:
    """Return a role whose calls AWS itself initiates: a dashboard that refreshes, for example.

    XXX: AWS documents no such GetMetricData record; the shape is that of its PutRumEvents example
    (`invokedBy`, source address and user agent all `AWS Internal`) on an assumed role.
    """
    return Caller(
        principal=f"arn:aws:iam::{account_id}:role/{role_name}",
        initiator="internal",
        account_id=account_id,
        identity=_assumed(account_id, "", role_name, "<word>", invokedBy=_INTERNAL),
        agent=_INTERNAL,
        address=_INTERNAL,
    )


def workload(account_id: str, region: str, namespace: str, name: str) -> Caller:
    """Return a Kubernetes service account that asks for a role's credentials."""
    issuer = f"oidc.eks.{region}.amazonaws.com/id/{hexadecimal(32, account_id, region).upper()}"
    provider = f"arn:aws:iam::{account_id}:oidc-provider/{issuer}"
    subject = f"system:serviceaccount:{namespace}:{name}"
    return Caller(
        principal=f"{provider}/{subject}",
        initiator="direct",
        account_id="",
        identity={
            "type": "WebIdentityUser",
            "principalId": f"{provider}:sts.amazonaws.com:{subject}",
            "userName": subject,
            "identityProvider": provider,
        },
        agent=_SDK_JAVA,
        address="10.1.<octet>.<octet2>",
    )


def federated(account_id: str, name: str) -> Caller:
    """Return a person of a SAML identity provider who asks for a role's credentials."""
    provider = f"arn:aws:iam::{account_id}:saml-provider/example"
    return Caller(
        principal=f"{provider}/{name}",
        initiator="direct",
        account_id="",
        identity={
            "type": "SAMLUser",
            "principalId": f"<unique_id>:{name}",
            "userName": name,
            "identityProvider": provider,
        },
        agent=_CLI,
        address="203.0.113.<octet>",
    )


def identity_center(account_id: str, region: str, name: str) -> Caller:
    """Return a user of IAM Identity Center who calls an application without a role."""
    store = f"arn:aws:identitystore::{account_id}:identitystore/d-{hexadecimal(10, region)}"
    user_id = str(UUID(hex=hexadecimal(32, store, name), version=4))
    return Caller(
        principal=f"{store}/{user_id}",
        initiator="direct",
        account_id=account_id,
        identity={
            "type": "IdentityCenterUser",
            "accountId": account_id,
            "onBehalfOf": {"userId": user_id, "identityStoreArn": store},
            "credentialId": "<hex64>",
        },
        agent=_CLI,
        address="203.0.113.<octet>",
    )


def foreign(account_id: str) -> Caller:
    """Return another account whose principal is not named to the account that is called."""
    return Caller(
        principal=f"account:{account_id}",
        initiator="direct",
        account_id=account_id,
        identity={
            "type": "AWSAccount",
            "principalId": "<unique_id>:<word>",
            "accountId": account_id,
        },
        agent=_BOTO,
        address="198.51.100.<octet>",
    )


def _assumed(
    account_id: str, path: str, name: str, session: str, *, mfa: str = "false", **more: Json
) -> dict[str, Json]:
    """Return an AssumedRole identity; more members of it, or of its session context, by name."""
    context: dict[str, Json] = {
        "sessionIssuer": {
            "type": "Role",
            "principalId": "<unique_id>",
            "arn": f"arn:aws:iam::{account_id}:role/{path}{name}",
            "accountId": account_id,
            "userName": name,
        },
        "webIdFederationData": {},
        "attributes": _attributes(mfa),
    }
    if "ec2RoleDelivery" in more:
        context["ec2RoleDelivery"] = more.pop("ec2RoleDelivery")
    return {
        "type": "AssumedRole",
        "principalId": f"<unique_id>:{session}",
        "arn": f"arn:aws:sts::{account_id}:assumed-role/{name}/{session}",
        "accountId": account_id,
        "accessKeyId": "<key>",
        "sessionContext": context,
        **more,
    }


def _attributes(mfa: str) -> dict[str, Json]:
    return {"creationDate": "<created>", "mfaAuthenticated": mfa}
