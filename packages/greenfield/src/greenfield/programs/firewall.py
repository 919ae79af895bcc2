"""What the gateway and its web application firewall agree on, and how the firewall is told: nginx with ModSecurity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from greenfield.model.binding import Leaf
from greenfield.model.plan import Plan, Resource
from greenfield.programs.nginx import Directive, Entry, block, rendered

KIND = "waf"
NGINX, ENGINE = "nginx.conf", "engine.conf"
"""The files of its configuration."""
HEALTH_PATH: Final = "/healthz"
"""Where its plain port says that it is there; all else is sent on to HTTPS."""

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
CONTENT_TYPES: Final = (
    "application/json",
    "application/merge-patch+json",
    "application/problem+json",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
)
INBOUND, OUTBOUND = 5, 4
"""Scores at which a request, or an answer, is refused: one critical finding is enough. The rule set's own."""
BODY_BYTES: Final = 1 << 20
_FIELDS_BYTES: Final = 128 << 10  # of a body, its files aside
_CONNECT_S, _ANSWER_S = "2s", "35s"  # the gateway itself gives up after 30


class FirewallSettings(BaseModel):
    """A web application firewall in front of the gateway: ModSecurity with the OWASP Core Rule Set."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    mode: Literal["block", "detect"] = "block"
    """Whether a request that matches is refused, or only written down."""
    paranoia: int = Field(default=1, ge=1, le=4)
    """The rule set's paranoia level: higher finds more, and is wrong more often."""
    exclude: Mapping[Annotated[int, Field(strict=False)], str] = Field(default_factory=dict)
    """Rules that are left out, by number, each with the reason."""


class PlacedFirewall(FirewallSettings):
    """The firewall as it stands before a gateway."""

    host: str
    """The host name that people type."""


def firewall(plan: Plan) -> Resource | None:
    """The one that stands before the gateway; None where nothing does."""
    return next(iter(plan.of_kind(KIND)), None)


def edge_port(gateway: Resource) -> str:
    """The claim of the port that people type. It stays theirs when a firewall comes or goes."""
    return f"{gateway.members[0].name}/https"


def inner_port(gateway: Resource) -> str:
    """The claim of the port at which a gateway waits for its firewall."""
    return f"{gateway.members[0].name}/inner"


@dataclass(frozen=True)
class Place:
    """What differs from one machine to another.

    ``module``, ``rules`` (a pattern) and ``unicode`` are files of the programs; ``folder`` holds the configuration,
    ``temporary`` whatever is written, ``audit`` one JSON object for each refused request. ``https`` and ``plain`` are
    ports, with an address in front where it is not every one. ``names`` are the hosts that it answers to. ``edge`` is
    the certificate that people see, ``inner`` the one that the gateway sees; ``upstream`` is the gateway's host and
    port. ``modern``: nginx 1.27.4 or later. ``nameless``: who names no host while he shakes hands is let in, too, and
    judged by the host that he then asks for; not every program here can name one.
    """

    module: str
    rules: str
    unicode: str
    folder: str
    temporary: str
    audit: str
    https: str
    plain: str
    names: tuple[str, ...]
    edge: Leaf
    inner: Leaf
    upstream: str
    workers: int = 1
    modern: bool = True
    nameless: bool = False


def configuration(settings: PlacedFirewall, place: Place) -> dict[str, str]:
    """The files by name."""
    return {NGINX: rendered(_nginx(settings, place)), ENGINE: _engine(settings, place)}


# --- nginx ----------------------------------------------------------------------------------------------------------


def _nginx(settings: PlacedFirewall, place: Place) -> list[Entry]:
    return [
        ("load_module", place.module),
        ("worker_processes", str(place.workers)),
        ("worker_shutdown_timeout", _ANSWER_S),
        ("pid", f"{place.temporary}/nginx.pid"),
        ("error_log", "stderr", "warn"),
        block(("events",), ("worker_connections", "1024")),
        block(
            ("http",), *_common(place), _upstream(place), _stranger(place), _server(settings, place), _redirect(place)
        ),
    ]


