"""The shop's page in a real browser, which trusts the platform's authority and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from support.browser import Browser, Page, browser
from support.platform import Platform, wait_for
from support.shop import published

pytestmark = pytest.mark.e2e

WIDE, NARROW = 1280, 390
GOODS = 8
CONTRAST = (Path(__file__).parent / "contrast.js").read_text()


@pytest.fixture(scope="module")
def running(shop: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all pages."""
    authority = shop.folder / ".greenfield" / "pki" / "services-ca.crt"
    with browser(tmp_path_factory.mktemp("browser"), authority) as found:
        yield found


def opened(running: Browser, shop: Platform, width: int = WIDE) -> Page:
    """The shop, with everything on the shelf."""
    page = running.page(width)
    page.go(shop.status()["urls"]["gateway"])
    wait_for("the goods", lambda: page.value("document.querySelectorAll('[data-sku]').length") == GOODS)
    return page


def complete(page: Page) -> str:
    """What the latest order says once all of its steps are done; empty before."""
    return (
        page.text(".order") if page.value("document.querySelectorAll('.order:first-child .done').length") == 3 else ""
    )


def focused(page: Page) -> str:
    """The name of what has the focus, as a screen reader says it."""
    return str(page.value("document.activeElement.ariaLabel ?? document.activeElement.textContent.trim()"))


def test_a_person_orders_and_sees_what_becomes_of_it(running: Browser, shop: Platform) -> None:
    """With the mouse; nothing on the way is an error to the browser, or worth a word to the firewall."""
    before = scored(shop)
    page = opened(running, shop)
    page.click("[data-sku=monstera] button")
    page.write("Ada Lovelace")
    page.click("#place")
    said = wait_for("all steps", partial(complete, page), 60)
    assert "Swiss cheese plant" in said
    assert "$39.00" in said
    assert "Invoice №" in said
    page.click(".stars button:nth-of-type(5)")
    wait_for("thanks", lambda: "Thank you" in page.text(".stars"))
    page.go(shop.status()["urls"]["gateway"])
    wait_for("the order to be shown again", partial(complete, page), 60)
    assert page.complaints() == []
    assert scored(shop) == before


def scored(shop: Platform) -> list[str]:
    """What the firewall wrote down."""
    said = (shop.home / "logs" / "waf-0.log").read_text(errors="replace").splitlines()
    return [line for line in said if line.startswith('{"transaction"')]


def test_the_keyboard_alone_is_enough(running: Browser, shop: Platform) -> None:
    """Skip to the plants, open, give up, open again, order; the focus is where a person expects it."""
    page = opened(running, shop, NARROW)
    page.press("Tab")
    assert focused(page) == "Skip to the plants"
    page.press("Enter")
    page.press("Tab")
    assert focused(page) == "Order Aloe vera"
    page.press("Enter")
    wait_for("the counter", lambda: page.value("document.activeElement.id") == "customer")
    page.press("Escape")
    wait_for("the counter to be closed", lambda: focused(page) == "Order Aloe vera")
    page.press("Space")
    wait_for("the counter", lambda: page.value("document.activeElement.id") == "customer")
    page.write("Grace Hopper")
    page.press("Enter")
    wait_for("the order to have the focus", lambda: page.value("document.activeElement.closest('.order') !== null"))
    wait_for("all steps", partial(complete, page), 60)
    assert "complete" in page.text("#news")


def test_what_is_refused_is_said(running: Browser, shop: Platform) -> None:
    """In the shop's own words, and the form stays."""
    page = opened(running, shop)
    page.click("[data-sku=fern] button")
    page.write("   ")
    page.press("Enter")
    wait_for("the reason", lambda: page.text("#refused"))
    assert page.value("document.querySelector('dialog').open")


@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_at_every_width_by_day_and_night(
    running: Browser, shop: Platform, width: int, scheme: str
) -> None:
    """Nothing stands beyond the edge, and all text has the contrast that WCAG asks for at level AA."""
    page = opened(running, shop, width)
    page.prefer(color_scheme=scheme)
    assert page.value("document.documentElement.scrollWidth") <= width
    assert page.value(CONTRAST) == []
    page.click("[data-sku=fern] button")
    assert page.value(CONTRAST) == []


def test_every_control_has_a_name(running: Browser, shop: Platform) -> None:
    """As the browser tells it to a screen reader."""
    page = opened(running, shop)
    page.click("[data-sku=fern] button")
    nodes = page.ask("Accessibility.getFullAXTree")["nodes"]
    controls = [
        node for node in nodes if node["role"]["value"] in ("button", "link", "textbox", "spinbutton", "dialog")
    ]
    assert {"button", "textbox", "spinbutton", "dialog"} <= {node["role"]["value"] for node in controls}
    assert [node for node in controls if not node["name"]["value"]] == []


def test_what_others_wrote_stays_text(running: Browser, shop: Platform) -> None:
    """Markup in an event is shown as it stands, and makes no element."""
    hostile = "<img src=x onerror=document.title='broken'>"
    event = {"source": "reviews", "type": hostile, "subject": "fern"}
    published(shop, "reviews", "events", "fern", json.dumps(event))
    page = opened(running, shop)
    wait_for("the event", lambda: hostile in page.text("#lately"))
    assert page.value("document.querySelectorAll('img').length") == 0
    assert "broken" not in page.value("document.title")


def test_the_policy_lets_no_other_script_run(running: Browser, shop: Platform) -> None:
    """Neither one that was put into the page, nor text that becomes markup."""
    page = opened(running, shop)
    tried = """(() => {
        const script = document.createElement("script");
        try { script.text = "window.ran = true" } catch { return "refused" }
        document.body.append(script);
        return window.ran ? "ran" : "refused" })()"""
    assert page.value(tried) == "refused"
    assert (
        page.value("(() => { try { document.body.innerHTML = '<b>'; return 'taken' } catch { return 'refused' } })()")
        == "refused"
    )
    assert page.complaints() != []


def test_a_browser_that_does_not_know_the_authority_is_warned(shop: Platform, tmp_path: Path) -> None:
    """Another authority of the same platform is not enough."""
    url = shop.status()["urls"]["gateway"]
    with browser(tmp_path, shop.folder / ".greenfield" / "pki" / "platform-ca.crt") as running:
        went = running.page(WIDE).ask("Page.navigate", url=url)
    assert went["errorText"] == "net::ERR_CERT_AUTHORITY_INVALID"
