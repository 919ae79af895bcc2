"""The Core Rule Set's own regression tests: read from the module that brings the rules, sent as they are, judged.

A test is a request, byte for byte, and what the engine must have written down about it. The requests are made as the
project's own runner makes them, headers in order of their names, so that what fails here fails for a reason of ours.
"""

from __future__ import annotations

import base64
import http.client
import os
import re
import socket
import ssl
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import yaml

from greenfield.components.waf.local import EDITION, RULES
from greenfield.model.tool import GoModule, Tool
from greenfield.toolchain.chain import Toolchain, default_cache
from greenfield.toolchain.progress import Silent

TESTS = Tool(
    name="core-rule-set-tests",
    sources=(GoModule("github.com/corazawaf/coraza-coreruleset/v4", f"v{EDITION}", "tests"),),
)
PATIENCE_S = 20.0
"""Longer than nginx waits for the rest of a request."""
_FORM = "application/x-www-form-urlencoded"
_REPEATED = re.compile(r'\{\{ "(.)" \| repeat (\d+) \}\}')
_WITH_BODY = re.compile("^POST|PUT|PATCH|DELETE$")
_RULE = re.compile(r"\bid:(\d+)\b")
_LEVEL = re.compile(r"\bparanoia-level/(\d)\b")
_NGINX_PAGE = b"<center>nginx</center>"


@dataclass(frozen=True)
class Trial:
    """One request, and what is to be seen of it. ``name``: the rule and a number, as the rule set itself counts.

    ``wanted`` and ``unwanted`` are rules; ``pattern`` and ``unwanted_pattern`` are looked for in what was written down.
    ``breaks``: that the connection ends is as good.
    """

    file: str
    name: str
    rule: int
    request: bytes
    status: int | None
    wanted: frozenset[int]
    unwanted: frozenset[int]
    pattern: str
    unwanted_pattern: str
    breaks: bool


@dataclass(frozen=True)
class Seen:
    """What became of a request: the status (0: none could be read), the id, and whether nginx itself answered."""

    status: int
    identity: str
    by_nginx: bool


@dataclass(frozen=True)
class Log:
    """What the engine wrote down about one request: the rules, and a line for each as its error log would have it."""

    rules: frozenset[int] = frozenset()
    text: str = ""


def fetched() -> tuple[Path, Path]:
    """The folders of the tests and of the rules, fetched where they are not in the cache."""
    found = Toolchain(default_cache(os.environ), Silent()).obtain([TESTS, RULES])
    return Path(found[TESTS.name].root), Path(found[RULES.name].root)


# --- reading --------------------------------------------------------------------------------------------------------


def trials(folder: Path) -> Iterator[Trial]:
    """All tests, in the order of their files. One file is commented out: its rule needs none."""
    for path in sorted(folder.glob("*/*.yaml")):
        data = yaml.load(path.read_text(), yaml.CSafeLoader) or {}
        for test in data.get("tests", ()):
            for stage in test["stages"]:
                yield _trial(path.parent.name, data["rule_id"], test["test_id"], stage)


def _trial(file: str, rule: int, number: int, stage: Mapping[str, Any]) -> Trial:
    output = stage["output"]
    log = output.get("log") or {}
    return Trial(
        file=file,
        name=f"{rule}-{number}",
        rule=rule,
        request=_request(stage["input"]),
        status=output.get("status"),
        wanted=frozenset(log.get("expect_ids", ())),
        unwanted=frozenset(log.get("no_expect_ids", ())),
        pattern=log.get("match_regex", ""),
        unwanted_pattern=log.get("no_match_regex", ""),
        breaks=output.get("expect_error", False),
    )


def _request(given: Mapping[str, Any]) -> bytes:
    """The bytes that go over the wire."""
    if encoded := given.get("encoded_request"):
        return base64.b64decode(encoded)
    method = given.get("method", "GET")
    headers = {name: str(value or "") for name, value in (given.get("headers") or {}).items()}
    body = _REPEATED.sub(lambda found: found[1] * int(found[2]), str(given.get("data") or ""))
    whole = given.get("autocomplete_headers", True)
    if body and whole:
        headers["Content-Type"] = headers.get("Content-Type") or _FORM
        if headers["Content-Type"] == _FORM and "%" not in body and "+" not in body:
            body = _encoded(body)
    if headers.get("Content-Type", "").startswith("multipart/form-data;"):
        body = body.replace("\n", "\r\n")
    if whole:
        headers["Connection"] = headers.get("Connection") or "close"
        if body or _WITH_BODY.search(method):
            headers["Content-Length"] = headers.get("Content-Length") or str(len(body.encode()))
    lines = [f"{method} {given.get('uri', '/')} {given.get('version', 'HTTP/1.1')}"]
    lines += [f"{name}: {headers[name]}" for name in sorted(headers)]
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode() + body.encode()


