"""One deploy of a platform at a time: a Lease in its namespace, held and renewed by whoever deploys.

A holder that was killed renews it no more, and whoever comes next takes it over when its duration has passed. All times
are the API server's own, so that clocks which differ do no harm.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import getpass
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from greenfield.errors import ClusterError
from greenfield.targets.kubernetes.live.api import Api, Refusal
from greenfield.targets.kubernetes.objects import MANAGER

NAME: Final = "greenfield.deploy"
DURATION_S: Final = 10
RENEW_S: Final = 2.0
_LOOK_S: Final = 0.5
_GONE, _CHANGED = 404, 409
_TIME: Final = "%Y-%m-%dT%H:%M:%S.%fZ"


@asynccontextmanager
async def held(api: Api, namespace: str, wait: Callable[[str], object]) -> AsyncIterator[None]:
    """The right to deploy, as long as the context lasts; ``wait`` is told whom it first has to wait for.

    ClusterError where another deploy is under way, also later, where this one lost its right to another.
    """
    lease = _Lease(api, namespace, _myself())
    await lease.take(wait)
    task = asyncio.current_task()
    renewal = asyncio.create_task(lease.keep(task))
    try:
        yield
    except asyncio.CancelledError:
        if lease.lost is None or task is None:
            raise
        task.uncancel()
        raise lease.lost from None
    finally:
        renewal.cancel()
        with suppress(asyncio.CancelledError):
            await renewal
        if lease.lost is None:
            with suppress(Refusal, ClusterError):  # it ends by itself
                await lease.release()


async def read(api: Api, namespace: str) -> Any:
    """The Lease as it is; None where there is none. Refusal where it may not be read."""
    try:
        return {"spec": {}, **await api.get(_path(namespace, NAME))}
    except Refusal as refusal:
        if refusal.code == _GONE:
            return None
        raise


def _path(namespace: str, name: str = "") -> str:
    return f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases{f'/{name}' if name else ''}"


def _myself() -> str:
    """Who deploys, for people, and a word that no other process has."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container may run as a number without a name
        user = f"user {os.getuid()}"
    return f"{user} on {socket.gethostname()}, process {os.getpid()} ({secrets.token_hex(4)})"


@dataclass
class _Lease:
    """``lost`` is why it is ours no more."""

    api: Api
    namespace: str
    holder: str
    lost: ClusterError | None = None
    _version: str = ""
    _since: str = ""

    async def take(self, wait: Callable[[str], object]) -> None:
        """Ours from here on. Whoever holds it, and renews it meanwhile, is told in a ClusterError."""
        seen = ""
        while not await self._taken():
            found = await read(self.api, self.namespace)
            spec = found["spec"] if found else {}
            if not spec.get("holderIdentity"):
                continue
            if seen and seen != spec["renewTime"]:
                raise _busy(self.namespace, spec)
            if not seen:
                wait(str(spec["holderIdentity"]))
            seen = str(spec["renewTime"])
            await asyncio.sleep(_LOOK_S)

    async def keep(self, user: asyncio.Task[Any] | None) -> None:
        """Renews it, until that cannot be: then its user is cancelled."""
        renewed = time.monotonic()
        while time.monotonic() - renewed <= DURATION_S:
            await asyncio.sleep(RENEW_S)
            with suppress(ClusterError, Refusal):  # no good answer, this time
                if await self._taken():
                    renewed = time.monotonic()
                elif (await self._spec()).get("holderIdentity") not in (None, self.holder):
                    break
        self.lost = _busy(self.namespace, await self._spec())
        if user is not None:
            user.cancel()

    async def _spec(self) -> Mapping[str, Any]:
        """What stands in it; nothing where it cannot be read."""
        with suppress(ClusterError, Refusal):
            if found := await read(self.api, self.namespace):
                return dict(found["spec"])
        return {}

    async def release(self) -> None:
        """Whoever comes next need not wait."""
        await self._write({"holderIdentity": None}, self._version)

    async def _taken(self) -> bool:
        """Whether it is ours now: because it was already, or nobody's, or its duration has passed."""
        found = await read(self.api, self.namespace)
        if found is None:
            return await self._wrote("")
        mine = found["spec"].get("holderIdentity") == self.holder
        free = mine or _is_free(found["spec"], self.api.now)
        return free and await self._wrote(str(found["metadata"]["resourceVersion"]))

    async def _wrote(self, version: str) -> bool:
        """Whether nobody wrote in between; an empty ``version`` stands for a Lease that is not there."""
        now = self.api.now.strftime(_TIME)
        since = self._since or now
        spec = {"holderIdentity": self.holder, "acquireTime": since, "renewTime": now}
        try:
            await self._write({**spec, "leaseDurationSeconds": DURATION_S}, version)
        except Refusal as refusal:
            if refusal.code == _CHANGED:
                return False
            raise
        self._since = since
        return True

    async def _write(self, spec: Mapping[str, Any], version: str) -> None:
        query = {"fieldManager": MANAGER}
        if version:
            patch = {"metadata": {"resourceVersion": version}, "spec": spec}
            kind = {"Content-Type": "application/merge-patch+json"}
            answer = await self.api.ask("PATCH", _path(self.namespace, NAME), query=query, headers=kind, body=patch)
        else:
            lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": NAME}, "spec": spec}
            answer = await self.api.ask("POST", _path(self.namespace), query=query, body=lease)
        self._version = str(answer.body["metadata"]["resourceVersion"])


def _is_free(spec: Mapping[str, Any], now: dt.datetime) -> bool:
    if not (spec.get("holderIdentity") and spec.get("renewTime")):
        return True
    renewed = dt.datetime.strptime(spec["renewTime"], _TIME).replace(tzinfo=dt.UTC)
    return now - renewed > dt.timedelta(seconds=spec.get("leaseDurationSeconds", DURATION_S))


def _busy(namespace: str, spec: Mapping[str, Any]) -> ClusterError:
    if not spec.get("holderIdentity"):
        return ClusterError(
            f"The Lease {NAME} in {namespace} could not be renewed for {DURATION_S} s.",
            hint="somebody else may deploy by now; look, and deploy again: what is done stays done",
        )
    since = f" since {spec['acquireTime'].partition('.')[0]}Z" if spec.get("acquireTime") else ""
    return ClusterError(
        f"{namespace} is being deployed by {spec['holderIdentity']}{since}.",
        hint=f"wait for that to end, and deploy again; what was killed is out of the way after {DURATION_S} s",
    )
