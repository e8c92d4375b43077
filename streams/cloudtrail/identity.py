"""The caller as `userIdentity` describes it, whatever the spelling of its members."""

from typing import NamedTuple

from streams.cloudtrail.json_text import ABSENT, members, text


class Identity(NamedTuple):
    """What the rules of principal and initiator look at; an absent member is empty.

    Source: CloudTrail User Guide, "CloudTrail userIdentity element".
    """

    type: str = ""
    arn: str = ""
    account_id: str = ""
    principal_id: str = ""
    user_name: str = ""
    access_key_id: str = ""
    invoked_by: str = ""
    identity_provider: str = ""
    """The provider of a web identity or SAML user, also of the session's federation data."""
    issuer_arn: str = ""
    """`sessionContext.sessionIssuer.arn`: the role, or the user who asked for the token."""
    store_arn: str = ""
    """`onBehalfOf.identityStoreArn` of an Identity Center user."""
    store_user_id: str = ""
    web_session: bool = False
    """The session's credentials were given to a web identity, for instance a browser's visitor."""

    @property
    def session_name(self) -> str:
        """The name of the temporary session, empty without one; unbounded, never a count's key."""
        if ":assumed-role/" in self.arn or ":federated-user/" in self.arn:
            return self.arn.rpartition("/")[2]
        if self.type == "AssumedRole":
            return self.principal_id.partition(":")[2]
        return ""

    @property
    def named(self) -> bool:
        """Whether the record says anything about who called."""
        return bool(self.type or self.arn or self.principal_id or self.invoked_by)


def identity_of(user_identity: bytes) -> Identity:
    """Read a `userIdentity` member, given as its valid JSON; one that is no object is empty."""
    top = members(user_identity)
    session = members(top.get("sessioncontext", ABSENT))
    issuer = members(session.get("sessionissuer", ABSENT))
    federation = members(session.get("webidfederationdata", ABSENT))
    on_behalf_of = members(top.get("onbehalfof", ABSENT))
    kind = text(top.get("type", ABSENT))
    return Identity(
        type=kind,
        arn=text(top.get("arn", ABSENT)),
        account_id=text(top.get("accountid", ABSENT)),
        principal_id=text(top.get("principalid", ABSENT)),
        user_name=text(top.get("username", ABSENT)),
        access_key_id=text(top.get("accesskeyid", ABSENT)),
        invoked_by=text(top.get("invokedby", ABSENT)),
        identity_provider=text(top.get("identityprovider", ABSENT))
        or text(federation.get("federatedprovider", ABSENT)),
        issuer_arn=text(issuer.get("arn", ABSENT)),
        store_arn=text(on_behalf_of.get("identitystorearn", ABSENT)),
        store_user_id=text(on_behalf_of.get("userid", ABSENT)),
        web_session=bool(federation) or kind == "WebIdentityUser",
    )
