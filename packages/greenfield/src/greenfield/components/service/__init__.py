"""A service: a program of the user's, one process and one sidecar for each replica."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from greenfield.model.binding import Binding, Where
from greenfield.model.component import Component, Context, Gap
from greenfield.model.plan import Edge, Parity, Part, Resource
from greenfield.model.quantity import Range
from greenfield.programs.quantities import Size, TierName

MOST_REPLICAS = 100
READY_PATH = "/health/ready"
STOP_S = 20  # what is under way may take so long to end
_REPLICAS = {
    "anyOf": [
        {"type": "integer", "minimum": 1, "maximum": MOST_REPLICAS},
        {"type": "string", "pattern": r"^[0-9]{1,6}\.\.[0-9]{1,6}$", "examples": ["2..10"]},
    ]
}
_APP = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ACCEPTS = re.compile(r"(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) (/[^\s*]*\*?)")


def _app(value: str) -> str:
    if not _APP.fullmatch(value):
        raise ValueError(f"{value!r} names no application: write module:name, such as shop.catalog:app")
    return value


def _replicas(value: int | str) -> int | str:
    asked = Range.parse(value)
    if asked.low < 1 or asked.high > MOST_REPLICAS:
        raise ValueError(f"there can be 1 to {MOST_REPLICAS} replicas, not {asked}")
    return value


def _variable(value: str) -> str:
    if not _VARIABLE.fullmatch(value):
        raise ValueError(f"{value!r} is no name of an environment variable")
    return value


def _path(value: str) -> str:
    if not value.startswith("/") or re.search(r"\s", value):
        raise ValueError(f"{value!r} is no path: it begins with /")
    return value


def _text(value: Any) -> Any:
    """Numbers are written as they stand: an environment holds only text."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _accept(value: str) -> str:
    if not _ACCEPTS.fullmatch(value):
        raise ValueError(f"{value!r} is no request: write a method and a path, such as GET /api/catalog/*")
    return value


def _program(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value[0].strip():
        raise ValueError("its first word, the program, is empty")
    return value


Text = Annotated[str, BeforeValidator(_text), WithJsonSchema({"type": ["string", "number"]})]
Words = Annotated[
    tuple[str, ...],
    Field(min_length=1),
    AfterValidator(_program),
    BeforeValidator(lambda v: tuple(v) if isinstance(v, list) else v),
]


class Settings(BaseModel):
    """A service."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        json_schema_extra={"oneOf": [{"required": ["app"]}, {"required": ["command"]}]},
    )

    app: Annotated[str, AfterValidator(_app)] | None = None
    """An ASGI application, ``module:name``, imported from ``path``. Either this or ``command``."""
    command: Words | None = None
    """Any program that listens on ``$PORT``; ``$NAME`` is expanded from its environment. Either this or ``app``."""
    path: str = "."
    """The folder it runs in, relative to the declaration."""
    python: str | None = None
    """The interpreter of an ``app``; without it the nearest ``.venv``, ``$VIRTUAL_ENV``, or the tool's own."""
    image: str | None = None
    """What Kubernetes runs."""
    size: TierName = "medium"
    """The tier of each replica."""
    replicas: Annotated[int | str, BeforeValidator(_replicas), WithJsonSchema(_REPLICAS)] = 1
    """How many: a number, or a range that is autoscaled, such as ``2..10``."""
    health: Annotated[str, AfterValidator(_path)] | None = None
    """Where it answers 2xx when it is ready. An ``app`` has ``/health/ready``; a ``command`` none: its port decides."""
    migrate: Words | None = None
    """A program that prepares its databases, run once before any replica, again when the folder changed."""
    accepts: Annotated[
        tuple[Annotated[str, AfterValidator(_accept)], ...],
        BeforeValidator(lambda v: tuple(v) if isinstance(v, list) else v),
    ] = ()
    """Narrows what services that call it may ask: lines such as ``GET /api/catalog/*``. Empty: anything."""
    scratch: Size | None = None
    """Temporary storage, gone with the replica."""
    env: Mapping[Annotated[str, AfterValidator(_variable)], Text] = Field(default_factory=dict)
    """Further variables of its environment."""
    uses: Mapping[str, str | list[str]] = Field(default_factory=dict)
    """What it may reach, each with one access or a list: the only way to be allowed anything."""

    @model_validator(mode="after")
    def _one_program(self) -> Settings:
        if self.app is not None and self.command is not None:
            raise PydanticCustomError(
                "conflicting_keys", "app and command exclude each other", {"keys": ["app", "command"]}
            )
        if self.app is None and self.command is None:
            raise PydanticCustomError(
                "missing_program",
                "it has neither an app nor a command",
                {"hint": "add `app: module:name`, or `command: [program, argument]`"},
            )
        return self

    @property
    def count(self) -> Range:
        """The replicas as a range."""
        return Range.parse(self.replicas)

    @property
    def ready_path(self) -> str | None:
        """Where it says that it is ready; None: its port decides."""
        return self.health or (READY_PATH if self.app is not None else None)

    @property
    def requests(self) -> tuple[tuple[str, str], ...]:
        """``accepts`` as methods and paths."""
        return tuple((line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in self.accepts)

    def takes(self, method: str, path: str) -> bool:
        """Whether a request is one of those that ``accepts`` lists."""
        taken = [accepted for of, accepted in self.requests if of == method]
        return any(path == each or (each.endswith("*") and path.startswith(each[:-1])) for each in taken)


def parts(name: str, settings: Settings) -> Iterable[Part]:  # noqa: ARG001
    """A service can be called."""
    return (Part(name, "service", ("call",)),)


def plan(name: str, settings: Settings, context: Context) -> Iterable[Resource]:
    """As many replicas as its range begins with, or as were asked for."""
    count = context.scale.get(name, settings.count.low)
    yield Resource(
        name=name,
        kind="service",
        members=context.members(name, count),
        settings=settings,
        identity=context.service_identity(name),
        parts=tuple(parts(name, settings)),
        parity=_parity(settings),
    )


def _parity(settings: Settings) -> Parity:
    level: Literal["real", "reduced"] = "reduced" if settings.command else "real"
    return Parity(level, "its $PORT is open to every process of this machine" if settings.command else "")


def binding(resource: Resource, edge: Edge, where: Where) -> Binding:
    """The caller's own sidecar."""
    url, wiring = where.outbound(edge.source, resource.name)
    return Binding(url, wiring)


def accepts(resource: Resource) -> Iterable[str]:
    """The requests that those who call it are narrowed to; none: anything."""
    settings: Settings = resource.settings  # type: ignore[assignment]
    return settings.accepts


def gaps(resource: Resource) -> Iterable[Gap]:
    """Its image: Kubernetes runs nothing else."""
    settings: Settings = resource.settings  # type: ignore[assignment]
    if settings.image is None:
        message = f"{resource.name} has no image, and Kubernetes runs nothing else"
        yield Gap(("image",), message, "add `image: registry.example/name:1.0.0`, a program that listens on $PORT")


COMPONENT = Component(
    kind="service",
    package=__name__,
    settings=Settings,
    plan=plan,
    section="services",
    parts=parts,
    binding=binding,
    accepts=accepts,
    gaps=gaps,
)
