"""What an Envoy says of whom it refused: to the one who asked, and in its log, a line for each."""

from __future__ import annotations

from greenfield.programs.envoy import DENIED_HEADER, TYPES, Config

REFUSED_REQUEST, REFUSED_HANDSHAKE = "mesh_denied", "handshake_denied"
"""What a line of the log calls itself."""


def requests(service: str) -> Config:
    """Options of a connection manager: refusals of the mesh, told from an application's own.

    A header and a JSON body for the caller, a line in the log.
    """
    is_403 = {
        "status_code_filter": {"comparison": {"op": "EQ", "value": {"default_value": 403, "runtime_key": "denied"}}}
    }
    body = {
        "error": REFUSED_REQUEST,
        "service": service,
        "peer": "%DOWNSTREAM_PEER_URI_SAN%",
        "why": "%RESPONSE_CODE_DETAILS%",
    }
    line = {
        **body,
        "method": "%REQ(:METHOD)%",
        "path": "%REQ(:PATH)%",
        "request_id": "%REQ(X-REQUEST-ID)%",
        "at": "%START_TIME%",  # first, since they are sorted: `logs` looks for it near the beginning
        "trace_id": "%TRACE_ID%",
    }
    return {
        "local_reply_config": {
            "mappers": [
                {
                    "filter": is_403,
                    "headers_to_add": [{"header": {"key": DENIED_HEADER, "value": "mesh"}}],
                    "body_format_override": {"json_format": body},
                }
            ]
        },
        "access_log": [_written("denials", is_403, line)],
    }


def handshakes(service: str) -> Config:
    """More of a listener: a line in the log for each connection that did not get as far as a request."""
    expression = {
        "@type": f"{TYPES}envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter",
        "expression": "connection.transport_failure_reason != ''",
    }
    failed = {"extension_filter": {"name": "failed", "typed_config": expression}}
    line = {
        "at": "%START_TIME%",
        "error": REFUSED_HANDSHAKE,
        "service": service,
        "why": "%DOWNSTREAM_TRANSPORT_FAILURE_REASON%",
    }
    return {"access_log": [_written("handshakes", failed, line)]}


def _written(name: str, which: Config, line: Config) -> Config:
    """JSON on standard output."""
    return {
        "name": name,
        "filter": which,
        "typed_config": {
            "@type": f"{TYPES}envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
            "log_format": {"json_format": line},
        },
    }
