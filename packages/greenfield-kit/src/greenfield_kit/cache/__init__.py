"""Cache-aside on Redis: look in the cache; on a miss one process asks the origin and fills it, whoever else is asking.

`aside` is the cache, `lease` what Redis does for it in one step each, `channel` the way there, `circuit` when that is
left alone, `values` how values become bytes, `commit` what happens once a transaction is over. Nothing here raises
because of Redis: a cache that is away costs a bounded time, then nothing.
"""

from greenfield_kit.cache.aside import Cache, Policy

__all__ = ["Cache", "Policy"]
