"""The stable actor of every kind of identity."""

import pytest

from streams.cloudtrail.identity import Identity, identity_of
from streams.cloudtrail.principal import principal_of

ROLE = "arn:aws:iam::111122223333:role/path/example"
SESSION = "arn:aws:sts::111122223333:assumed-role/example/i-0123456789abcdef0"
SSO_ROLE = "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Ex_01"
SSO_SESSION = "arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_Ex_01/someone@example.com"
OIDC = "arn:aws:iam::111122223333:oidc-provider/oidc.eks.us-east-1.amazonaws.com/id/EXAMPLE"
USER = "arn:aws:iam::111122223333:user/team/example"

EXAMPLES = [
    ("root", Identity("Root", "arn:aws:iam::1:root"), "arn:aws:iam::1:root"),
    ("root by account", Identity("Root", account_id="1"), "arn:aws:iam::1:root"),
    ("root by nothing", Identity("Root"), "unknown"),
    ("user", Identity("IAMUser", USER), USER),
    ("user in China", Identity("IAMUser", "arn:aws-cn:iam::1:user/x"), "arn:aws-cn:iam::1:user/x"),
    ("user by id", Identity("IAMUser", principal_id="AIDAEXAMPLE"), "AIDAEXAMPLE"),
    ("role by issuer", Identity("AssumedRole", SESSION, issuer_arn=ROLE), ROLE),
    (
        "role rebuilt",
        Identity("AssumedRole", SESSION),
        "arn:aws:iam::111122223333:role/example",
    ),
    (
        "role rebuilt keeps path and partition",
        Identity("AssumedRole", "arn:aws-us-gov:sts::1:assumed-role/service-role/x/session"),
        "arn:aws-us-gov:iam::1:role/service-role/x",
    ),
    (
        "role by id without its session",
        Identity("AssumedRole", principal_id="AROAEXAMPLE:session"),
        "AROAEXAMPLE",
    ),
    (
        "person through Identity Center",
        Identity("AssumedRole", SSO_SESSION, issuer_arn=SSO_ROLE),
        SSO_ROLE + "/someone@example.com",
    ),
    (
        "web identity is its provider",
        Identity("WebIdentityUser", user_name="1234567", identity_provider="accounts.google.com"),
        "accounts.google.com",
    ),
    (
        "service account of a cluster",
        Identity(
            "WebIdentityUser",
            user_name="system:serviceaccount:example:web",
            identity_provider=OIDC,
        ),
        OIDC + "/system:serviceaccount:example:web",
    ),
    (
        "web identity by id",
        Identity("WebIdentityUser", principal_id=OIDC + ":sts.amazonaws.com:someone"),
        OIDC,
    ),
    (
        "SAML user",
        Identity("SAMLUser", user_name="someone", identity_provider="qualifier="),
        "qualifier=/someone",
    ),
    (
        "federated user",
        Identity("FederatedUser", "arn:aws:sts::1:federated-user/someone", issuer_arn=USER),
        USER + "/someone",
    ),
    (
        "federated user without issuer",
        Identity("FederatedUser", principal_id="111122223333:someone"),
        "111122223333",
    ),
    (
        "Identity Center user",
        Identity("IdentityCenterUser", store_arn="arn:aws:identitystore::1:s", store_user_id="u"),
        "arn:aws:identitystore::1:s/u",
    ),
    ("service", Identity("AWSService", invoked_by="ec2.amazonaws.com"), "ec2.amazonaws.com"),
    ("service without type", Identity(invoked_by="AWS Internal"), "AWS Internal"),
    ("other account", Identity("AWSAccount", account_id="444455556666"), "account:444455556666"),
    ("directory", Identity("Directory", principal_id="d-1/someone"), "d-1/someone"),
    ("new type with a user's ARN", Identity("NewType", USER), USER),
    (
        "no type, session's ARN",
        Identity("", SESSION),
        "arn:aws:iam::111122223333:role/example",
    ),
    ("new type by id", Identity("NewType", principal_id="ID:session"), "ID"),
    ("nobody", Identity(), "unknown"),
]


@pytest.mark.parametrize(
    ("identity", "expected"), [pytest.param(i, e, id=name) for name, i, e in EXAMPLES]
)
def test_principal_of_each_kind_of_identity(identity: Identity, expected: str) -> None:
    assert expected == principal_of(identity)


def test_session_name_never_reaches_the_principal_of_an_ordinary_role() -> None:
    first = Identity("AssumedRole", SESSION, principal_id="AROAEXAMPLE:a", issuer_arn=ROLE)
    second = first._replace(arn=SESSION + "x", principal_id="AROAEXAMPLE:b")

    assert principal_of(first) == principal_of(second)
    assert first.session_name == "i-0123456789abcdef0"


def test_identity_is_read_whatever_the_case_of_its_members() -> None:
    usual = b'{"type":"IAMUser","arn":"a","accountId":"1","principalId":"p","accessKeyId":"k"}'
    odd = b'{"TYPE":"IAMUser","ARN":"a","accountID":1,"principalid":"p","AccessKeyId":"k"}'

    assert identity_of(usual) == identity_of(odd)


@pytest.mark.parametrize("value", [b"", b"null", b'"text"', b"[]", b"{}", b'{"sessionContext":1}'])
def test_identity_that_is_no_object_is_empty(value: bytes) -> None:
    assert Identity() == identity_of(value)
    assert not identity_of(value).named
