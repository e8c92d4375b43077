"""The stable actor behind a call: bounded in number where session names are not."""

from collections.abc import Callable, Mapping
from typing import Final

from streams.cloudtrail.identity import Identity

UNKNOWN: Final = "unknown"
_SSO_ROLE: Final = "AWSReservedSSO_"
_SERVICE_ACCOUNT: Final = "system:serviceaccount:"


def principal_of(identity: Identity) -> str:
    """Name the actor by what outlives a session; an ARN keeps its partition.

    Never empty: an identity that names nobody is `unknown`.
    """
    by_type = _BY_TYPE.get(identity.type, _undeclared)
    return by_type(identity) or _principal_id(identity) or UNKNOWN


def _root(identity: Identity) -> str:
    if identity.arn or not identity.account_id:
        return identity.arn
    return f"arn:aws:iam::{identity.account_id}:root"


def _role(identity: Identity) -> str:
    """Return the role; of one that Identity Center hands to people, the role and the person."""
    role = identity.issuer_arn or _role_of_session(identity.arn)
    if role.rpartition("/")[2].startswith(_SSO_ROLE) and identity.session_name:
        return f"{role}/{identity.session_name}"
    return role


def _role_of_session(arn: str) -> str:
    """Rebuild `arn:P:iam::A:role/R` from `arn:P:sts::A:assumed-role/R/SESSION`; else empty."""
    head, found, tail = arn.partition(":assumed-role/")
    role = tail.rpartition("/")[0]
    if not found or not role:
        return ""
    return f"{head.replace(':sts:', ':iam:')}:role/{role}"


def _web_identity(identity: Identity) -> str:
    """Return the provider; its users are the public, except the service accounts of a cluster."""
    provider = identity.identity_provider or _provider_of(identity.principal_id)
    if provider and identity.user_name.startswith(_SERVICE_ACCOUNT):
        return f"{provider}/{identity.user_name}"
    return provider


def _provider_of(principal_id: str) -> str:
    """Return the provider of `PROVIDER:AUDIENCE:USER`; an ARN has five colons of its own."""
    colons = 6 if principal_id.startswith("arn:") else 1
    return ":".join(principal_id.split(":")[:colons])


def _federated(identity: Identity) -> str:
    provider = identity.identity_provider or identity.issuer_arn
    user = identity.session_name or identity.user_name or identity.principal_id.rpartition(":")[2]
    return f"{provider}/{user}" if provider and user else ""


def _identity_center(identity: Identity) -> str:
    if not (identity.store_arn and identity.store_user_id):
        return ""
    return f"{identity.store_arn}/{identity.store_user_id}"


def _account(identity: Identity) -> str:
    return f"account:{identity.account_id}" if identity.account_id else ""


def _undeclared(identity: Identity) -> str:
    """Name a caller without a type we know: services often come without one."""
    if ":iam::" in identity.arn:
        return identity.arn
    if ":assumed-role/" in identity.arn:
        return _role(identity)
    return "" if identity.principal_id else identity.invoked_by


def _principal_id(identity: Identity) -> str:
    """Return the unique id without a session suffix: `AROA…:session` is `AROA…`."""
    return _provider_of(identity.principal_id)


_BY_TYPE: Final[Mapping[str, Callable[[Identity], str]]] = {
    "Root": _root,
    "IAMUser": lambda identity: identity.arn,
    "AssumedRole": _role,
    "WebIdentityUser": _web_identity,
    "SAMLUser": _federated,
    "FederatedUser": _federated,
    "IdentityCenterUser": _identity_center,
    "AWSService": lambda identity: identity.invoked_by,
    "AWSAccount": _account,
}
