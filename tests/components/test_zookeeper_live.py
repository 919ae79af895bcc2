"""A real ensemble of three: a quorum over TLS that survives the loss of a member."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path

import pytest

from components.kafka_machine import Machine, installed, plan
from greenfield.assurance.verify import prove
from greenfield.components.zookeeper import proofs
from greenfield.model.local import Process, Task
from support.platform import wait_for

pytestmark = pytest.mark.e2e


def test_three_members_agree_and_survive_the_loss_of_one(tmp_path: Path) -> None:
    """They find each other, refuse everyone else on every port, and two of them go on."""
    kafka, ensemble, *services = plan({"nodes": 3, "coordination": "zookeeper"}, [], tmp_path).resources
    whole = plan({}, [], tmp_path)
    machine = Machine(replace(whole, resources=(ensemble, *services)), tmp_path, *installed())
    processes = [node for node in machine.nodes() if isinstance(node, Process)]
    try:
        for node in machine.nodes():
            if isinstance(node, Task):
                machine.run(node)
        for process in processes:
            machine.launch(process)
        for process in processes:
            wait_for(process.name, lambda process=process: machine.ready(process), 60)  # type: ignore[misc]
        assert [check for check in prove(proofs.refusals(ensemble, machine)) if not check.ok] == []
        machine.stop(processes[0].name, signal.SIGKILL)
        wait_for("the others to go on", lambda: all(machine.ready(process) for process in processes[1:]), 30)
    finally:
        machine.down()
    assert kafka.needs == (ensemble.name,)
