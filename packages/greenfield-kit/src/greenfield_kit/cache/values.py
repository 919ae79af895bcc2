"""How values become bytes and come back typed: pydantic's models and whatever its adapters cover, msgspec's structs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, TypeVar, get_args

Value = TypeVar("Value")


class UndecodableError(ValueError):
    """These bytes are no such value: something else wrote them, or another version of it."""


@dataclass(frozen=True, eq=False)
class Codec(Generic[Value]):
    """One type's way to bytes and back; ``decode`` raises UndecodableError."""

    encode: Callable[[Value], bytes]
    decode: Callable[[bytes], Value]


def codec(of: type[Value]) -> Codec[Value]:
    """The codec of a type: msgspec's where a struct is in it, bytes as they are, else pydantic's, all as JSON."""
    made: Codec[Value] = _made(of)  # type: ignore[arg-type]  # a type is hashable
    return made


@lru_cache(maxsize=1024)
def _made(of: Any) -> Codec[Any]:
    if of is bytes:
        return Codec(lambda value: value, lambda text: text)
    return _msgspec(of) if _holds_struct(of) else _pydantic(of)


def _holds_struct(of: Any) -> bool:
    return hasattr(of, "__struct_fields__") or any(map(_holds_struct, get_args(of)))


def _msgspec(of: type[Value]) -> Codec[Value]:
    from msgspec import MsgspecError
    from msgspec.json import Decoder, Encoder

    decoder = Decoder(of)

    def decode(text: bytes) -> Value:
        try:
            return decoder.decode(text)
        except MsgspecError as exc:
            raise UndecodableError(str(exc)) from exc

    return Codec(Encoder().encode, decode)


def _pydantic(of: type[Value]) -> Codec[Value]:
    from pydantic import TypeAdapter, ValidationError

    adapter = TypeAdapter(of)

    # By field names, whatever the model's aliases are: an alias for one direction alone would not come back.
    def encode(value: Value) -> bytes:
        return adapter.dump_json(value, by_alias=False, round_trip=True)

    def decode(text: bytes) -> Value:
        try:
            return adapter.validate_json(text, by_alias=False, by_name=True)
        except ValidationError as exc:
            raise UndecodableError(f"{exc.error_count()} mistakes in {exc.title}") from exc

    return Codec(encode, decode)
