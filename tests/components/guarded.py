"""A platform with a firewall before one service that answers what it got, and how it is asked."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from support.platform import Platform, running

HOST = "guarded.localhost"
ECHO = '''
import json

async def app(scope, receive, send):
    """Answers what it got."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    body = b""
    while (message := await receive()).get("more_body"):
        body += message["body"]
    body += message.get("body", b"")
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    told = {"method": scope["method"], "headers": headers, "body": body.decode(errors="replace")}
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(told).encode()})
'''
DECLARED: dict[str, Any] = {
    "apiVersion": "greenfield/v1",
    "name": "guarded",
    "telemetry": "off",
    "gateway": {"host": HOST, "waf": "on", "routes": {"/": "echo"}},
    "services": {"echo": {"app": "echo:app"}},
}
LOG = "waf-0.log"


def declared(waf: Any) -> str:
    """The declaration, with these settings of the firewall."""
    return json.dumps({**DECLARED, "gateway": {**DECLARED["gateway"], "waf": waf}})


@contextmanager
def behind_firewall(folder: Path, waf: Any = "on") -> Iterator[Platform]:
    """The platform, running in a folder that is made for it; nothing of it is left in the end."""
    folder.mkdir(mode=0o700)
    (folder / "echo.py").write_text(ECHO)
    (folder / "greenfield.yaml").write_text(declared(waf))
    with running(Platform(folder), 300) as platform:
        yield platform


def port(platform: Platform) -> int:
    """The one that people type."""
    return int(urlsplit(platform.status()["urls"]["gateway"]).port or 0)


def trust(platform: Platform) -> ssl.SSLContext:
    """What a browser believes of this platform."""
    return ssl.create_default_context(cafile=str(platform.home / "pki" / "services-ca.crt"))


def ask(platform: Platform, method: str, path: str = "/", **more: Any) -> httpx.Response:
    """What a browser would be answered, the certificate checked against the name in the URL."""
    headers = {"host": HOST, **more.pop("headers", {})}
    url = f"https://127.0.0.1:{port(platform)}"
    with httpx.Client(base_url=url, verify=trust(platform), timeout=10.0) as client:
        return client.request(method, path, headers=headers, extensions={"sni_hostname": HOST}, **more)


def written(platform: Platform) -> Iterator[dict[str, Any]]:
    """What the firewall wrote down, one transaction after the other."""
    said = (platform.home / "logs" / LOG).read_text(errors="replace")
    for line in said.splitlines(keepends=True):
        if line.startswith('{"transaction"') and line.endswith("\n"):
            yield json.loads(line)["transaction"]


def about(platform: Platform, identity: str) -> list[dict[str, Any]]:
    """What the firewall wrote down about a request, by the id that the answer had."""
    return [each for each in written(platform) if each["unique_id"] == identity]
