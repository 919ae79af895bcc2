"""Public scanners of manifests: each answers what it finds as (tool, check, ``Kind/name``)."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from greenfield.toolchain.chain import default_cache
from support.kubernetes_tools import KUBE_SCORE, KUBESEC, built

REQUIREMENTS = Path(__file__).parent / "checkov-requirements.txt"
_BAD_GRADE = 7  # of kube-score: 10 is all well, 7 almost; 5 a warning, 1 critical


class Finding(NamedTuple):
    """Something that a tool finds wrong with an object."""

    tool: str
    check: str
    object: str


def checkov(folder: Path) -> set[Finding]:
    """What checkov finds in the manifests below a folder."""
    line = [str(_checkov() / "bin" / "python"), "-m", "checkov.main", "--directory", str(folder)]
    options = ["--framework", "kubernetes", "--skip-download", "--quiet", "--compact", "--output", "json"]
    done = subprocess.run([*line, *options], capture_output=True, text=True, check=False, cwd=folder)
    report: Any = json.loads(done.stdout)
    assert not report["summary"]["parsing_errors"], report["results"]["parsing_errors"]
    assert report["summary"]["passed"], done.stderr
    return {Finding("checkov", each["check_id"], _named(each)) for each in report["results"]["failed_checks"]}


def _named(failed: Any) -> str:
    """``Kind/name`` of ``Kind.namespace.name``, where the name may have dots."""
    kind, _, name = failed["resource"].split(".", 2)
    return f"{kind}/{name}"


def kube_score(files: list[Path]) -> Iterator[Finding]:
    """What kube-score finds in manifests that belong together."""
    program = built(KUBE_SCORE)[KUBE_SCORE.name].programs["kube-score"]
    line = [program, "score", "--output-format", "json", *map(str, files)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    for found in json.loads(done.stdout):
        name = f"{found['type_meta']['kind']}/{found['object_meta']['name']}"
        for check in found["checks"]:
            if not check["skipped"] and check["grade"] < _BAD_GRADE:
                yield Finding("kube-score", check["check"]["id"], name)


def kubesec(folder: Path, manifests: list[Any]) -> Iterator[Finding]:
    """What kubesec finds in the pods of manifests, or misses in them. A Job, which it does not know, is shown as a Pod.

    Its schemas, which it would fetch, are not asked: every manifest has met better ones.
    """
    running = [each for each in manifests if each["kind"] in ("Deployment", "StatefulSet", "Job", "Pod")]
    anything, file = folder / "anything.json", folder / "kubesec.yaml"
    anything.write_text("{}")
    file.write_text(yaml.dump_all(map(_known_to_kubesec, running), Dumper=yaml.CSafeDumper))
    program = built(KUBESEC)[KUBESEC.name].programs["kubesec"]
    line = [program, "scan", "--exit-code", "0", "--schema-location", str(anything), str(file)]
    reports = json.loads(subprocess.run(line, capture_output=True, text=True, check=True).stdout) if running else []
    for each, report in zip(running, reports, strict=True):
        assert report["valid"], report["message"]
        for found in (*report["scoring"].get("critical", ()), *report["scoring"].get("advise", ())):
            yield Finding("kubesec", found["id"], f"{each['kind']}/{each['metadata']['name']}")


def _known_to_kubesec(manifest: Any) -> Any:
    if manifest["kind"] != "Job":
        return manifest
    template = manifest["spec"]["template"]
    metadata = {**manifest["metadata"], **template.get("metadata", {})}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def _checkov() -> Path:
    """A folder with checkov in the user's cache; made where it is missing."""
    digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]
    place = default_cache(os.environ) / f"checkov-{digest}"
    if place.is_dir():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    uv = str(Path(sys.executable).parent / "uv")
    with tempfile.TemporaryDirectory(prefix="checkov.", dir=place.parent) as folder:
        made = Path(folder) / "made"
        subprocess.run([uv, "venv", "--quiet", "--relocatable", "--python", sys.executable, str(made)], check=True)
        python = ["--python", str(made / "bin" / "python")]
        subprocess.run(
            [uv, "pip", "install", "--quiet", *python, "--require-hashes", "-r", str(REQUIREMENTS)], check=True
        )
        try:
            made.rename(place)
        except OSError:  # another run was quicker
            shutil.rmtree(made)
    return place


def written(folder: Path, manifests: list[Any]) -> list[Path]:
    """One file for each manifest."""
    folder.mkdir()
    paths = []
    for number, each in enumerate(manifests):
        paths.append(folder / f"{number:03}.yaml")
        paths[-1].write_text(yaml.dump(each, Dumper=yaml.CSafeDumper))
    return paths
