"""How a toy runs here."""

from __future__ import annotations

from collections.abc import Iterable

from greenfield.model.content import Secret, text
from greenfield.model.local import (
    Claim,
    Command,
    DigestClaim,
    File,
    LeafClaim,
    ListenProbe,
    PortClaim,
    Process,
    PythonClaim,
    SecretClaim,
    Site,
    Task,
    ToolClaim,
    zone_host,
)
from greenfield.model.plan import Plan, Resource
from greenfield.model.tool import Tool
from local_site.toy import Settings

TOOL = Tool("toy", ())


def claims(resource: Resource, plan: Plan) -> Iterable[Claim]:
    """One of each."""
    member = resource.members[0]
    yield PortClaim(f"{member.name}/main", zone_host(plan.zones, member.zone), 7000)
    yield LeafClaim(resource.name, resource.name, resource.identity)
    yield ToolClaim(TOOL)
    yield DigestClaim(plan.root)
    yield PythonClaim(resource.name, "", plan.root)
    for edge in plan.edges_to(resource.name):
        yield SecretClaim(f"{resource.name}.{edge.source}")


def local(resource: Resource, plan: Plan, site: Site) -> Iterable[Process | Task]:
    """A process and a task before it."""
    assert isinstance(resource.settings, Settings)
    member = resource.members[0]
    yield Task(
        name=f"{resource.name}-seed",
        resource=resource.name,
        action=Command(argv=("true",), environment={}, cwd=plan.root),
    )
    yield Process(
        name=member.name,
        resource=resource.name,
        member=member.name,
        zone=member.zone,
        argv=("toy", "--port", str(site.ports[f"{member.name}/main"][1])),
        environment={"LEVEL": text("info")},
        cwd=plan.root,
        probe=ListenProbe(address=site.endpoint(f"{member.name}/main")),
        address=site.endpoint(f"{member.name}/main"),
        files=(
            File(
                path=f"{site.scratch}/{member.name}/toy.json", content=text('{"log": {"level": "info"}, "n": [1, 2]}')
            ),
            File(path=f"{site.scratch}/{member.name}/toy.secret", content=(Secret(f"{resource.name}.x"),)),
        ),
        after=(f"{resource.name}-seed", *resource.settings.after),
    )
