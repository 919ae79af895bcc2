"""The firewall's configuration: what was declared is in it, and every word is quoted where it must be."""

from __future__ import annotations

import dataclasses
import re

import pytest

from greenfield.model.binding import Leaf
from greenfield.programs.firewall import ENGINE, NGINX, Place, PlacedFirewall, configuration
from greenfield.programs.nginx import Entry, block, rendered

PLACE = Place(
    module="/modules/modsecurity.so",
    rules="/rules/*.conf",
    unicode="/unicode.mapping",
    folder="/configuration",
    temporary="/tmp",
    audit="/dev/stdout",
    https="8443",
    plain="8080",
    names=("shop.example.com",),
    edge=Leaf("/edge/ca", "/edge/crt", "/edge/key", ""),
    inner=Leaf("/inner/ca", "/inner/crt", "/inner/key", ""),
    upstream="gateway:443",
)


def firewall(**settings: object) -> PlacedFirewall:
    """Before the shop."""
    return PlacedFirewall.model_validate({"host": "shop.example.com", **settings})


def engine(**settings: object) -> list[str]:
    """The lines of the engine's file."""
    return configuration(firewall(**settings), PLACE)[ENGINE].splitlines()


@pytest.mark.parametrize(("mode", "said"), [("block", "On"), ("detect", "DetectionOnly")])
def test_the_mode_is_the_engines(mode: str, said: str) -> None:
    """To detect is to write down and let through."""
    assert engine(mode=mode)[0] == f"SecRuleEngine {said}"


def test_paranoia_is_said_before_the_rules_and_what_is_left_out_after_them() -> None:
    """A rule can only be removed once it is there."""
    lines = engine(paranoia=3, exclude={942100: "a name", 920350: "an address"})
    rules = lines.index("Include /rules/*.conf")
    levels = [i for i, line in enumerate(lines) if "tx.blocking_paranoia_level=3" in line]
    assert levels
    assert max(levels) < rules
    assert lines[rules + 1 :] == ["SecRuleRemoveById 920350", "SecRuleRemoveById 942100"]


def test_no_rule_of_ours_has_the_number_of_another() -> None:
    """Nor of the rule set's: those begin at 901000."""
    numbers = [int(found) for line in engine() for found in re.findall(r"id:(\d+)", line)]
    assert len(numbers) == len(set(numbers))
    assert all(number < 901000 for number in numbers)


def test_the_gateway_is_verified_and_shown_who_asks() -> None:
    """By the authority of services, under the host's name."""
    text = configuration(firewall(), PLACE)[NGINX]
    for line in (
        "proxy_ssl_verify on;",
        "proxy_ssl_name shop.example.com;",
        "proxy_ssl_trusted_certificate /inner/ca;",
        "proxy_ssl_certificate $inner;",
        "proxy_pass https://gateway;",
    ):
        assert line in text


def test_an_older_nginx_is_told_in_its_own_words() -> None:
    """HTTP/2 was a word of ``listen``, and certificates had no cache."""
    old = configuration(firewall(), dataclasses.replace(PLACE, modern=False))[NGINX]
    assert "listen 8443 ssl http2;" in old
    assert "http2 on;" not in old
    assert "certificate_cache" not in old


def test_a_word_with_a_space_a_quote_or_nothing_in_it_is_quoted() -> None:
    """And a brace or a semicolon ends no directive."""
    tree: list[Entry] = [("a", "", "b c", 'd"e\\', "f;", "$g"), block(("h", "{"), ("i",))]
    assert rendered(tree) == 'a "" "b c" "d\\"e\\\\" "f;" $g;\nh "{" {\n    i;\n}\n'
