"""How a server that speaks MongoDB's protocol is asked whether it is there."""

from __future__ import annotations

from greenfield.components.mongodb import CLIENT_PORT
from greenfield.model.content import text
from greenfield.model.local import ExchangeProbe, Site
from greenfield.model.plan import Member, Resource
from greenfield.model.proof import client_tls
from greenfield.programs.stores import administrator

# The message `{hello: 1, $db: "admin"}`, and the beginning of any answer to it.
# https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol
QUESTION = (
    "\x34\0\0\0gfld\0\0\0\0\xdd\x07\0\0" + "\0\0\0\0\0" + "\x1f\0\0\0\x10hello\0\x01\0\0\0\x02$db\0\x06\0\0\0admin\0\0"
)
ANSWER = "gfld"


def greeting(resource: Resource, member: Member, site: Site) -> ExchangeProbe:
    """Ready when it answers the administrator's certificate."""
    return ExchangeProbe(
        address=site.endpoint(f"{member.name}/{CLIENT_PORT}"),
        send=text(QUESTION),
        expect=ANSWER,
        tls=client_tls(site.leaves[administrator(resource)]),
    )
