"""``postgresql.conf`` for a server of one machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from greenfield.components.postgres import CONNECTIONS
from greenfield.model.binding import Leaf
from greenfield.model.quantity import TIERS
from greenfield.programs.quantities import TierName

Value = str | int | bool

# A quarter of the memory for buffers, and the planner told of three: the server's manual, "Resource Consumption" and
# "Query Planning". Of the request, because this machine runs everything else, too.
_BUFFERS_SHARE, _CACHE_SHARE = 1 / 4, 3 / 4


@dataclass(frozen=True)
class Place:
    """Where one server keeps its data and its configuration, and listens. Paths are absolute."""

    data: str
    configuration: str
    socket_folder: str
    host: str
    port: int


def sized(size: TierName) -> Mapping[str, Value]:
    """What follows from the tier, and what suits short transactions."""
    memory = TIERS[size].memory_request
    return {
        "max_connections": CONNECTIONS[size],
        "shared_buffers": f"{int(memory * _BUFFERS_SHARE)}MB",
        "effective_cache_size": f"{int(memory * _CACHE_SHARE)}MB",
        "jit": False,  # pays off in queries of seconds, and costs short ones their time
        "timezone": "UTC",
    }


def server_settings(place: Place, leaf: Leaf, size: TierName, cluster_name: str) -> Mapping[str, Value]:
    """All that differs from the server's defaults. What is committed survives any crash: ``fsync`` stays on."""
    return {
        "cluster_name": cluster_name,  # what `ps` shows
        "data_directory": place.data,
        "hba_file": f"{place.configuration}/pg_hba.conf",
        "ident_file": f"{place.configuration}/pg_ident.conf",
        "listen_addresses": place.host,
        "port": place.port,
        "unix_socket_directories": place.socket_folder,
        "unix_socket_permissions": "0700",
        "ssl": True,
        "ssl_cert_file": leaf.certificate,
        "ssl_key_file": leaf.key,
        "ssl_ca_file": leaf.ca,
        "ssl_min_protocol_version": "TLSv1.3",
        **sized(size),
        "log_line_prefix": "%m [%p] %u@%d ",
        "log_timezone": "UTC",
        "lc_messages": "C",  # `verify` reads refusals in the log
    }


def spoken(value: Value) -> str:
    """A value as the server's manual writes it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)


def rendered(settings: Mapping[str, Value]) -> str:
    """Settings as the file has them, every value quoted."""
    return "".join(f"{name} = {_quoted(value)}\n" for name, value in settings.items())


def _quoted(value: Value) -> str:
    text = spoken(value).replace("\\", "\\\\").replace("'", "''")
    return text if isinstance(value, bool) else f"'{text}'"
