"""What customers did, and what the stores hold of it: read as it stands there, judged elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Item:
    """What an order asks for. No customer asks for the same twice, so it tells a customer's orders apart."""

    sku: str
    quantity: int


@dataclass(frozen=True)
class Placed:
    """What a customer asked for in ``turn``, after the answer to the turn before. Without an answer, no ``order``."""

    customer: str
    turn: int
    item: Item
    order: str = ""


@dataclass(frozen=True)
class Reviewed:
    """What a customer gave a product in ``turn``, after the answer to the turn before."""

    customer: str
    turn: int
    stars: int
    acknowledged: bool


@dataclass(frozen=True)
class Purchase:
    """A row of the storefront's."""

    order: str
    customer: str
    item: Item
    total: int


@dataclass(frozen=True)
class Place:
    """Where a message stands in its topic: messages of one key have one partition, and come in its order."""

    partition: int
    offset: int


@dataclass(frozen=True)
class Told:
    """A message about an order."""

    at: Place
    order: str
    customer: str
    total: int


@dataclass(frozen=True)
class Invoice:
    """A row of the invoicer's; numbers rise as invoices are written."""

    number: int
    order: str
    customer: str
    total: int


@dataclass(frozen=True)
class Event:
    """A happening in its topic: the same one has the same ``id`` however often it is there."""

    at: Place
    id: str
    type: str
    subject: str
    data: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True)
class Document:
    """A happening as the projector keeps it."""

    id: str
    type: str
    subject: str


@dataclass(frozen=True)
class Notification:
    """What a customer is to hear."""

    at: Place
    order: str
    customer: str
    invoice: int
    total: int


@dataclass(frozen=True)
class Facts:
    """Everything about some customers. Messages stand in the order of their places."""

    placed: tuple[Placed, ...] = ()
    reviewed: tuple[Reviewed, ...] = ()
    purchases: tuple[Purchase, ...] = ()
    orders: tuple[Told, ...] = ()
    invoices: tuple[Invoice, ...] = ()
    events: tuple[Event, ...] = ()
    documents: tuple[Document, ...] = ()
    notifications: tuple[Notification, ...] = ()