def _encoded(form: str) -> str:
    """A form that was written without the encoding of a form."""
    pairs = (field.partition("=") for field in form.split("&"))
    return "&".join(f"{quote_plus(name)}{equals}{quote_plus(value)}" for name, equals, value in pairs)


def levels(rules: Path) -> dict[int, int]:
    """The paranoia level of each rule that has one."""
    found: dict[int, int] = {}
    for path in rules.glob("*.conf"):
        _, *parts = _RULE.split(path.read_text())
        for number, actions in zip(parts[::2], parts[1::2], strict=True):
            if level := _LEVEL.search(actions):
                found[int(number)] = int(level[1])
    return found


def level_of(trial: Trial, found: Mapping[int, int]) -> int:
    """The lowest at which everything works that a test asks for."""
    return max(found.get(rule, 1) for rule in (trial.rule, *trial.wanted))


# --- asking ---------------------------------------------------------------------------------------------------------


def sent(request: bytes, port: int, trust: ssl.SSLContext, host: str) -> Seen:
    """What a request is answered that is sent as it stands."""
    plaintext = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
    method = "HEAD" if request.startswith(b"HEAD ") else None
    with (
        trust.wrap_socket(plaintext, server_hostname=host) as connection,
        http.client.HTTPResponse(connection, method=method) as answer,
    ):
        try:
            connection.sendall(request)
            answer.begin()
            body = answer.read()
        except (http.client.HTTPException, OSError):
            return Seen(0, "", by_nginx=False)
    return Seen(answer.status, answer.getheader("x-request-id", ""), by_nginx=_NGINX_PAGE in body)


def logged(transaction: Mapping[str, Any]) -> Log:
    """What an object of the audit log says."""
    messages = [(each["message"], each["details"]) for each in transaction["messages"]]
    lines = (
        f'{details["match"]} [id "{details["ruleId"]}"] [msg "{said}"] [data "{details["data"]}"]'
        for said, details in messages
    )
    return Log(frozenset(int(details["ruleId"]) for _, details in messages), "\n".join(lines))


# --- judging --------------------------------------------------------------------------------------------------------

OPTIONAL = frozenset({920250, 920360, 920370, 920380, 920390, 920400, 920410})
"""Rules that do nothing until a limit or an encoding is declared, as the rule set's own test bed does."""
REFUSED = 949110
"""The rule that refuses what scored enough."""
BY_NGINX = "nginx refuses the request before a rule sees it"
ANOTHER_HOST = "the request is for another host, which gets 421"
ANSWERS = "answers are not looked at"
OPTION = "the rule wants a limit or an encoding that is not declared"
BY_ANOTHER = "another rule refuses the request"
UNEXPLAINED = "unexplained"


def holds(trial: Trial, seen: Seen, log: Log) -> bool:
    """Whether everything is as the test wants it."""
    if trial.breaks and not seen.status:
        return True
    return (
        trial.status in (None, seen.status)
        and trial.wanted <= log.rules
        and not trial.unwanted & log.rules
        and (not trial.pattern or re.search(trial.pattern, log.text) is not None)
        and (not trial.unwanted_pattern or re.search(trial.unwanted_pattern, log.text) is None)
    )


def cause(trial: Trial, seen: Seen, log: Log) -> str:
    """Why a test fails, as far as it can be seen; a rule that should have kept silent is never explained so."""
    if trial.unwanted & log.rules:
        return UNEXPLAINED
    seen_as: Iterable[tuple[str, bool]] = (
        (ANSWERS, trial.file.startswith("RESPONSE-")),
        (OPTION, trial.rule in OPTIONAL),
        (ANOTHER_HOST, seen.status == 421),
        (BY_NGINX, seen.by_nginx and not log.rules),
        (BY_ANOTHER, REFUSED in log.rules),
    )
    return next((name for name, applies in seen_as if applies), UNEXPLAINED)
