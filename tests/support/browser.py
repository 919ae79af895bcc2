"""Chromium without a window, driven by its own DevTools protocol over a socket: no port, no driver, nothing installed.

It trusts the authority it is given as a person's browser would: in its own store of certificates.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from greenfield.model.tool import Debian, Installation, Tool
from greenfield.toolchain.chain import Toolchain, default_cache
from greenfield.toolchain.progress import Silent
from support.platform import wait_for

LIBRARIES = "usr/lib/x86_64-linux-gnu"
CHROMIUM = Tool(
    name="chromium",
    sources=(
        Debian(
            ("chromium-headless-shell", "chromium-common", "libnss3-tools", "fonts-dejavu-core"),
            {"chromium": "usr/lib/chromium/chromium-headless-shell", "certutil": "usr/bin/certutil"},
            libraries=(LIBRARIES, f"{LIBRARIES}/nss", f"{LIBRARIES}/pulseaudio"),
        ),
    ),
)
OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
    "--host-resolver-rules=MAP *.localhost 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--remote-debugging-pipe",
)  # fmt: skip
ANSWER_S = 30.0


@contextmanager
def browser(folder: Path, authority: Path) -> Iterator[Browser]:
    """A browser with an empty profile in ``folder`` that trusts ``authority``; ended with the block."""
    installed = Toolchain(default_cache(os.environ), Silent()).obtain([CHROMIUM])["chromium"]
    ours, its = socket.socketpair()
    with ours:
        with its, (folder / "chromium.log").open("wb") as log:
            process = subprocess.Popen(
                # it reads what it is asked from descriptor 3, and answers on 4
                ["/bin/bash", "-c", f'exec "$@" 3<&{its.fileno()} 4>&{its.fileno()}', "browser",
                 installed.programs["chromium"], *OPTIONS, f"--user-data-dir={folder / 'profile'}"],
                env=_home(folder, authority, installed), pass_fds=(its.fileno(),), stdout=log, stderr=log,
            )  # fmt: skip
        try:
            yield Browser(ours)
        finally:
            process.terminate()
            process.wait(ANSWER_S)


def _home(folder: Path, authority: Path, installed: Installation) -> dict[str, str]:
    """A home with that authority in its store, and the fonts that came along, whatever this machine has."""
    environment = {"HOME": str(folder), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", **installed.environment}
    store = folder / ".pki" / "nssdb"
    store.mkdir(parents=True)
    certutil = [installed.programs["certutil"], "-d", f"sql:{store}"]
    for words in (["-N", "--empty-password"], ["-A", "-n", "shop", "-t", "C,,", "-i", str(authority)]):
        subprocess.run([*certutil, *words], env=environment, check=True)
    fonts = folder / "fonts.conf"
    fonts.write_text(
        f"<fontconfig><dir>{installed.root}/usr/share/fonts</dir><cachedir>{folder}/fonts</cachedir>"
        '<match><edit name="family" mode="prepend" binding="strong"><string>DejaVu Sans</string></edit></match>'
        "</fontconfig>"
    )
    return {**environment, "FONTCONFIG_FILE": str(fonts)}


@dataclass
class Browser:
    """The browser at the other end of a socket. Messages are JSON, each ended by a zero byte."""

    socket: socket.socket
    events: list[dict[str, Any]] = field(default_factory=list)
    _asked: int = 0
    _read: bytes = b""

    def page(self, width: int, height: int = 900) -> Page:
        """A new, empty page of that size."""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        page = Page(self, self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"])
        for domain in ("Page", "Runtime", "Log"):
            page.ask(f"{domain}.enable")
        page.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        return page

    def ask(self, method: str, session: str = "", **parameters: Any) -> dict[str, Any]:
        """A command's result; what happens meanwhile is kept in ``events``."""
        self._asked += 1
        message = {"id": self._asked, "method": method, "params": parameters}
        self.socket.sendall(json.dumps(message | ({"sessionId": session} if session else {})).encode() + b"\0")
        deadline = time.monotonic() + ANSWER_S
        while (answer := self._next(deadline)).get("id") != self._asked:
            self.events.append(answer)
        assert "error" not in answer, f"{method}: {answer['error']}"
        result: dict[str, Any] = answer["result"]
        return result

    def _next(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._read:
            self.socket.settimeout(max(0.1, deadline - time.monotonic()))
            read = self.socket.recv(1 << 16)
            assert read, "the browser ended; see chromium.log in its folder"
            self._read += read
        message, self._read = self._read.split(b"\0", 1)
        found: dict[str, Any] = json.loads(message)
        return found


@dataclass(frozen=True)
class Page:
    """One page, looked at and used as a person would."""

    browser: Browser
    session: str

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """A command's result."""
        return self.browser.ask(method, self.session, **parameters)

    def go(self, url: str) -> None:
        """Opens an address, and waits until it is loaded; fails where the browser shows an error instead."""
        went = self.ask("Page.navigate", url=url)
        assert "errorText" not in went, went["errorText"]
        wait_for("the page", lambda: self.value("document.readyState") == "complete")

    def value(self, expression: str) -> Any:
        """What an expression of JavaScript is, as JSON; a promise is waited for."""
        said = self.ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in said, said["exceptionDetails"]
        return said["result"].get("value")

    def text(self, selector: str = "body") -> str:
        """What a person reads there; empty where there is nothing."""
        return str(self.value(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''"))

    def press(self, key: str, *, shift: bool = False) -> None:
        """Presses and releases a key: ``Tab``, ``Enter``, ``Escape``, ``Space``."""
        code = {"Tab": 9, "Enter": 13, "Escape": 27, "Space": 32}[key]
        typed = {"Enter": "\r", "Space": " "}.get(key, "")
        facts = {"key": " " if key == "Space" else key, "code": key, "windowsVirtualKeyCode": code}
        for kind in ("keyDown", "keyUp"):
            text = {"text": typed} if typed and kind == "keyDown" else {}
            self.ask("Input.dispatchKeyEvent", type=kind, modifiers=8 if shift else 0, **facts, **text)

    def write(self, text: str) -> None:
        """Types into what has the focus."""
        self.ask("Input.insertText", text=text)

    def click(self, selector: str) -> None:
        """Presses the mouse in the middle of an element, brought into view."""
        found = f"document.querySelector({json.dumps(selector)})"
        middle = f"""(() => {{ const element = {found}; element.scrollIntoView({{block: "center"}});
            const box = element.getBoundingClientRect();
            return [box.x + box.width / 2, box.y + box.height / 2] }})()"""
        x, y = self.value(middle)
        for kind in ("mousePressed", "mouseReleased"):
            self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def prefer(self, **features: str) -> None:
        """Media features as a person may have set them: ``color_scheme="dark"``."""
        listed = [{"name": f"prefers-{name.replace('_', '-')}", "value": value} for name, value in features.items()]
        self.ask("Emulation.setEmulatedMedia", features=listed)

    def picture(self, file: Path) -> None:
        """Writes what the whole page looks like, as PNG."""
        seen = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(seen["data"]))

    def complaints(self) -> list[str]:
        """What the browser found wrong with this page: errors of scripts, of the policy, of the network."""
        self.value("0")  # events up to now are read
        return [json.dumps(event["params"]) for event in self.browser.events if _complains(event, self.session)]


def _complains(event: dict[str, Any], session: str) -> bool:
    if event.get("sessionId") != session:
        return False
    entry = event["params"].get("entry", {})
    return event["method"] == "Runtime.exceptionThrown" or (
        event["method"] == "Log.entryAdded" and entry["level"] in ("error", "warning")
    )
