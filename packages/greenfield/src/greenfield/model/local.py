"""What the local engine is told: claims, the site that fulfils them, processes and tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from greenfield.model.binding import Binding, Leaf
from greenfield.model.content import Content, Secret
from greenfield.model.tool import Installation, Tool

LEAF_LIFE_S = 86_400.0
"""How long a leaf holds, where nobody asks for less: a day."""

# --- claims: what a component asks of the machine before it can say how it runs -------------------------------------


@dataclass(frozen=True)
class PortClaim:
    """A TCP port on a loopback ``host``, chosen once and remembered under ``name``; ``preferred`` is tried first.

    ``open`` says why everyone on this machine may come in without a certificate; empty: nobody may.
    """

    name: str
    host: str
    preferred: int = 0
    open: str = ""


@dataclass(frozen=True)
class LeafClaim:
    """A certificate, kept under ``name``.

    Subject ``O=<platform>, OU=<unit>, CN=<common_name>``, URI ``identity``. ``hosts`` and ``dns`` (and with them
    serverAuth) only for things that listen. ``authority``: ``services`` for services and the stores they use,
    ``platform`` for links inside the platform.
    """

    name: str
    common_name: str
    identity: str
    unit: Literal["service", "platform"] = "platform"
    authority: Literal["services", "platform"] = "services"
    hosts: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()


@dataclass(frozen=True)
class SecretClaim:
    """A generated secret of ``length`` URL-safe characters, kept under ``name``.

    ``holder`` is the service that shows it; empty: a part of the platform does.
    """

    name: str
    length: int = 32
    holder: str = ""


@dataclass(frozen=True)
class ToolClaim:
    """The programs of a tool, wherever they come from.

    ``late``: nothing that answers requests needs it. Where it must be made first, nobody waits: its processes ``await``
    it.
    """

    tool: Tool
    late: bool = False


@dataclass(frozen=True)
class DigestClaim:
    """The digest of all files below a folder (absolute), so that a task runs again when one changes."""

    path: str


@dataclass(frozen=True)
class PythonClaim:
    """The interpreter of an ``app``: the declared one, the nearest ``.venv`` up to the file, or the tool's own.

    Known under ``name``. Refused with a hint where it lacks one of ``modules``.
    """

    name: str
    declared: str
    path: str
    modules: tuple[str, ...] = ()


Claim = PortClaim | LeafClaim | SecretClaim | ToolClaim | DigestClaim | PythonClaim


@dataclass(frozen=True)
class Site:
    """The fulfilled claims: what is where on this machine. Holds no secret's value.

    Directories: ``data`` survives `down`, ``scratch`` does not outlive a run, ``sockets`` is a short path (0700) for
    Unix sockets, ``logs`` holds one file for each process, ``cache`` is shared by all platforms of this user. Names
    are those of the claims. Every path is absolute. ``bindings`` are keyed by service and used name. ``caller`` is
    PATH, HOME, LANG, TZ of the `up` that started it. ``tools`` holds late ones as they will be; ``late`` tells which of
    them are not there yet. ``versions`` are those of secrets that were ever rotated. ``leaf_life_s``: how long a leaf
    that is issued now holds.
    """

    root: str
    data: str
    scratch: str
    sockets: str
    logs: str
    secrets: str
    cache: str
    ports: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    leaves: Mapping[str, Leaf] = field(default_factory=dict)
    authorities: Mapping[str, str] = field(default_factory=dict)  # `services`, `platform` → path of the CA bundle
    tools: Mapping[str, Installation] = field(default_factory=dict)
    late: Mapping[str, Awaited] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    pythons: Mapping[str, str] = field(default_factory=dict)
    bindings: Mapping[tuple[str, str], Binding] = field(default_factory=dict)
    caller: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, int] = field(default_factory=dict)
    leaf_life_s: float = LEAF_LIFE_S

    def endpoint(self, name: str) -> str:
        """A claimed port as ``host:port``."""
        host, port = self.ports[name]
        return f"{host}:{port}"

    def secret(self, name: str) -> Secret:
        """A claimed secret, of the version that holds now."""
        return Secret(name, version=self.versions.get(name, 1))

    def secret_file(self, name: str) -> str:
        """The file (0600) that holds a claimed secret."""
        return f"{self.secrets}/{name}"


# --- what runs ------------------------------------------------------------------------------------------------------

OnChange = Literal["restart", "reload", "nothing"]


class File(msgspec.Struct, frozen=True, kw_only=True):
    """A file the engine writes by rename before the process starts.

    ``on_change``: what a later change of its content asks for. ``nothing`` also suits programs that watch their files.
    """

    path: str
    content: Content
    on_change: OnChange = "restart"
    mode: int = 0o600


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A claimed leaf, stated by who does not notice that it was issued anew.

    ``on_change``: what a process asks for then; a task runs again in any case. ``issue`` is another whenever the leaf
    is; the engine fills it in.
    """

    leaf: str
    on_change: Literal["restart", "reload"] = "restart"
    issue: str = ""


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One line of an endpoints file: present while that process (in that slot) is ready and not leaving."""

    process: str
    text: str
    slot: int = 0


class EndpointsFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that follows readiness: ``head + separator.join(texts of the ready) + tail``, replaced by rename."""

    path: str
    endpoints: tuple[Endpoint, ...]
    head: str = ""
    separator: str = ","
    tail: str = ""


class Awaited(msgspec.Struct, frozen=True, kw_only=True):
    """Something slow that is made elsewhere, once: ``path`` is there as soon as it is whole.

    Whoever makes it holds ``lock``, and writes to the log of that name what there is to say.
    """

    path: str
    lock: str
    log: str


