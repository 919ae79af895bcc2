"""Dead letters: what a consumer could not handle, kept for it in a topic of its own, until it is put right.

A letter is the message as it came, and why it died. Its key is where the message stood, so that one that is written
twice is one; a null in its place ends it. ``python -m greenfield_kit.dead_letters`` lists and replays them.
"""

from greenfield_kit.dead_letters.letter import Letter
from greenfield_kit.dead_letters.shelf import DeadLetterError, DeadLetters

__all__ = ["DeadLetterError", "DeadLetters", "Letter"]
