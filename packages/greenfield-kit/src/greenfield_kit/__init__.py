"""What a service imports. It knows nothing of the tool; every part works alone, in any ASGI app or script."""
