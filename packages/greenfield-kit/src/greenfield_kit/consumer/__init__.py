"""Consuming a topic: in order for each key, side by side across keys, and with an inbox effectively once.

``consuming`` ties the rooms together: ``feed`` is the client of Kafka in its thread, ``partition`` what waits for its
turn, ``attempts`` one message until it has had its effect or lies among the dead letters, ``handler`` the service's
function with what it asks for, ``offsets`` and ``failures`` the two decisions. None of them knows a database.
"""

from greenfield_kit.consumer.consuming import Consumer
from greenfield_kit.consumer.failures import RejectedError, UndecodableError
from greenfield_kit.consumer.limits import Limits
from greenfield_kit.errors import UnavailableError
from greenfield_kit.message import Message

__all__ = ["Consumer", "Limits", "Message", "RejectedError", "UnavailableError", "UndecodableError"]
