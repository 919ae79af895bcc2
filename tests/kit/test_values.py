"""Values become bytes and come back as they were, whatever library types them."""

from __future__ import annotations

import datetime
import decimal
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from pydantic import BaseModel, ConfigDict, Field, computed_field

from greenfield_kit.cache.values import UndecodableError, codec


class Product(BaseModel):
    """Whose names outside are not its names inside, in either direction."""

    model_config = ConfigDict(extra="forbid")

    sku: str = Field(alias="SKU")
    price: decimal.Decimal = Field(validation_alias="cost", serialization_alias="Price")
    since: datetime.datetime
    parts: list[Product] = []

    @computed_field
    def dear(self) -> bool:
        """Not part of what it is made from."""
        return self.price > 100


class Point(msgspec.Struct, frozen=True):
    """A struct."""

    x: int
    y: int = 0


@dataclass(frozen=True)
class Plain:
    """A dataclass."""

    name: str


NOON = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)
PART = Product(SKU="b", cost=decimal.Decimal("0.10"), since=NOON)
PRODUCT = Product(
    SKU="a\x00\udfff".encode("utf-8", "replace").decode(), cost=decimal.Decimal(200), since=NOON, parts=[PART]
)
CASES: list[tuple[Any, Any]] = [
    (Product, PRODUCT),
    (list[Product], [PRODUCT, PART]),
    (dict[str, Product], {"a": PRODUCT}),
    (Point, Point(1, 2)),
    (list[Point], [Point(1), Point(2)]),
    (dict[str, list[Point]], {"a": [Point(1)]}),
    (Plain, Plain("a")),
    (tuple[int, str], (1, "a")),
    (set[int], {1, 2}),
    (datetime.datetime, NOON),
    (str, "a"),
    (int, 0),
    (bool, False),
    (bytes, b"\xff\x00"),
]


@pytest.mark.parametrize(("of", "value"), CASES, ids=lambda each: str(each)[:40])
def test_a_value_comes_back_as_it_was(of: Any, value: Any) -> None:
    """To the type."""
    found = codec(of).decode(codec(of).encode(value))
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("of", [Product, Point, list[Point], Plain, int])
@pytest.mark.parametrize("text", [b"", b"\xff", b"{", b'{"other": 1}', b"[[]]", b'"a"'])
def test_what_is_no_such_value_is_said_to_be_none(of: Any, text: bytes) -> None:
    """Whatever is wrong with it, in one word for all libraries."""
    with pytest.raises(UndecodableError):
        codec(of).decode(text)


def test_a_type_has_one_codec() -> None:
    """Its adapter is made once."""
    assert codec(list[Product]) is codec(list[Product])
