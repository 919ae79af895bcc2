"""What a customer does in the shop, through HTTPS."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from support.platform import Platform, wait_for

ORDER = {"sku": "fern", "quantity": 2, "customer": "ada"}


def order(shop: Platform, **changes: Any) -> str:
    """Places an order and returns its id."""
    with shop.client() as client:
        answer = client.post("/api/orders", json={**ORDER, **changes})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def placed(shop: Platform, identity: str) -> bool:
    """Whether an order can be read back."""
    with shop.client() as client:
        return client.get(f"/api/orders/{identity}").status_code == 200


def progress(shop: Platform, identity: str) -> dict[str, Any]:
    """What became of an order so far; nothing while the shop cannot say."""
    with shop.client() as client:
        answer = client.get(f"/api/orders/{identity}/progress")
    return dict(answer.json()) if answer.status_code == 200 else {"invoice": None, "activity": []}


def is_complete(shop: Platform, identity: str) -> bool:
    """Whether an order has its invoice, and everybody was told."""
    found = progress(shop, identity)
    return found["invoice"] is not None and found["activity"] != []


def wait_complete(shop: Platform, identity: str, seconds: float = 60.0) -> dict[str, Any]:
    """Waits until an order is complete, and returns what became of it."""
    wait_for(f"order {identity} to be complete", partial(is_complete, shop, identity), seconds)
    return progress(shop, identity)


def product(shop: Platform, sku: str) -> dict[str, Any]:
    """A product as the catalog has it."""
    with shop.client() as client:
        return dict(client.get(f"/api/catalog/{sku}").raise_for_status().json())


def happened(shop: Platform) -> list[tuple[str, str]]:
    """Type and subject of the latest that happened, the latest first."""
    with shop.client() as client:
        found = client.get("/api/activity").raise_for_status().json()
    return [(each["type"], each["subject"]) for each in found]


def notified(shop: Platform, identity: str) -> list[dict[str, Any]]:
    """The notifier's lines about an order."""
    said = shop.ok("logs", "notifier", "--tail", "500")
    lines = [json.loads(line.split(" | ", 1)[1]) for line in said.splitlines() if '"notified"' in line]
    return [line for line in lines if line["order"] == identity]


def afresh(shop: Platform, sku: str) -> dict[str, Any]:
    """A product after it was taken out of the catalog's cache."""
    forgotten(shop, sku)
    return product(shop, sku)


def forgotten(shop: Platform, sku: str) -> None:
    """Takes a product out of the catalog's cache, as the catalog itself would do it."""
    script = (
        "import asyncio, sys\n"
        "from greenfield_kit.cache import Cache, Policy\n"
        "asyncio.run(Cache('cache', Policy(answer=10)).forget(sys.argv[1]))\n"
    )
    shop.ok("run", "catalog", "--", "python", "-c", script, f"product:{sku}")


def published(shop: Platform, service: str, topic: str, key: str, value: str, **headers: str) -> None:
    """Publishes a message as that service would, with its identity; a header's name is written with underscores."""
    script = (
        "import asyncio, json, sys\n"
        "from greenfield_kit.topic import Topic\n"
        "async def tell(name, key, value, headers):\n"
        "    topic = Topic(name)\n"
        "    await topic.publish(key, value.encode(), json.loads(headers))\n"
        "    await topic.close()\n"
        "asyncio.run(tell(*sys.argv[1:]))\n"
    )
    named = json.dumps({name.replace("_", "-"): text for name, text in headers.items()})
    shop.ok("run", service, "--", "python", "-c", script, topic, key, value, named)
