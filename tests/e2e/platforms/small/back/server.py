"""A plain program that listens on $PORT and leaves children of every kind behind."""

import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    """Answers with its pid."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        """Any path."""
        body = f"back {os.getpid()}".encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Silent."""


def daemonize():
    """A child that forks twice and starts its own session, as daemons do."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execvp("sleep", ["sleep", "3600"])
        os._exit(0)
    os.wait()


subprocess.Popen(["sleep", "3601"])
subprocess.Popen(["sleep", "3602"], start_new_session=True)
daemonize()
sys.stdout.flush()
ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
