"""How one service calls another, wherever they run: its patience, its limits, and when it leaves a replica alone."""

from __future__ import annotations

from typing import Final

CONNECT_S: Final = "1s"
CALL_S: Final = "60s"
"""For a whole answer."""
IDLE_S: Final = "60s"
"""How long a connection is kept that nobody uses."""
MOST_CONNECTIONS, MOST_PENDING, MOST_REQUESTS = 1024, 1024, 4096
"""Of one caller at one service."""
EJECT_AFTER: Final = 10
"""Errors in a row of one replica, after which it gets no requests for a while."""
EJECT_INTERVAL_S = EJECT_FOR_S = "5s"
EJECT_MOST: Final = 50
"""Percent of the replicas that may be without requests at a time."""
