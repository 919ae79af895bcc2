"""How a collector judges traces that were begun: by the whole of each, once it has waited for that."""

from __future__ import annotations

from typing import Any, Final

from greenfield.model.quantity import seconds
from greenfield.programs.telemetry import TelemetrySettings

_WAIT: Final = "10s"  # from the first span of a trace to its judgement: longer than most requests take


def judges(settings: TelemetrySettings, begun: float, traces: int) -> dict[str, Any]:
    """Keeps every trace with an error, every slow one, and of the rest what makes ``sample`` of all.

    ``begun`` is the share of all that comes here, ``traces`` how many may wait. Where no more is begun than is to be
    kept there is nothing to judge: what comes besides was told because it failed or was slow.
    """
    if begun <= settings.sample:
        return {}
    share = round(settings.sample / begun * 100, 6)
    policies = [
        {"name": "errors", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}},
        {"name": "slow", "type": "latency", "latency": {"threshold_ms": seconds(settings.slow) * 1000}},
        {"name": "share", "type": "probabilistic", "probabilistic": {"sampling_percentage": share}},
    ]
    remembered = 5 * traces  # judgements, for spans that come after them
    return {
        "tail_sampling": {
            "decision_wait": _WAIT,
            "num_traces": traces,
            "decision_cache": {"sampled_cache_size": remembered, "non_sampled_cache_size": remembered},
            "policies": policies,
        }
    }
