"""The stand-in: mongo-java-server, an implementation of MongoDB's protocol in Java that keeps its data in files.

What it lacks, a connection by certificate alone and grants, a class of ours adds (``StandIn.java``).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath

from greenfield.components.mongodb import CLIENT_PORT, Settings
from greenfield.components.mongodb.accounts import administrators_subject, grants
from greenfield.components.mongodb.wire import greeting
from greenfield.model.local import Command, Process, Site, Task
from greenfield.model.plan import Member, Plan, Resource
from greenfield.model.quantity import TIERS
from greenfield.model.tool import Tool
from greenfield.programs.jvm import JavaProgram
from greenfield.programs.stores import granted_and_revoked

NAME = "mongo-java-server"
SOURCE = str(PurePath(__file__).with_name("StandIn.java"))
SOURCE_EDITION = "fc3d74a17d37"
"""The beginning of the source's SHA-256, so that a changed one is compiled anew. A test compares them."""

_COMPILER = "org.eclipse.jdt.internal.compiler.batch.Main"
_HEAP_SHARE = 8  # of the tier's memory: the rest is the page cache
_LEAST_HEAP_MIB = 64


def stand_in(resource: Resource, plan: Plan, site: Site, tool: Tool) -> Iterable[Process | Task]:
    """The server; before it its own class, after it its grants."""
    compiler = JavaProgram.on(site, "ecj", _COMPILER, tool)
    server = JavaProgram.on(site, "mongodb-stand-in", "StandIn", tool, _classes(site))
    yield Task(
        name=f"{resource.name}-classes",
        resource=resource.name,
        action=Command(
            argv=compiler.argv(_LEAST_HEAP_MIB, {}, "-17", "-proc:none", "-nowarn", "-d", "{produces}", SOURCE),
            environment=compiler.environment,
            cwd=site.cache,
            produces=_classes(site),
        ),
    )
    for member in resource.members:
        yield _process(resource, member, site, server)
        held = [[administrators_subject(resource, plan), "*", "admin"], *grants(resource, plan)]
        wanted = {"file": _grants_file(site, member), "grants": held}
        yield from granted_and_revoked(resource, f"{__package__}.tasks:write_grants", wanted, (member.name,))


def _process(resource: Resource, member: Member, site: Site, program: JavaProgram) -> Process:
    settings: Settings = resource.settings  # type: ignore[assignment]
    host, port = site.ports[f"{member.name}/{CLIENT_PORT}"]
    home, data, leaf = f"{site.scratch}/{member.name}", f"{site.data}/{member.name}", site.leaves[resource.name]
    heap = max(_LEAST_HEAP_MIB, TIERS[settings.size].memory_request // _HEAP_SHARE)
    listens = (host, str(port), f"{data}/documents.mv", leaf.certificate, leaf.key, leaf.ca)
    return Process(
        name=member.name,
        resource=resource.name,
        member=member.name,
        zone=member.zone,
        argv=program.argv(heap, {"java.io.tmpdir": home}, *listens, _grants_file(site, member)),
        environment=program.environment,
        cwd=home,
        probe=greeting(resource, member, site),
        address=f"{host}:{port}",
        directories=(home, data),
        after=(f"{resource.name}-classes", *(f"resource:{name}" for name in resource.needs)),
        note=f"a stand-in for MongoDB: {NAME} {program.jars.version}",
    )


def _classes(site: Site) -> str:
    return f"{site.cache}/mongodb-stand-in-{SOURCE_EDITION}"


def _grants_file(site: Site, member: Member) -> str:
    return f"{site.data}/{member.name}/grants"
