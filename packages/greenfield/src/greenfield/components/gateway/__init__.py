"""The edge: ends TLS, and routes by the longest prefix to the sidecars of services."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from greenfield.model.component import Component, Context
from greenfield.model.declaration import KeyPath
from greenfield.model.local import Site
from greenfield.model.plan import Parity, Resource
from greenfield.programs.firewall import KIND as WAF
from greenfield.programs.firewall import FirewallSettings, PlacedFirewall, edge_port

_HOST = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
_PREFIX = re.compile(r"/[A-Za-z0-9._~!$&'()+,;=:@/-]*")


def _host(value: str) -> str:
    if not _HOST.fullmatch(value) or len(value) > 253:
        raise ValueError(f"{value!r} is no host name: write lower-case labels joined by dots, such as shop.localhost")
    return value


def _prefix(value: str) -> str:
    if not _PREFIX.fullmatch(value) or re.search(r"//|/\.\.?(/|$)", value):
        raise ValueError(f"{value!r} is no path prefix: it begins with / and holds plain path characters")
    return value


def _different(value: Mapping[str, str]) -> Mapping[str, str]:
    """Two prefixes that differ in a last slash alone are the same."""
    first: dict[str, str] = {}
    for prefix in value:
        other = first.setdefault(prefix.rstrip("/"), prefix)
        if other != prefix:
            facts = {"one": other, "other": prefix, "keys": [other, prefix]}
            raise PydanticCustomError("conflicting_keys", "{one} and {other} are the same prefix", facts)
    return value


def _on_or_off(value: Any) -> Any:
    switch: dict[bool | str, Any] = {True: {}, "on": {}, False: None, "off": None}
    return switch.get(value, value) if isinstance(value, bool | str) else value


def _or_switch(drawn: dict[str, Any]) -> None:
    drawn["anyOf"].append({"enum": [True, False, "on", "off"]})


class Settings(BaseModel):
    """The gateway of the platform."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    host: Annotated[str, AfterValidator(_host)]
    """The host name that people type; ``*.localhost`` needs no DNS."""
    waf: Annotated[FirewallSettings | None, BeforeValidator(_on_or_off)] = Field(
        default=None, json_schema_extra=_or_switch
    )
    """A web application firewall in front: ``on``, ``off``, or its settings."""
    routes: Annotated[Mapping[Annotated[str, AfterValidator(_prefix)], str], AfterValidator(_different)] = Field(
        default_factory=dict
    )
    """Which service answers which path prefix; the longest wins, and a prefix ends at a slash."""


def references(settings: Settings) -> Iterable[tuple[KeyPath, str]]:
    """The services that routes lead to."""
    return tuple((("routes", prefix), service) for prefix, service in settings.routes.items())


def plan(name: str, settings: Settings, context: Context) -> Iterable[Resource]:
    """One gateway, which may call the services of its routes; with ``waf`` the firewall before it."""
    if settings.waf is not None:
        yield Resource(
            name=WAF,
            kind=WAF,
            members=context.members(WAF, 1),
            settings=PlacedFirewall.model_construct(host=settings.host, **dict(settings.waf)),  # read already
            identity=context.platform_identity(WAF),
            needs=(name,),
            parity=Parity("reduced", "one nginx for all zones, with an older edition of the rule set"),
            brought_by=name,
        )
    yield Resource(
        name=name,
        kind="gateway",
        members=context.members(name, 1),
        settings=settings,
        identity=context.service_identity(name),
        calls=tuple(sorted(set(settings.routes.values()))),
        parity=Parity("reduced", f"one Envoy for all zones{'' if settings.waf else ', and nothing in front of it'}"),
    )


def urls(resource: Resource, site: Site) -> Mapping[str, str]:
    """What a browser opens, whether the gateway listens there or its firewall."""
    settings: Settings = resource.settings  # type: ignore[assignment]
    return {"gateway": f"https://{settings.host}:{site.ports[edge_port(resource)][1]}"}


COMPONENT = Component(
    kind="gateway",
    package=__name__,
    settings=Settings,
    plan=plan,
    section="gateway",
    references=references,
    urls=urls,
    singleton="gateway",
)
