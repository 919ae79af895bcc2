"""The back room: plain Python's own web server, in front of the stores and of the price list."""

import os
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from stores import GET, PUT


class Handler(BaseHTTPRequestHandler):
    """``/price/SKU`` asks the neighbour; ``/page/STORE/KEY`` is written by PUT and read by GET."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        """A price, or a page."""
        match self.path.split("/")[1:]:
            case ["price", _]:
                with urllib.request.urlopen(os.environ["PRICE_LIST_URL"] + self.path, timeout=5) as answer:
                    self.finish_with(200, f"back-room heard: {answer.read().decode()}")
            case ["page", store, key] if store in GET:
                self.of_store(lambda: GET[store](key))
            case _:
                self.finish_with(404, "there is no such thing")

    def do_PUT(self):
        """A page, whose value is the body."""
        value = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
        match self.path.split("/")[1:]:
            case ["page", store, key] if store in PUT:
                self.of_store(lambda: PUT[store](key, value) or "kept")
            case _:
                self.finish_with(404, "there is no such thing")

    def of_store(self, act):
        """What a store answers, or its own words where it refuses."""
        try:
            answer = act()
        except Exception as exc:  # noqa: BLE001
            self.finish_with(503, f"{type(exc).__name__}: {exc}")
        else:
            self.finish_with(404 if answer is None else 200, answer or "nothing")

    def finish_with(self, status, text):
        """One answer."""
        body = text.encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Silent."""


ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
