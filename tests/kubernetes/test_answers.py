"""What is no API server, and answers all the same."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from greenfield.cli.main import run

DECLARED = """
apiVersion: greenfield/v1
name: small
telemetry: off
services: {web: {command: [serve], image: "example/web:1"}}
"""
KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: "http://127.0.0.1:PORT"}}]
users: [{name: u, user: {}}]
"""


class Answering(BaseHTTPRequestHandler):
    """The same answer to everything."""

    body = b""

    def do_GET(self) -> None:
        """Success, it says."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture(params=[b"<html>log in</html>", b"\xff\xfe", b"", b"[]", b'{"kind": "APIGroupList", "groups": []}'])
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    """Where something answers so: a proxy's page, what is no text, nothing, other JSON, a server before 1.30."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("So", (Answering,), {"body": request.param}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def test_what_does_not_answer_as_a_cluster_is_told(
    port: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what it may be."""
    (tmp_path / "greenfield.yaml").write_text(DECLARED)
    (tmp_path / "kubeconfig").write_text(KUBECONFIG.replace("PORT", str(port)))
    where = ["-f", str(tmp_path / "greenfield.yaml"), "--kubeconfig", str(tmp_path / "kubeconfig")]
    assert run(["diff", *where]) == 1
    assert "does not answer as Kubernetes 1.30 and later do" in capsys.readouterr().err
