"""Files the engine writes for its processes: by rename, secrets joined only here."""

from __future__ import annotations

import hashlib
import os
import urllib.parse
from collections.abc import Callable, Iterable
from pathlib import Path

from greenfield.errors import StartError
from greenfield.model.content import Content, Secret
from greenfield.model.local import EndpointsFile, File

Present = Callable[[str, int], bool]


class Joiner:
    """Turns content into text, reading each secret once from its file (0600) in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, str] = {}

    def __call__(self, content: Content) -> str:
        """The text of a content; StartError where a secret is missing."""
        return "".join(part if isinstance(part, str) else self._form(part) for part in content)

    def forget(self) -> None:
        """Reads secrets anew from now on."""
        self._known.clear()

    def _form(self, secret: Secret) -> str:
        value = self._value(secret.name)
        if secret.form == "url":
            return urllib.parse.quote(value, safe="")
        if secret.form == "sha256":
            return hashlib.sha256(value.encode()).hexdigest()
        return value

    def _value(self, name: str) -> str:
        if name not in self._known:
            try:
                self._known[name] = (self._folder / name).read_text(encoding="ascii").strip()
            except OSError as exc:
                raise StartError(
                    f"The secret {name!r} cannot be read: {exc.strerror}.", hint="`greenfield up` makes what is missing"
                ) from exc
        return self._known[name]


def write(path: Path, text: str, mode: int = 0o600) -> bool:
    """Replaces a file by rename unless it says the same already; whether it did."""
    data = text.encode()
    try:
        if path.read_bytes() == data:
            return False
    except FileNotFoundError:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    draft.replace(path)
    return True


def write_all(files: Iterable[File], join: Joiner) -> None:
    """Writes every file that does not say what it should."""
    for file in files:
        write(Path(file.path), join(file.content), file.mode)


def write_endpoints(file: EndpointsFile, present: Present) -> bool:
    """Writes who is ready; whether that changed."""
    texts = [endpoint.text for endpoint in file.endpoints if present(endpoint.process, endpoint.slot)]
    return write(Path(file.path), file.head + file.separator.join(texts) + file.tail)
