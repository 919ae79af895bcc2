"""What ordinary people send is neither refused nor written down: not once, in whatever language they write."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import yaml

from components.guarded import HOST, about, ask, behind_firewall, declared, port, trust, written
from support.platform import Platform, wait_for
from support.rule_tests import REFUSED

pytestmark = pytest.mark.e2e

CORPUS = Path(__file__).parents[1] / "cases" / "firewall" / "ordinary.yaml"
JSON = {"content-type": "application/json"}


@dataclass(frozen=True)
class Sent:
    """One request as a client would make it."""

    method: str
    path: str = "/"
    more: Mapping[str, Any] = field(default_factory=dict)


def ordinary() -> Iterator[Sent]:
    """All of the corpus."""
    corpus = yaml.safe_load(CORPUS.read_text())
    for text in (text for texts in corpus["texts"].values() for text in texts):
        yield Sent("POST", "/api/notes", {"json": {"note": text}})
        yield Sent("PUT", "/api/notes/7", {"json": {"notes": [{"text": text}]}})
        yield Sent("POST", "/notes", {"data": {"note": text}})
        file = ("note.txt", text.encode(), "text/plain; charset=utf-8")
        yield Sent("POST", "/upload", {"data": {"note": text}, "files": {"file": file}})
        yield Sent("GET", "/search?q=" + quote(text, safe=""))
    yield from (Sent("POST", "/api/things", {"content": _json(each), "headers": JSON}) for each in corpus["documents"])
    yield from (Sent("PATCH", "/api/things/7", {"json": {"changed": str(each)}}) for each in corpus["texts"]["names"])
    yield from (Sent("POST", "/form", {"data": each}) for each in corpus["forms"])
    yield from (Sent("GET", each) for each in corpus["paths"])
    yield from (Sent(method, "/", {"headers": each}) for each in corpus["headers"] for method in ("GET", "DELETE"))


def _json(document: Any) -> bytes:
    """As a browser writes it; what YAML takes for a date is text again."""
    return json.dumps(document, ensure_ascii=False, default=str).encode()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """One service that answers what it got, behind gateway and firewall, as `waf: on` has it."""
    with behind_firewall(tmp_path_factory.mktemp("checkout") / "guarded") as platform:
        yield platform


def test_nothing_that_ordinary_people_send_is_refused_or_written_down(guarded: Platform) -> None:
    """In JSON, in forms, beside files and in queries; one attack in the end shows that it would have been seen."""
    refused = []
    url = f"https://127.0.0.1:{port(guarded)}"
    with httpx.Client(base_url=url, verify=trust(guarded), headers={"host": HOST}, timeout=10.0) as client:
        for each in ordinary():
            answer = client.request(each.method, each.path, extensions={"sni_hostname": HOST}, **each.more)
            if answer.status_code != 200:
                refused.append((answer.status_code, each))
        last = client.get("/?file=../../../../etc/passwd", extensions={"sni_hostname": HOST})
    assert last.status_code == 403
    wait_for("its line", lambda: about(guarded, last.headers["x-request-id"]))
    scored = [each for each in written(guarded) if each["unique_id"] != last.headers["x-request-id"]]
    assert [(each["request"]["uri"], rules(each)) for each in scored] == []
    assert refused == []


def rules(transaction: Mapping[str, Any]) -> list[int]:
    """Those that scored, without the one that adds up."""
    found = [int(message["details"]["ruleId"]) for message in transaction["messages"]]
    return [each for each in found if each != REFUSED]


def test_what_the_rule_set_mistakes_is_known_and_can_be_excluded(guarded: Platform) -> None:
    """Each with the rules that say so: one that is no longer mistaken belongs among what is ordinary."""
    for each in yaml.safe_load(CORPUS.read_text())["mistaken"]:
        answer = ask(guarded, "POST", "/notes", json={"note": each["text"]})
        assert answer.status_code == 403
        identity = answer.headers["x-request-id"]
        wait_for("its line", lambda: about(guarded, identity))  # noqa: B023
        assert rules(about(guarded, identity)[0]) == each["rules"]
        excluded = {"exclude": dict.fromkeys(each["rules"], "a word that we need")}
        guarded.file.write_text(declared(excluded))
        guarded.ok("up", "-d")
        wait_for("it to be let through", lambda: ask(guarded, "POST", "/notes", json={"note": each["text"]}).is_success)  # noqa: B023