def _common(place: Place) -> Iterator[Entry]:
    for folder in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"):
        yield (f"{folder}_temp_path", f"{place.temporary}/{folder}")
    yield ("access_log", "off")
    yield ("server_tokens", "off")
    yield ("client_max_body_size", str(BODY_BYTES))
    yield ("client_body_timeout", "10s")
    yield ("client_header_timeout", "10s")
    yield ("keepalive_timeout", "60s")
    yield ("ssl_protocols", "TLSv1.2", "TLSv1.3")
    yield ("ssl_session_cache", "shared:edge:10m")
    yield ("ssl_session_tickets", "off")
    for side, leaf in (("edge", place.edge), ("inner", place.inner)):
        yield block(("map", "$ssl_server_name", f"${side}"), ("default", leaf.certificate))
        yield block(("map", "$ssl_server_name", f"${side}_key"), ("default", leaf.key))
    if place.modern:
        yield ("http2", "on")
        yield ("ssl_certificate_cache", "max=16", "inactive=5m", "valid=1m")
        yield ("proxy_ssl_certificate_cache", "max=16", "inactive=5m", "valid=1m")


def _upstream(place: Place) -> Entry:
    """Connections are kept, but not for long: a new replica of the gateway is to get its share."""
    return block(
        ("upstream", "gateway"),
        ("server", place.upstream),
        ("keepalive", "64"),
        ("keepalive_timeout", "30s"),
        ("keepalive_time", "60s"),
    )


def _listen(place: Place, *more: str) -> Directive:
    return ("listen", place.https, "ssl", *(() if place.modern else ("http2",)), *more)


def _stranger(place: Place) -> Entry:
    """Whoever asks for another host gets no handshake, and whoever changes his mind after it no answer."""
    handshake = _edge_tls() if place.nameless else [("ssl_reject_handshake", "on")]
    return block(("server",), _listen(place, "default_server"), *handshake, ("return", "421"))


def _edge_tls() -> list[Entry]:
    """Certificates are named by variables, so that they are read anew and a renewed one needs no reload."""
    return [("ssl_certificate", "$edge"), ("ssl_certificate_key", "$edge_key")]


def _server(settings: PlacedFirewall, place: Place) -> Entry:
    """What answers to the names of the platform."""
    return block(
        ("server",),
        _listen(place),
        ("server_name", *place.names),
        *_edge_tls(),
        ("modsecurity", "on"),
        ("modsecurity_rules_file", f"{place.folder}/{ENGINE}"),
        ("modsecurity_transaction_id", "$request_id"),
        ("add_header", "X-Request-Id", "$request_id", "always"),
        block(("location", "/"), *_onwards(), *_inner_tls(settings, place)),
    )


def _onwards() -> Iterator[Entry]:
    yield ("proxy_pass", "https://gateway")
    yield ("proxy_http_version", "1.1")
    yield ("proxy_connect_timeout", _CONNECT_S)
    yield ("proxy_read_timeout", _ANSWER_S)
    yield ("proxy_next_upstream", "off")
    yield ("proxy_set_header", "Connection", "")
    yield ("proxy_set_header", "Host", "$host")
    yield ("proxy_set_header", "X-Forwarded-For", "$remote_addr")
    yield ("proxy_set_header", "Forwarded", "")
    yield ("proxy_set_header", "X-Real-Ip", "")
    yield ("proxy_set_header", "X-Forwarded-Proto", "https")
    yield ("proxy_set_header", "X-Request-Id", "$request_id")
    yield ("proxy_hide_header", "X-Request-Id")


