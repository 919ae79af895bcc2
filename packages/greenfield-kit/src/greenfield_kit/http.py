"""Calling other services, through this service's own sidecar."""

from __future__ import annotations

import ssl
from typing import Any

import httpx

from greenfield_kit import deadline, telemetry
from greenfield_kit.connections import Wiring
from greenfield_kit.conventions import call, span_name
from greenfield_kit.requests import request_id

IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
RETRIES = 1  # one, and only of what may be repeated: the sidecar's and the gateway's are counted too


class CalleeError(RuntimeError):
    """The other service did not answer in time, or not at all."""


class Client:
    """Calls one service. Deadline and request id travel along; what may be repeated is tried once more."""

    def __init__(self, name: str) -> None:
        wiring = Wiring(name)
        self.name = name
        socket = wiring.get("UDS")
        # The sidecar speaks TLS for us: this context trusts nobody, and reads no authorities.
        plain = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if wiring["URL"].startswith("http://") else True
        self._client = httpx.AsyncClient(
            base_url=wiring["URL"],
            transport=httpx.AsyncHTTPTransport(
                verify=plain, uds=socket or None, limits=httpx.Limits(max_connections=50)
            ),
            trust_env=False,
        )

    async def get(self, path: str, **options: Any) -> httpx.Response:
        """GET a path."""
        return await self.request("GET", path, **options)

    async def post(self, path: str, **options: Any) -> httpx.Response:
        """POST to a path; never repeated."""
        return await self.request("POST", path, **options)

    async def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """The answer, whatever its status; CalleeError where there is none before the deadline."""
        tries = 1 + (RETRIES if method in IDEMPOTENT else 0)
        given = options.pop("headers", {})
        for attempt in range(1, tries + 1):
            seconds = deadline.left()
            headers = {deadline.HEADER: str(int(seconds * 1000)), "x-request-id": request_id.get(), **given}
            try:
                with telemetry.span(span_name(method), "client", self._asked(method, path, attempt - 1)) as span:
                    headers = telemetry.carried() | headers
                    timeout = seconds or 0.001
                    answer = await self._client.request(method, path, headers=headers, timeout=timeout, **options)
                    telemetry.answered(answer.headers)
                    if span is not None:
                        span.set_attribute("http.response.status_code", answer.status_code)
                    return answer
            except httpx.TimeoutException as exc:
                raise CalleeError(f"{self.name} did not answer within {seconds:.3f} s") from exc
            except httpx.TransportError as exc:
                if attempt == tries:
                    raise CalleeError(f"{self.name} cannot be reached: {exc}") from exc
        raise AssertionError("unreachable")

    def _asked(self, method: str, path: str, resent: int) -> dict[str, Any]:
        url = self._client.base_url
        return call(method, url.host, url.port, f"{url}".rstrip("/") + path.partition("?")[0], resent)

    async def close(self) -> None:
        """Ends its connections."""
        await self._client.aclose()
