"""What telemetry may be declared to be, and what it brings along."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from greenfield.components.collector import COMPONENT, Settings
from greenfield.components.jaeger import COMPONENT as JAEGER
from greenfield.components.prometheus import COMPONENT as PROMETHEUS
from greenfield.model.component import Context
from greenfield.model.plan import Resource

CONTEXT = Context("shop", "local", ("a", "b"), "/nowhere")


def planned(settings: object) -> list[Resource]:
    """The resources that a declaration becomes."""
    return list(COMPONENT.plan("collector", Settings.model_validate(settings), CONTEXT))


def test_the_collector_brings_its_stores_along() -> None:
    """Spans go to Jaeger and series to Prometheus, each kept as long as declared."""
    collector, jaeger, prometheus = planned({"retention": "48h", "collectors": "2..5"})
    assert [member.name for member in collector.members] == ["collector-0", "collector-1"]
    assert [resource.kind for resource in (collector, jaeger, prometheus)] == ["collector", "jaeger", "prometheus"]
    assert jaeger.brought_by == prometheus.brought_by == "collector"
    assert isinstance(jaeger.settings, JAEGER.settings)
    assert isinstance(prometheus.settings, PROMETHEUS.settings)
    assert jaeger.settings.model_dump() == prometheus.settings.model_dump() == {"retention": "48h"}


def test_telemetry_can_be_off() -> None:
    """``telemetry: off`` plans nothing; ``on`` is the default."""
    assert planned(False) == []
    assert [resource.settings for resource in planned(True)] == [resource.settings for resource in planned({})]


def test_only_the_collector_can_be_declared() -> None:
    """The stores have no section of their own."""
    assert COMPONENT.section == "telemetry"
    assert COMPONENT.singleton == "collector"
    assert JAEGER.section is PROMETHEUS.section is None


@pytest.mark.parametrize(
    "settings",
    [
        {"sample": 1.5},
        {"sample": "all"},
        {"sample": 0.5, "begin": 0.1},
        {"begin": 1.5},
        {"slow": "0s"},
        {"slow": "soon"},
        {"retention": "forever"},
        {"collectors": 0},
        {"collectors": "5..2"},
        {"collectors": True},
        {"backend": "zipkin"},
        "on",
    ],
    ids=str,
)
def test_what_telemetry_does_not_know_is_refused(settings: object) -> None:
    """Shares above one, texts that are no durations or ranges, and unknown keys are mistakes."""
    with pytest.raises(ValidationError):
        Settings.model_validate(settings)


def test_what_is_begun_is_what_is_kept_here_and_everything_on_a_cluster() -> None:
    """Unless the declaration says so; and the plan says what that means for errors."""
    here, whole = Settings.model_validate({"sample": 0.1}), Settings.model_validate({"sample": 0.1, "begin": 1.0})
    assert (here.begun(everything=False), here.begun(everything=True)) == (0.1, 1.0)
    assert (whole.begun(everything=False), whole.begun(everything=True)) == (1.0, 1.0)
    (collector, *_) = planned({"sample": 0.1})
    assert "services on the kit tell what fails or is slow" in collector.parity.reason
    assert planned({"sample": 0.1, "begin": 1.0})[0].parity == planned({})[0].parity
    assert "each judges what it hears" in planned({"sample": 0.1, "begin": 1.0, "collectors": 2})[0].parity.reason
