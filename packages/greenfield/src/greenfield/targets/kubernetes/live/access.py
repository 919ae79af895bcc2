"""Which cluster, and as whom: kubeconfig files and contexts, as kubectl takes them."""

from __future__ import annotations

import datetime as dt
import difflib
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from greenfield.errors import ArgumentError, ClusterError

if TYPE_CHECKING:
    from kubernetes_asyncio.client import Configuration

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
_MALFORMED = (yaml.YAMLError, UnicodeDecodeError, AssertionError, AttributeError, KeyError, TypeError, ValueError)


@dataclass(frozen=True)
class Access:
    """What was asked for: files as in ``KUBECONFIG``, and a context; empty for kubectl's own choice."""

    kubeconfig: str = ""
    context: str = ""

    @property
    def files(self) -> tuple[Path, ...]:
        """The kubeconfig files that are merged, in order, whether or not they are there."""
        named = self.kubeconfig or os.environ.get("KUBECONFIG", "") or "~/.kube/config"
        return tuple(Path(each).expanduser() for each in named.split(os.pathsep) if each)


@dataclass(frozen=True)
class Opened:
    """A configuration of the client, the context it came of, and its server."""

    configuration: Configuration
    context: str
    server: str

    @property
    def expired(self) -> str:
        """When the certificate of whoever asks ended, in words; empty where it did not, or there is none."""
        from cryptography import x509

        if not (file := getattr(self.configuration, "cert_file", None)):
            return ""
        try:
            ends = x509.load_pem_x509_certificate(Path(file).read_bytes()).not_valid_after_utc
        except (OSError, ValueError):
            return ""
        return f"{ends:%Y-%m-%d %H:%M} UTC" if ends < dt.datetime.now(dt.UTC) else ""


async def opened(access: Access) -> Opened:
    """The configuration for a cluster; plugins for a login are run. Changes nothing on the cluster."""
    from kubernetes_asyncio.client import Configuration

    logging.getLogger("kubernetes_asyncio").addHandler(logging.NullHandler())  # what it says comes in the error as well
    configuration = Configuration()
    if not any(file.is_file() for file in access.files):
        return _inside(access, configuration)
    return await _from_files(access, configuration)


def _inside(access: Access, configuration: Configuration) -> Opened:
    """A pod's own service account, where there is no file."""
    listed = ", ".join(map(str, access.files))
    if access.kubeconfig or access.context or not _ACCOUNT.is_file():
        raise ClusterError(
            f"There is no kubeconfig at {listed}.",
            hint="name one by --kubeconfig or KUBECONFIG; your cluster's provider tells how to get it",
        )
    from kubernetes_asyncio import config

    config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    return Opened(configuration, "this pod's service account", str(configuration.host))


async def _from_files(access: Access, configuration: Configuration) -> Opened:
    from kubernetes_asyncio.config import ConfigException
    from kubernetes_asyncio.config.kube_config import KubeConfigLoader, KubeConfigMerger

    try:
        merger = KubeConfigMerger(os.pathsep.join(map(str, access.files)))
        assert merger.config is not None
        context = _context(access, merger.config.value)
        loader = KubeConfigLoader(
            merger.config, active_context=context, config_base_path=None, config_persister=merger.save_changes
        )
        await loader.load_and_set(configuration)
    except ConfigException as exc:
        raise _unusable(access, str(exc)) from exc
    except OSError as exc:
        raise _unusable(access, f"{exc.filename}: {exc.strerror}") from exc
    except _MALFORMED as exc:
        raise _unusable(access, f"it is malformed ({type(exc).__name__}: {exc})") from exc
    _renew(loader, configuration)
    return Opened(configuration, context, str(configuration.host))


def _context(access: Access, merged: dict[str, Any]) -> str:
    known = [str(each["name"]) for each in merged["contexts"]]
    asked = access.context or merged.get("current-context") or ""
    if asked in known:
        return str(asked)
    listed = f"there is {', '.join(known)}" if known else "the kubeconfig has none"
    if not asked:
        raise ClusterError("The kubeconfig has no current context.", hint=f"name one by --context; {listed}")
    near = difflib.get_close_matches(asked, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else listed
    if access.context:
        raise ArgumentError(f"there is no context {asked!r} in the kubeconfig", hint=hint)
    raise ClusterError(f"The kubeconfig's current context {asked!r} is not in it.", hint=hint)


def _unusable(access: Access, why: str) -> ClusterError:
    listed = ", ".join(map(str, access.files))
    return ClusterError(f"The kubeconfig {listed} cannot be used: {why}.", hint="does `kubectl get namespaces` work?")


def _renew(loader: Any, configuration: Configuration) -> None:
    """A plugin's token that says when it ends is fetched anew before that."""
    if not hasattr(loader, "exec_plugin_expiry"):
        return

    async def renewed(current: Configuration) -> None:
        await loader.load_from_exec_plugin()
        current.api_key["BearerToken"] = loader.token

    configuration.refresh_api_key_hook = renewed
