"""The checks of Trivy, among which are those of the hardening guidance of NSA and CISA, as OPA evaluates them."""

from __future__ import annotations

import functools
import json
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from support.kubernetes_tools import TRIVY_CHECKS, TRIVY_OPA, built
from support.scanners import Finding

GUIDANCE = "pkg/compliance/k8s-nsa-1.0.yaml"
_CHECKS = "checks/kubernetes"
_SOURCES = (_CHECKS, "lib/kubernetes", "lib/cloud")
_RENUMBERED = {"AVD-KSV-0029": "AVD-KSV-0116"}
"""A check that the guidance still names by the number that it had."""
_QUERY = """
package scan

import rego.v1

found contains [check, number, result.msg] if {
	some number, object in data.scanned
	some check, _ in data.builtin.kubernetes
	some result in data.builtin.kubernetes[check].deny with input as object
}
"""


@dataclass(frozen=True)
class Check:
    """Its number in the vendor's list, by which the guidance names it, and the kinds that it is made for; none: any."""

    number: str
    kinds: frozenset[str]


def trivy(folder: Path, manifests: list[Any]) -> Iterator[Finding]:
    """What the checks deny of manifests, each as far as it says that it is made for their kind.

    Kinds that Kubernetes does not have itself are none of theirs.
    """
    manifests = [each for each in manifests if _is_built_in(each)]
    query, scanned = folder / "query.rego", folder / "scanned.json"
    query.write_text(_QUERY)
    scanned.write_text(json.dumps({"scanned": manifests}))
    rules = [word for each in _SOURCES for word in ("--data", str(_root() / each))]
    answer = _opa(
        "eval", "--format=json", "--ignore=*_test.rego", "--ignore=*.yaml", "--ignore=*.md", *rules,
        f"--data={query}", f"--data={scanned}", "data.scan.found",
    )  # fmt: skip
    (found,) = (each["expressions"][0]["value"] for each in answer["result"])
    known = checks()
    for check, number, _ in found:
        kind, name = manifests[number]["kind"], manifests[number]["metadata"]["name"]
        if not known[check].kinds or kind.lower() in known[check].kinds:
            yield Finding("trivy", check, f"{kind}/{name}")


def _is_built_in(manifest: Any) -> bool:
    group = manifest["apiVersion"].rpartition("/")[0]
    return "." not in group or group.endswith(".k8s.io")


@functools.cache
def checks() -> Mapping[str, Check]:
    """Each check by the name of its package."""
    answer = _opa("inspect", "--annotations", "--format=json", str(_root() / _CHECKS))
    found: dict[str, Check] = {}
    for each in answer["annotations"]:
        custom = each["annotations"].get("custom", {})
        if each["annotations"]["scope"] == "package" and "avd_id" in custom:
            selectors = custom.get("input", {}).get("selector", ())
            kinds = frozenset(kind["kind"].lower() for one in selectors for kind in one.get("subtypes", ()))
            found[each["path"][-1]["value"]] = Check(custom["avd_id"], kinds)
    return found


def guidance() -> set[str]:
    """The numbers of checks that the guidance names, of those that look at manifests and not at a control plane."""
    spec = yaml.safe_load((_root() / GUIDANCE).read_text())["spec"]
    listed = {check["id"] for control in spec["controls"] for check in control["checks"] or ()}
    return {_RENUMBERED.get(each, each) for each in listed if each.startswith("AVD-KSV-")}


def _root() -> Path:
    return Path(built(TRIVY_CHECKS)[TRIVY_CHECKS.name].root)


def _opa(*arguments: str) -> Any:
    program = built(TRIVY_OPA)[TRIVY_OPA.name].programs["opa"]
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)
