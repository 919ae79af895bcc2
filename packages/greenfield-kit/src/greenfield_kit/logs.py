"""Logs as a stream of JSON lines on standard output, each with the id of its request."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Iterable, Mapping
from urllib.parse import unquote, urlsplit

_SHORTEST_SECRET = 8
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """One JSON object a line; what was passed as ``extra`` stands beside the message. ``secrets`` are blotted out."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        super().__init__()
        self._secrets = tuple(json.dumps(secret)[1:-1] for secret in secrets)

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        from greenfield_kit import telemetry
        from greenfield_kit.correlation import request_id

        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "time": f"{seconds}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id.get():
            line["request_id"] = request_id.get()
        if trace_id := telemetry.trace_id():
            line["trace_id"] = trace_id
        line |= {key: value for key, value in vars(record).items() if key not in _STANDARD}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        text = json.dumps(line, default=str)
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


def configure() -> None:
    """Sends everything at ``LOG_LEVEL`` (default info) and above to standard output."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines(secrets(os.environ)))
    logging.basicConfig(level=os.environ.get("LOG_LEVEL", "info").upper(), handlers=[handler], force=True)


def secrets(environment: Mapping[str, str]) -> set[str]:
    """The passwords in a service's own wiring, as they are and as a URL has them; words too short to tell are none."""
    urls = (value for name, value in environment.items() if name.endswith("_URL") and "@" in value)
    found = {password for url in urls if (password := urlsplit(url).password)}
    return {each for password in found for each in (password, unquote(password)) if len(each) >= _SHORTEST_SECRET}
