"""A real nginx with the real rule set before a real gateway: attacks, ordinary requests, changes, crashes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from components.guarded import DECLARED, about, ask, behind_firewall, declared, port
from greenfield.components.waf.proofs import ATTACKS, Request
from support.platform import Platform, kill, wait_for

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """One service that answers what it got, behind gateway and firewall."""
    with behind_firewall(tmp_path_factory.mktemp("checkout") / "guarded") as platform:
        yield platform


@pytest.fixture(autouse=True)
def as_declared(guarded: Platform) -> Iterator[None]:
    """Whatever a test changed is changed back."""
    yield
    if json.loads(guarded.file.read_text()) != DECLARED:
        firewall(guarded, "on")


def firewall(platform: Platform, settings: Any) -> None:
    """Declares it so, and makes it so."""
    platform.file.write_text(declared(settings))
    platform.ok("up", "-d")


def attack(platform: Platform, request: Request) -> httpx.Response:
    """The same as a proof tries, as a program would send it."""
    return ask(platform, "POST" if request.body else "GET", request.path, headers=request.headers, content=request.body)


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused_and_written_down_under_the_id_that_the_client_got(guarded: Platform, name: str) -> None:
    """One object for each, with the rules that matched and nothing of the body."""
    answer = attack(guarded, ATTACKS[name])
    assert answer.status_code == 403
    (found,) = wait_for("its line", lambda: about(guarded, answer.headers["x-request-id"]))
    assert any(int(each["details"]["ruleId"]) > 900000 for each in found["messages"])
    assert "body" not in found["request"]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_ordinary_json_arrives_as_it_was_sent(guarded: Platform, method: str) -> None:
    """With apostrophes, dashes, a number sign and letters of other languages."""
    order = {"customer": "Ada O'Neil", "note": "It's a gift -- thanks & regards, #4", "stadt": "Köln", "国": "日本"}
    token = {"authorization": "Bearer eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl"}
    answer = ask(guarded, method, "/api/orders?sort=-price&page=2", json=order, headers=token)
    assert answer.status_code == 200, answer.text
    assert json.loads(answer.json()["body"]) == order


def test_the_service_hears_who_asks_from_the_firewall_and_not_from_the_client(guarded: Platform) -> None:
    """Neither an address nor an id can be made up; a trace goes on."""
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    made_up = dict.fromkeys(("x-forwarded-for", "x-real-ip", "forwarded", "x-envoy-external-address"), "203.0.113.7")
    answer = ask(guarded, "GET", headers={**made_up, "x-request-id": "mine", "traceparent": trace})
    assert answer.status_code == 200, answer.text
    heard = answer.json()["headers"]
    assert "203.0.113.7" not in json.dumps(heard)
    assert heard["x-forwarded-for"].split(",")[0] == "127.0.0.1"
    assert heard["x-request-id"] == answer.headers["x-request-id"] != "mine"
    assert answer.headers.get_list("x-request-id") == [heard["x-request-id"]]
    assert heard["traceparent"].split("-")[1] == trace.split("-")[1]


def test_what_is_too_large_or_cannot_be_read_is_refused(guarded: Platform) -> None:
    """A body over its limit, JSON that is none."""
    assert ask(guarded, "POST", content=b"x" * ((1 << 20) + 1)).status_code == 413
    assert ask(guarded, "POST", content=b'{"a":', headers={"content-type": "application/json"}).status_code == 400


def test_who_shook_hands_for_one_host_gets_no_other(guarded: Platform) -> None:
    """Not even what the rules would let through."""
    assert ask(guarded, "GET", headers={"host": "another.localhost"}).status_code == 421


def test_a_program_that_connects_to_the_address_names_its_host_in_the_request(guarded: Platform) -> None:
    """As `status` tells people to: not every resolver knows names below `.localhost`."""
    with guarded.client() as client:
        assert client.get("/").status_code == 200
        assert client.get("/", headers={"host": "another.localhost"}).status_code == 421
        assert client.get("/?id=1%27%20OR%20%271%27=%271%27%20--%20").status_code == 403


def test_all_of_verify_holds(guarded: Platform) -> None:
    """The attacks, plaintext, and that nobody but the firewall comes to the gateway."""
    report = guarded.json("verify")
    checks = report["checks"]
    assert [each for each in checks if each["ok"] is False] == []
    past = [each["source"] for each in checks if "past the firewall" in each["name"]]
    assert {"echo", "a stranger", "another authority"} <= set(past)
    assert {each["name"] for each in checks} >= {f"{name} at waf" for name in ATTACKS}


def test_modes_and_exclusions_change_without_a_restart(guarded: Platform) -> None:
    """What is only detected arrives, and is written down; it is one and the same nginx."""
    pids = guarded.pids()
    before = {name: pids[name] for name in ("waf-0", "gateway-0")}
    request = ATTACKS["path traversal"]
    firewall(guarded, {"mode": "detect"})
    answer = wait_for("it to be let through", lambda: passed(attack(guarded, request)))
    assert answer is not None
    identity = answer.headers["x-request-id"]
    wait_for("its line", lambda: about(guarded, identity))
    assert [each for each in guarded.json("verify")["checks"] if each["ok"] is False] == []
    firewall(guarded, {"exclude": {930100: "tried", 930110: "tried", 930120: "tried", 932160: "tried"}})
    wait_for("it to be let through", lambda: passed(attack(guarded, request)))
    assert attack(guarded, ATTACKS["SQL injection"]).status_code == 403
    firewall(guarded, "on")
    wait_for("it to be refused again", lambda: attack(guarded, request).status_code == 403)
    assert {name: guarded.pids()[name] for name in before} == before


def passed(answer: httpx.Response) -> httpx.Response | None:
    """An answer that came from the service."""
    return answer if answer.status_code == 200 else None


def test_it_comes_back_when_it_is_killed(guarded: Platform) -> None:
    """Its workers do not live on without it."""
    pid = guarded.pids()["waf-0"]
    kill(pid)
    wait_for("another one", lambda: guarded.pids().get("waf-0", pid) != pid and guarded.ready())
    assert ask(guarded, "GET").status_code == 200
    assert attack(guarded, ATTACKS["SQL injection"]).status_code == 403


def test_the_url_stays_when_it_is_taken_away_and_comes_back(guarded: Platform) -> None:
    """Then the gateway answers there itself."""
    before = port(guarded)
    firewall(guarded, "off")
    assert port(guarded) == before
    guarded.wait_ready()
    wait_for("the gateway to answer", lambda: answers(guarded))
    assert attack(guarded, ATTACKS["SQL injection"]).status_code == 200
    firewall(guarded, "on")
    guarded.wait_ready()
    assert port(guarded) == before
    wait_for("the firewall to refuse", lambda: attack(guarded, ATTACKS["SQL injection"]).status_code == 403)


def answers(platform: Platform) -> bool:
    """Whether somebody answers at the URL."""
    try:
        return ask(platform, "GET").status_code == 200
    except httpx.TransportError:
        return False
