"""How the firewall runs here: nginx with ModSecurity and the Core Rule Set, at the port that people type."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from greenfield.model.content import text
from greenfield.model.local import (
    Claim,
    Command,
    File,
    HttpProbe,
    LeafClaim,
    PortClaim,
    Process,
    Site,
    Task,
    ToolClaim,
)
from greenfield.model.plan import Member, Plan, Resource
from greenfield.model.tool import Debian, GoModule, Tool
from greenfield.programs.edge import LOOPBACK, PREFERRED_PORT
from greenfield.programs.firewall import (
    HEALTH_PATH,
    NGINX,
    Place,
    PlacedFirewall,
    configuration,
    edge_port,
    inner_port,
)
from greenfield.programs.names import entry

SERVER: Final = Tool(
    name="nginx",
    sources=(
        Debian(
            ("nginx", "libnginx-mod-http-modsecurity", "libnginx-mod-http-ndk"),
            # The module stands here so that the libraries that it needs are looked for, too.
            {"nginx": "usr/sbin/nginx", "modsecurity": "usr/lib/nginx/modules/ngx_http_modsecurity_module.so"},
            without=("usr/share/doc", "usr/share/man", "var"),
        ),
    ),
    programs=("nginx",),
    never_from_path="few have a module of ModSecurity that was built for that very nginx",
)
_UNICODE: Final = "etc/nginx/unicode.mapping"
EDITION: Final = "4.25.0"
"""Of the rule set: the newest that the ModSecurity of Debian 12 (3.0.9) was seen to load."""
RULES: Final = Tool(
    name="core-rule-set",
    sources=(GoModule("github.com/corazawaf/coraza-coreruleset/v4", f"v{EDITION}", "rules/@owasp_crs"),),
)
# ModSecurity takes a chained rule that has no actions, and the rule on the very next line, for one; the module has no
# empty lines between them. It also leaves the end of the line in the header of a multipart's part, which rule 922110
# takes for a charset that is not allowed. $1: its folder, $2: where the files go that can be read.
_READABLE: Final = r"""
mkdir "$2"
cp "$1"/*.data "$2"
for file in "$1"/*.conf; do
  sed -e 's/^Sec/\n&/' -e '/"id:922110,/,/t:none/s/t:lowercase/&,t:trim/' "$file" > "$2/${file##*/}"
done
"""


def readable(cache: str) -> str:
    """Where the rules are in that form, once a platform with a firewall has come up."""
    return f"{cache}/core-rule-set-{EDITION}-for-modsecurity-3.0.9"


def claims(resource: Resource, plan: Plan) -> Iterable[Claim]:
    """The port that people type, a certificate for them and one for the gateway, the programs and the rules."""
    yield PortClaim(edge_port(plan.resource(resource.brought_by)), LOOPBACK, PREFERRED_PORT, open="people come in here")
    yield LeafClaim(
        name=_edge(resource),
        common_name=resource.name,
        identity=resource.identity,
        hosts=(LOOPBACK,),
        dns=(_settings(resource).host, "localhost"),
    )
    yield LeafClaim(resource.name, resource.name, resource.identity)
    yield ToolClaim(SERVER)
    yield ToolClaim(RULES)


def local(resource: Resource, plan: Plan, site: Site) -> Iterable[Process | Task]:
    """One nginx; before it the rules, in a form that its engine reads."""
    (member,) = resource.members
    made_readable = f"{resource.name}-rules"
    yield Task(
        name=made_readable,
        resource=resource.name,
        action=Command(
            argv=("/bin/sh", "-euc", _READABLE, "sh", site.tools[RULES.name].root, "{produces}"),
            environment={"PATH": text("/usr/bin:/bin")},
            cwd=site.cache,
            produces=readable(site.cache),
        ),
    )
    yield _process(resource, member, plan, site, made_readable)


def _process(resource: Resource, member: Member, plan: Plan, site: Site, rules: str) -> Process:
    installed, folder = site.tools[SERVER.name], f"{site.scratch}/{member.name}"
    place = _place(resource, member, plan, site)
    files = configuration(_settings(resource), place)
    return Process(
        name=member.name,
        resource=resource.name,
        member=member.name,
        zone=member.zone,
        argv=(installed.programs["nginx"], "-e", "stderr", "-c", f"{folder}/{NGINX}", "-g", "daemon off;"),
        environment={name: text(value) for name, value in installed.environment.items()},
        cwd=folder,
        probe=HttpProbe(address=place.plain, path=HEALTH_PATH),
        address=place.https,
        directories=(folder, place.temporary, f"{site.sockets}/{member.name}"),
        clear=(place.plain.removeprefix("unix:"),),
        files=tuple(
            File(path=f"{folder}/{name}", content=text(content), on_change="reload") for name, content in files.items()
        ),
        after=(rules, *(f"resource:{name}" for name in resource.needs)),
        stop_signal="SIGQUIT",
        reload_signal="SIGHUP",
        # Its workers would be another user's, who cannot read the keys.
        refuses_root=True,
    )


def _place(resource: Resource, member: Member, plan: Plan, site: Site) -> Place:
    installed, folder = site.tools[SERVER.name], f"{site.scratch}/{member.name}"
    gateway = plan.resource(resource.brought_by)
    return Place(
        module=installed.programs["modsecurity"],
        rules=f"{readable(site.cache)}/*.conf",
        unicode=f"{installed.root}/{_UNICODE}",
        folder=folder,
        temporary=f"{folder}/written",
        audit="/dev/stdout",
        https=site.endpoint(edge_port(gateway)),
        plain=f"unix:{site.sockets}/{member.name}/plain.sock",
        names=(_settings(resource).host, "localhost"),
        nameless=True,
        edge=site.leaves[_edge(resource)],
        inner=site.leaves[resource.name],
        upstream=site.endpoint(inner_port(gateway)),
        modern=False,
    )


def _settings(resource: Resource) -> PlacedFirewall:
    assert isinstance(resource.settings, PlacedFirewall)
    return resource.settings


def _edge(resource: Resource) -> str:
    return entry(resource.name, "edge")
