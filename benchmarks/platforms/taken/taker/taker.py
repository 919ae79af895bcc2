"""A service that does nothing."""

from greenfield_kit.app import Service

app = Service("taker").app()