class ClientTls(msgspec.Struct, frozen=True, kw_only=True):
    """How a probe speaks TLS: trusted bundle, and the leaf it shows (both paths)."""

    ca: str
    certificate: str
    key: str
    server_name: str = "localhost"


class ListenProbe(msgspec.Struct, frozen=True, kw_only=True, tag="listen"):
    """Ready when ``address`` (``host:port`` or ``unix:PATH``) accepts a connection."""

    address: str


class HttpProbe(msgspec.Struct, frozen=True, kw_only=True, tag="http"):
    """Ready when GET ``path`` answers 2xx."""

    address: str
    path: str
    tls: ClientTls | None = None
    host: str = "localhost"


class ExchangeProbe(msgspec.Struct, frozen=True, kw_only=True, tag="exchange"):
    """Ready when, after ``send`` is written, what comes back matches ``expect`` (a regular expression over latin-1).

    ``send`` is text in latin-1, so any byte can be said.
    """

    address: str
    send: Content
    expect: str
    tls: ClientTls | None = None


Probe = ListenProbe | HttpProbe | ExchangeProbe


class Process(msgspec.Struct, frozen=True, kw_only=True):
    """A program that stays.

    One name may stand in the graph twice, with ``slot`` 0 and 1: the two places between which a surge alternates; both
    differ only in addresses and paths. Processes of one ``unit`` (a replica and its sidecar) turn over together.
    ``after`` names what must be ready or done first: processes, tasks, or ``resource:NAME`` for all of a resource.
    ``clear`` are stale locks and sockets, removed before each start. ``directories`` are made (0700) before it.
    ``environment`` is all the program gets. ``drain_s``: how long it may still be called after it left its endpoints
    files. ``refuses_root``: for a caller who is root it runs as another id in a user namespace of its own.
    ``awaits``: until that is there it cannot start, and neither `up` nor who comes after it waits for it.
    ``leaves``: those that it reads only when it starts, or when it is told to.
    ``note``: which program this is, for people, where its kind alone does not tell.
    ``patched``: the patches that changed it, for people, should it fail.
    """

    name: str
    resource: str
    member: str
    zone: str
    argv: tuple[str, ...]
    environment: Mapping[str, Content]
    cwd: str
    probe: Probe
    address: str
    unit: str = ""
    slot: int = 0
    turnover: Literal["restart", "surge", "stop-first"] = "restart"
    files: tuple[File, ...] = ()
    leaves: tuple[Held, ...] = ()
    endpoints: tuple[EndpointsFile, ...] = ()
    directories: tuple[str, ...] = ()
    clear: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    start_timeout_s: float = 60.0
    stop_signal: str = "SIGTERM"
    stop_grace_s: float = 10.0
    drain_s: float = 0.0
    reload_signal: str = ""  # empty: it notices its files itself
    refuses_root: bool = False
    awaits: Awaited | None = None
    note: str = ""
    patched: str = ""


class Command(msgspec.Struct, frozen=True, kw_only=True, tag="command"):
    """A program that ends. Success is exit code 0.

    ``produces``: an absolute folder or file that it makes. ``{produces}`` in ``argv`` stands for a temporary name
    beside it, renamed when the command succeeds; it is not run again while ``produces`` is there.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, Content]
    cwd: str
    produces: str = ""
    refuses_root: bool = False


class Reconcile(msgspec.Struct, frozen=True, kw_only=True, tag="reconcile"):
    """A function ``module:function`` of a component's ``tasks``, called with ``input`` in the task process.

    Signature: ``(input: Mapping[str, Any], secret: Callable[[str], str]) -> str``; the answer is a sentence that says
    what was done. It makes the world as ``input`` says, whatever was there before.
    """

    function: str
    input: Mapping[str, Any]


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """Something made so, once: not run again while neither its input nor a leaf in ``leaves`` is another.

    ``when``: ``needed`` in its place in the graph, before what is ``after`` it; ``settled`` once everything else has
    become what it should be, for what is taken away (grants go after the service that had them stopped); ``renewed``
    to tell the process that it is ``after`` of another leaf: nobody waits for it, and it is left out where that process
    has just begun.
    """

    name: str
    resource: str
    action: Command | Reconcile
    after: tuple[str, ...] = ()
    when: Literal["needed", "settled", "renewed"] = "needed"
    timeout_s: float = 60.0
    files: tuple[File, ...] = ()
    leaves: tuple[Held, ...] = ()


class Graph(msgspec.Struct, frozen=True, kw_only=True):
    """All that should be true here: what `up` hands to the supervisor.

    ``urls`` are those a browser opens. ``secrets`` is the folder of the secrets. ``remember`` is what the claims
    chose (ports by name), kept in the state for the next `up`. ``leaves`` are renewed while it runs; one that is issued
    then holds for ``leaf_life_s``.
    """

    name: str
    environment: str
    file: str
    processes: tuple[Process, ...]
    tasks: tuple[Task, ...]
    urls: Mapping[str, str]
    secrets: str
    remember: Mapping[str, tuple[str, int]]
    scale: Mapping[str, int] = {}
    leaves: tuple[LeafClaim, ...] = ()
    leaf_life_s: float = LEAF_LIFE_S


def zone_host(zones: tuple[str, ...], zone: str) -> str:
    """The loopback address a zone stands for: 127.0.Z.1, zones counted from 1."""
    return f"127.0.{zones.index(zone) + 1}.1"
