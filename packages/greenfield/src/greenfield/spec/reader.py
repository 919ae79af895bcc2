"""Text and catalogue to Declaration; every mistake of the whole file at once."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from greenfield.errors import DeclarationError, Problem
from greenfield.model.component import Catalogue, Context
from greenfield.model.declaration import Declaration
from greenfield.spec.complaints import MOST_PROBLEMS, Complaints, Problems, TooManyError, near
from greenfield.spec.head import check_version, read_name, read_zones
from greenfield.spec.names import Names
from greenfield.spec.overlays import Overlays
from greenfield.spec.parse import parse
from greenfield.spec.patches import read_patches
from greenfield.spec.things import NAMED_SECTIONS, SINGLE_SECTIONS, Folders, Thing, Things
from greenfield.spec.tree import find, positions

KEYS = ("apiVersion", "name", "zones", *SINGLE_SECTIONS, *NAMED_SECTIONS, "environments", "patches")


@dataclass(frozen=True)
class Source:
    """A declaration's text and where it is from.

    ``folder_exists`` answers for a path relative to the file, ``inside`` whether it stays in the file's folder when its
    links are followed.
    """

    text: str
    file: str
    root: str
    folder_exists: Callable[[str], bool]
    inside: Callable[[str], bool] = lambda _: True


def read(source: Source, catalogue: Catalogue, environment: str | None) -> Declaration:
    """One environment (None: the base) of a declaration; DeclarationError with all that is wrong in it."""
    return Reader(source, catalogue).read(environment)


def check(source: Source, catalogue: Catalogue) -> tuple[list[Problem], tuple[str, ...]]:
    """All problems of the base and of every overlay, each once, and the names of the environments."""
    reader = Reader(source, catalogue)
    return reader.check(), reader.environments


class Reader:
    """One text, parsed; its environments can be read one by one, or checked together."""

    def __init__(self, source: Source, catalogue: Catalogue) -> None:
        self.source, self.catalogue = source, catalogue
        tree, found = parse(source.text, source.file)
        self.problems = Problems(list(found), {(each.line, each.column) for each in found})
        self.overlays = Overlays.of(tree) if tree is not None else None
        self._things = Things(catalogue, Folders(source.folder_exists, source.inside))

    @property
    def readable(self) -> bool:
        """Whether the text is YAML, so that its environments are known."""
        return self.overlays is not None

    @property
    def environments(self) -> tuple[str, ...]:
        """The names of the overlays, as far as the text can be read."""
        return self.overlays.names() if self.overlays is not None else ()

    def check(self) -> list[Problem]:
        """All problems of the base and of every overlay, in the order of the file."""
        with self._bounded():
            for environment in (None, *self.environments):
                self._judged(environment)
        return sorted(self.problems.found)

    def read(self, environment: str | None) -> Declaration:
        """One environment (None: the base); DeclarationError with all that is wrong in it."""
        declaration = None
        with self._bounded():
            declaration = self._judged(environment, whole=True)
        if declaration is None:
            raise DeclarationError(self.problems.found)
        return declaration

    @contextlib.contextmanager
    def _bounded(self) -> Iterator[None]:
        """Ends what is done within at so many problems that nobody would read on, and says so."""
        with contextlib.suppress(TooManyError):
            yield
        if len(self.problems.found) >= MOST_PROBLEMS:
            message = f"there are more than {MOST_PROBLEMS:,} mistakes, and the rest was not looked for"
            self.problems.found.append(Problem(self.source.file, 1, 1, "too-many", message, "is it a declaration?"))

    def _judged(self, environment: str | None, *, whole: bool = False) -> Declaration | None:
        """What is wrong goes to ``problems``; the declaration if it is asked for as a ``whole`` and nothing is."""
        if self.overlays is None:
            return None
        complaints = Complaints(self.overlays.base, self.problems)
        if environment is not None and environment not in self.overlays.entries:
            hint = near(environment, self.environments)
            place = find(self.overlays.top, ("environments",))[0]
            complaints.place(place, "unknown-environment", f"there is no environment {environment!r}", hint)
            return None
        self.overlays.check(complaints, environment, KEYS)
        root = complaints.root = self.overlays.merged(environment)
        for key, entry in self.overlays.base.entries.items():
            if key not in KEYS:
                complaints.place(entry.key, "unknown-key", f"{key!r} is not a key of a declaration", near(key, KEYS))
        check_version(root, complaints)
        context = Context(
            read_name(root, complaints), environment or "", read_zones(root, complaints), self.source.root
        )
        things = self._things.all(root, complaints)
        self._resolve(things, context, complaints)
        patches = read_patches(root, complaints)
        if self.problems.found or not whole:
            return None
        return Declaration(
            name=context.platform,
            zones=context.zones,
            environment=context.environment,
            root=self.source.root,
            file=self.source.file,
            declared=tuple(thing.declared for thing in things if thing.declared is not None),
            patches=patches,
            positions=dict(positions(root)),
        )

    def _resolve(self, things: list[Thing], context: Context, complaints: Complaints) -> None:
        unread = frozenset(thing.name for thing in things if thing.declared is None)
        lost = frozenset(word for thing in things if thing.path[0] != "services" for word in thing.lost)
        names = Names(self.catalogue, context, complaints, unread, lost)
        for thing in things:
            if thing.declared is None and len(thing.path) > 1:
                names.take(thing.name, thing.path)
        names.learn((thing.declared, thing.path) for thing in things if thing.declared is not None)
        for thing in things:
            names.check_service(thing.name, thing.uses, thing.path)
            if thing.declared is not None:
                names.check_references(thing.declared, thing.path)
