"""The program that serves an ``app:``, run by the service's own interpreter, which knows nothing of this tool."""

from __future__ import annotations

LAUNCHER = '''\
"""Serves an ASGI application on a Unix socket, in this one process, until SIGTERM; then what is under way ends."""

import asyncio
import atexit
import gc
import importlib
import logging
import os
import signal
import sys
from pathlib import Path

from granian.server.embed import Server

try:
    from uvloop import run  # asyncio's own loop lets go of the interpreter once more for each request, and waits for it
except ImportError:
    from asyncio import run

CONNECTIONS = 2048  # more than the sidecar opens (1024): one that is not accepted waits for others to be closed


async def serve(target, socket):
    module, _, attribute = target.partition(":")
    application = importlib.import_module(module)
    for step in attribute.split("."):
        application = getattr(application, step)
    gc.freeze()  # what has been imported stays: no collection needs to look at it
    gc.enable()
    server = Server(
        application,
        uds=Path(socket),
        interface="asgi",
        backlog=CONNECTIONS,
        backpressure=CONNECTIONS,
        log_level="warning",
        log_enabled=False,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, server.stop)
    await server.serve()


def leave():
    """The last of the exit functions: a thread of the server that met a dying interpreter would abort the process."""
    if ended:
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


ended = False
atexit.register(leave)
gc.disable()  # importing makes no garbage worth a collection, and collections take a sixth of it
sys.path[0] = ""
sys.stdout.reconfigure(line_buffering=True)
run(serve(sys.argv[1], sys.argv[2]))
ended = True
'''
