"""Requests to an API server, and what becomes of its answers. The only place that knows the client library."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

from greenfield.errors import ClusterError
from greenfield.targets.kubernetes.live.access import Access, Opened, opened

if TYPE_CHECKING:
    from kubernetes_asyncio.client import ApiClient

APPLY: Final = "application/apply-patch+yaml"
DISCOVERY: Final = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
AT_ONCE: Final = 16  # requests
_CONNECT_S, _ANSWER_S = 10, 60
_PAUSES_S: Final = (0.3, 1.0, 3.0)  # before another attempt at what only failed for now
_PASSING: Final = frozenset({429, 502, 503, 504})


class Refusal(Exception):  # noqa: N818
    """The API server said no; ``status`` is its answer, a ``Status`` of the API wherever it is one."""

    def __init__(self, code: int, status: Mapping[str, Any]) -> None:
        super().__init__(status.get("message", f"HTTP {code}"))
        self.code = code
        self.status = status

    @property
    def message(self) -> str:
        """Its own words."""
        return str(self)

    @property
    def reason(self) -> str:
        """The machine's word for it."""
        return str(self.status.get("reason", ""))

    @property
    def details(self) -> Mapping[str, Any]:
        """The object and the causes."""
        return self.status.get("details") or {}

    @property
    def causes(self) -> tuple[Mapping[str, Any], ...]:
        """Each field that is at fault."""
        return tuple(self.details.get("causes") or ())


@dataclass(frozen=True)
class Answer:
    """A success: its code and body, and what the server warned of."""

    code: int
    body: Any
    warnings: tuple[str, ...] = ()


@dataclass
class Api:
    """A connection. At most ``AT_ONCE`` requests are under way; what failed for now is tried again."""

    client: ApiClient
    opened: Opened
    _gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    _answered: bool = False
    _ahead: dt.timedelta = dt.timedelta()

    @property
    def now(self) -> dt.datetime:
        """The time by the server's clock, as its last answer told it."""
        return dt.datetime.now(dt.UTC) + self._ahead

    async def get(self, path: str, query: Mapping[str, str] | None = None, accept: str = "application/json") -> Any:
        """The body at a path; Refusal where there is none."""
        return (await self.ask("GET", path, query=query, headers={"Accept": accept})).body

    async def apply(self, path: str, manifest: Mapping[str, Any], query: Mapping[str, str]) -> Answer:
        """Server-side apply: 201 where the object is new."""
        return await self.ask("PATCH", path, query=query, headers={"Content-Type": APPLY}, body=manifest)

    async def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
    ) -> Answer:
        """One request, all of which may be made twice without harm. Refusal, or ClusterError without an answer."""
        for pause in (*_PAUSES_S, None):
            try:
                async with self._gate:
                    return await self._once(method, path, dict(query or {}), dict(headers or {}), body)
            except Refusal as refusal:
                if pause is None or not _passes(refusal):
                    raise
            except ClusterError:
                if pause is None or method != "GET" or not self._answered:  # who never answered will not now
                    raise
            await asyncio.sleep(pause)
        raise AssertionError("the last attempt answers or raises")

    async def _once(self, method: str, path: str, query: dict[str, str], headers: dict[str, str], body: Any) -> Answer:
        import aiohttp
        from kubernetes_asyncio.config import ConfigException

        headers.setdefault("Accept", "application/json")
        try:
            response = await self.client.call_api(
                path,
                method,
                query_params=list(query.items()),
                header_params=headers,
                body=body,
                auth_settings=["BearerToken"],
                _preload_content=False,
                _request_timeout=aiohttp.ClientTimeout(sock_connect=_CONNECT_S, sock_read=_ANSWER_S),
            )
            text = await response.read()
        except ConfigException as exc:
            raise ClusterError(f"The login for context {self.opened.context} failed: {exc}.") from exc
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            raise _unreachable(self.opened, exc) from exc
        self._answered = True
        if told := response.headers.get("Date"):
            self._ahead = parsedate_to_datetime(told) - dt.datetime.now(dt.UTC)
        if response.status == 401 and self.opened.expired:
            raise _expired(self.opened)
        if response.status >= 400:
            raise Refusal(response.status, _status(text))
        try:
            found = json.loads(text or b"null")
        except ValueError as exc:
            raise unlike_kubernetes(self.opened) from exc
        return Answer(response.status, found, _warnings(response.headers.getall("Warning", ())))


@asynccontextmanager
async def connected(access: Access) -> AsyncIterator[Api]:
    """A connection to the cluster, closed at the end. Nothing is asked of it yet."""
    from kubernetes_asyncio.client import ApiClient

    found = await opened(access)
    try:
        client = ApiClient(found.configuration)
    except (OSError, ValueError) as exc:
        raise ClusterError(
            f"The certificates of context {found.context} cannot be read: {exc}.", hint="does kubectl work there?"
        ) from exc
    async with client:
        yield Api(client, found)


def _passes(refusal: Refusal) -> bool:
    """Whether another attempt may succeed: too many requests, a leader that changes, somebody who wrote in between."""
    if refusal.code == 409:
        return refusal.reason == "Conflict" and not refusal.causes
    return refusal.code in _PASSING or (refusal.code == 500 and "etcdserver" in refusal.message)


def _status(text: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {"message": text.decode(errors="replace").strip()[:500]}
    return found if isinstance(found, dict) else {"message": str(found)}


def _warnings(headers: Any) -> tuple[str, ...]:
    """``299 - "text"``: the text."""
    return tuple(str(each).partition('"')[2].removesuffix('"').replace('\\"', '"') for each in headers)


def _expired(where: Opened) -> ClusterError:
    return ClusterError(
        f"The certificate by which context {where.context} logs in ended {where.expired}.",
        hint="get a new kubeconfig from your cluster's provider (for kubeadm: kubeadm certs renew)",
    )


def unlike_kubernetes(where: Opened) -> ClusterError:
    """Something answers, and not as ``DISCOVERY`` asks, which all do since that form was declared stable in 1.30."""
    return ClusterError(
        f"The cluster at {where.server} (context {where.context}) does not answer as Kubernetes 1.30 and later do.",
        hint="is there a proxy before it that wants a login, or is it older?",
    )


def _unreachable(where: Opened, exc: Exception) -> ClusterError:
    """The same symptom has many causes; what the system said is told, and what is most often behind it."""
    if where.expired:
        return _expired(where)
    said = f"The cluster at {where.server} (context {where.context})"
    if isinstance(exc, TimeoutError):
        return ClusterError(f"{said} does not answer.", hint="is there a VPN, or a firewall, before it?")
    text = str(exc) or type(exc).__name__
    if "certificate verify failed" in text.lower():
        why = text.partition("certificate verify failed:")[2].partition("(")[0].strip().rstrip("]') ")
        return ClusterError(
            f"{said} shows a certificate that cannot be trusted: {why or text}.",
            hint="the kubeconfig may be of an earlier cluster at that address; get a new one",
        )
    return ClusterError(
        f"{said} cannot be reached: {text}.", hint="is it running, and is this the context that you mean (--context)?"
    )