def _inner_tls(settings: PlacedFirewall, place: Place) -> Iterator[Entry]:
    """The gateway must be who it says, and is shown who asks."""
    yield ("proxy_ssl_server_name", "on")
    yield ("proxy_ssl_name", settings.host)
    yield ("proxy_ssl_protocols", "TLSv1.3")
    yield ("proxy_ssl_verify", "on")
    yield ("proxy_ssl_verify_depth", "2")
    yield ("proxy_ssl_trusted_certificate", place.inner.ca)
    yield ("proxy_ssl_certificate", "$inner")
    yield ("proxy_ssl_certificate_key", "$inner_key")


def _redirect(place: Place) -> Entry:
    return block(
        ("server",),
        ("listen", place.plain),
        block(("location", "=", HEALTH_PATH), ("return", "204")),
        block(("location", "/"), ("return", "308", "https://$host$request_uri")),
    )


# --- ModSecurity ----------------------------------------------------------------------------------------------------


def _engine(settings: FirewallSettings, place: Place) -> str:
    """What the engine itself does, the rule set's options, the rules, and which of them are left out."""
    lines = [
        f"SecRuleEngine {'On' if settings.mode == 'block' else 'DetectionOnly'}",
        *_bodies(place),
        *_audit(place),
        *_options(settings),
        f"Include {place.rules}",
        *(f"SecRuleRemoveById {number}" for number in sorted(settings.exclude)),
    ]
    return "".join(f"{line}\n" for line in lines)


def _bodies(place: Place) -> list[str]:
    return [
        "SecRequestBodyAccess On",
        _rule("REQUEST_HEADERS:Content-Type", r"^application/(?:[a-z0-9.-]+\+)?json", _AS_JSON),
        _rule("REQBODY_ERROR", "!@eq 0", _UNREADABLE),
        f"SecRequestBodyLimit {BODY_BYTES}",
        f"SecRequestBodyNoFilesLimit {_FIELDS_BYTES}",
        "SecRequestBodyLimitAction Reject",
        "SecRequestBodyJsonDepthLimit 64",
        "SecArgumentsLimit 1000",
        "SecResponseBodyAccess Off",
        f"SecTmpDir {place.temporary}",
        f"SecDataDir {place.temporary}",
        "SecArgumentSeparator &",
        "SecCookieFormat 0",
        f"SecUnicodeMapFile {place.unicode} 20127",
        "SecStatusEngine Off",
    ]


_AS_JSON: Final = "id:200001,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=JSON"
_UNREADABLE: Final = (
    "id:200002,phase:2,t:none,log,deny,status:400,severity:2,"
    "msg:'The body cannot be read.',logdata:'%{reqbody_error_msg}'"
)


def _audit(place: Place) -> list[str]:
    """One JSON object for each request that was refused, without its body."""
    return [
        "SecAuditEngine RelevantOnly",
        'SecAuditLogRelevantStatus "^403$"',
        "SecAuditLogParts AFHZ",
        "SecAuditLogType Serial",
        "SecAuditLogFormat JSON",
        f"SecAuditLog {place.audit}",
    ]


def _options(settings: FirewallSettings) -> list[str]:
    level = settings.paranoia
    scores = {"inbound": INBOUND, "outbound": OUTBOUND}
    kinds = " ".join(f"|{each}|" for each in CONTENT_TYPES)
    return [
        'SecDefaultAction "phase:1,log,auditlog,pass"',
        'SecDefaultAction "phase:2,log,auditlog,pass"',
        _set(900000, f"tx.blocking_paranoia_level={level}", f"tx.detection_paranoia_level={level}"),
        _set(900110, *(f"tx.{way}_anomaly_score_threshold={score}" for way, score in scores.items())),
        _set(900200, f"'tx.allowed_methods={' '.join(METHODS)}'"),
        _set(900220, f"'tx.allowed_request_content_type={kinds}'"),
        _set(900990, "tx.crs_setup_version=4000"),
    ]


def _rule(variable: str, operator: str, actions: str) -> str:
    return f'SecRule {variable} "{operator}" "{actions}"'


def _set(number: int, *values: str) -> str:
    return f'SecAction "id:{number},phase:1,pass,t:none,nolog,{",".join(f"setvar:{value}" for value in values)}"'
