"""``my.cnf`` for a server of one machine, and what it runs before it lets anybody in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from greenfield.components.mysql import CONNECTIONS
from greenfield.components.mysql.accounts import ADMINISTRATOR, account, quoted
from greenfield.model.binding import Leaf
from greenfield.model.quantity import TIERS
from greenfield.programs.quantities import TierName

Value = str | int

COLLATION = "utf8mb4_unicode_ci"
_BUFFERS_SHARE = 1 / 4  # of the tier's memory; the server takes it from the system only as it fills


@dataclass(frozen=True)
class Place:
    """Where a server keeps its data and its configuration, and listens. Paths are absolute.

    ``share`` holds its messages, ``plugins`` what it may load, ``errors`` is the log of errors of SQL.
    """

    data: str
    configuration: str
    socket: str
    host: str
    port: int
    share: str
    plugins: str
    errors: str


def errors(member: str) -> str:
    """The name of a member's log of errors of SQL, among those of processes: a log of its own, short, that it turns."""
    return f"{member}-errors"


_ERRORS_BYTES, _ERRORS_KEPT = 8 << 20, 1  # the probe writes a line each time, which is 8 MiB in four days


def behaviour(size: TierName) -> Mapping[str, Value]:
    """What a server does alike on this machine and on a cluster. What is committed survives any crash."""
    return {
        "skip_name_resolve": "ON",
        "local_infile": "OFF",
        "character_set_server": "utf8mb4",
        "collation_server": COLLATION,
        "sql_mode": "STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO,NO_ZERO_DATE,NO_ZERO_IN_DATE",
        "max_connections": CONNECTIONS[size],
        "max_connect_errors": 4_294_967_295,  # a probe that hangs up is nobody's attack
        "innodb_buffer_pool_size": f"{int(TIERS[size].memory_request * _BUFFERS_SHARE)}M",
        "innodb_flush_log_at_trx_commit": 1,
    }


def server_settings(place: Place, leaf: Leaf, size: TierName) -> Mapping[str, Value]:
    """All that differs from the server's defaults."""
    return {
        "datadir": place.data,
        "tmpdir": place.configuration,  # in a shared one, servers of one number in their own namespaces meet
        "lc_messages_dir": place.share,
        "character_sets_dir": f"{place.share}/charsets",
        "socket": place.socket,
        "pid_file": f"{place.configuration}/mariadbd.pid",
        "init_file": f"{place.configuration}/first.sql",
        "bind_address": place.host,
        "port": place.port,
        "ssl_ca": leaf.ca,
        "ssl_cert": leaf.certificate,
        "ssl_key": leaf.key,
        "tls_version": "TLSv1.2,TLSv1.3",
        "require_secure_transport": "ON",
        **behaviour(size),
        "log_warnings": 1,
        "plugin_dir": place.plugins,
        "plugin_load_add": "sql_errlog",
        "sql_error_log_filename": place.errors,
        "sql_error_log_warnings": "OFF",
        "sql_error_log_size_limit": _ERRORS_BYTES,
        "sql_error_log_rotations": _ERRORS_KEPT,
        "innodb_log_file_size": "48M",
        "innodb_log_buffer_size": "4M",
        "aria_pagecache_buffer_size": "8M",
        "key_buffer_size": "1M",
        "performance_schema": "OFF",
    }


def rendered(settings: Mapping[str, Value]) -> str:
    """An option file. Values stand in quotes, with a backslash before what means something there."""
    lines = (f'{key} = "{_escaped(str(value))}"\n' for key, value in settings.items())
    return "[mariadbd]\n" + "".join(lines)


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')


def first_statements(administrator: str) -> str:
    """The one account that is not a service's: the platform's own, by a certificate of that subject."""
    name = account(ADMINISTRATOR)
    return (
        f"CREATE USER IF NOT EXISTS {name} REQUIRE SUBJECT {quoted(administrator)};\n"
        f"ALTER USER {name} REQUIRE SUBJECT {quoted(administrator)};\n"
        f"GRANT ALL PRIVILEGES ON *.* TO {name} WITH GRANT OPTION;\n"
    )
