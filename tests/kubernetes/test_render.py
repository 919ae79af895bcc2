"""``render`` and ``secrets``, as a person runs them."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from greenfield.cli.main import run
from support.platform import GREENFIELD

SHOP = Path(__file__).parents[2] / "examples" / "shop"


@pytest.fixture
def shop(tmp_path: Path) -> str:
    """A copy of the reference platform's declaration, with the values sealed for the demonstration."""
    shutil.copytree(SHOP, tmp_path / "shop", ignore=shutil.ignore_patterns(".greenfield", "__pycache__"))
    return str(tmp_path / "shop" / "greenfield.yaml")


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def test_the_shop_renders_as_it_is_committed(shop: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same bytes twice; what is to be installed before stands in the README, in order."""
    for folder in ("one", "two"):
        assert run(["render", "-f", shop, "--env", "prod", "-o", str(tmp_path / folder)]) == 0
    assert tree(tmp_path / "one") == tree(tmp_path / "two")
    capsys.readouterr()
    told = (tmp_path / "one" / "README.md").read_text()
    wanted = ("gateway-api", "cert-manager", "istiod", "sealed-secrets", "keda", "cloudnative-pg")
    places = [told.index(f"### {name}") for name in wanted]
    assert places == sorted(places)
    assert "helm upgrade --install cert-manager oci://" in told


def test_the_folder_and_the_stream_hold_the_same_objects(
    shop: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As files by kustomize's lists, as YAML, as JSON."""
    assert run(["render", "-f", shop, "--env", "prod", "-o", str(tmp_path / "out")]) == 0
    capsys.readouterr()
    listed = []
    for group in yaml.safe_load((tmp_path / "out" / "kustomization.yaml").read_text())["resources"]:
        names = yaml.safe_load((tmp_path / "out" / group / "kustomization.yaml").read_text())["resources"]
        listed += [yaml.safe_load((tmp_path / "out" / group / name).read_text()) for name in names]
    assert run(["render", "-f", shop, "--env", "prod", "--format", "yaml"]) == 0
    stream = list(yaml.safe_load_all(capsys.readouterr().out))
    assert run(["render", "-f", shop, "--env", "prod", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["items"] == stream
    order = [(each["kind"], each["metadata"]["name"]) for each in stream]
    assert sorted(order) == sorted((each["kind"], each["metadata"]["name"]) for each in listed)
    assert len(order) > 150


def test_an_environment_must_be_named(shop: str, capsys: pytest.CaptureFixture[str]) -> None:
    """And be there."""
    assert run(["render", "-f", shop]) == 2
    assert "--env prod" in capsys.readouterr().err
    assert run(["render", "-f", shop, "--env", "pord"]) == 2
    assert "did you mean 'prod'?" in capsys.readouterr().err


def test_what_is_not_sealed_is_named_with_the_way_out(shop: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is rendered with a secret in clear, or without one."""
    (Path(shop).parent / "secrets" / "prod.sealed.yaml").unlink()
    assert run(["render", "-f", shop, "--env", "prod"]) == 2
    told = capsys.readouterr().err
    assert "cache.catalog in " in told
    assert "greenfield secrets seal --env prod --cert CERTIFICATE" in told
    certificate = str(Path(shop).parent / "secrets" / "demonstration.crt")
    assert run(["secrets", "seal", "-f", shop, "--env", "prod", "--cert", certificate]) == 0
    assert run(["render", "-f", shop, "--env", "prod", "--format", "yaml"]) == 0


def test_secrets_are_listed_and_another_certificate_is_needed_to_seal(
    shop: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Sealing again changes nothing; what is no certificate is told as such."""
    assert run(["secrets", "list", "-f", shop, "--env", "prod", "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)["secrets"]
    assert {row["sealed"] for row in rows} == {True}
    file = Path(shop).parent / "secrets" / "prod.sealed.yaml"
    before = file.read_bytes()
    certificate = str(Path(shop).parent / "secrets" / "demonstration.crt")
    assert run(["secrets", "seal", "-f", shop, "--env", "prod", "--cert", certificate, "--format", "json"]) == 0
    assert file.read_bytes() == before
    told = json.loads(capsys.readouterr().out)
    assert (told["file"], told["values"], told["sealed_now"]) == (str(file), len(rows), 0)
    assert run(["secrets", "seal", "-f", shop, "--env", "prod", "--cert", shop]) == 2
    assert "kubeseal --fetch-cert" in capsys.readouterr().err


def test_a_platform_of_another_name_wants_its_secrets_sealed_anew(
    shop: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its namespace is another, in which the values do not open."""
    declared = Path(shop).read_text()
    Path(shop).write_text(declared.replace("name: shop", "name: market", 1))
    assert run(["render", "-f", shop, "--env", "prod"]) == 2
    assert "not sealed yet: " in capsys.readouterr().err


def test_an_empty_secret_is_refused(shop: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rather than replaced by one that nobody has seen."""
    (tmp_path / "empty").write_text("\n")
    certificate = str(Path(shop).parent / "secrets" / "demonstration.crt")
    given = ["--value", f"cache.catalog={tmp_path / 'empty'}"]
    assert run(["secrets", "seal", "-f", shop, "--env", "prod", "--cert", certificate, *given]) == 2
    assert "is empty, and cache.catalog is to be a secret" in capsys.readouterr().err


def test_a_folder_that_is_read_only_is_told_and_stays_as_it_was(shop: str, tmp_path: Path) -> None:
    """Mounted so, for the command alone; even whoever may do anything cannot write there."""
    folder = tmp_path / "out"
    render = [GREENFIELD, "render", "-f", shop, "--env", "prod", "-o", str(folder)]
    subprocess.run(render, check=True, capture_output=True)
    before = tree(folder)
    Path(shop).write_text(Path(shop).read_text().replace("nodes: 3", "nodes: 5"))
    frozen = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
    line = ["unshare", "--mount", "--map-root-user", "sh", "-c", frozen, str(folder), *render]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{folder}" in done.stderr
    assert "cannot be written: Read-only file system." in done.stderr
    assert "choose another folder with -o" in done.stderr
    assert tree(folder) == before


CROWD = """
apiVersion: greenfield/v1
name: crowd
telemetry: off
services:
  one: {command: [x], image: "example/one:1", replicas: 100, uses: {ledger: read}}
  two: {command: [x], image: "example/two:1", replicas: 100, uses: {ledger: read}}
datastores: {ledger: {kind: postgres}}
"""


@pytest.mark.parametrize("command", ["render", "diff", "deploy"])
def test_what_cannot_work_is_refused_before_a_cluster_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    """As `up` refuses it: more users of a database than it takes sessions."""
    (tmp_path / "greenfield.yaml").write_text(CROWD)
    assert run([command, "-f", str(tmp_path / "greenfield.yaml")]) == 1
    told = capsys.readouterr()
    assert "its 200 users need one each" in told.err
    assert "`greenfield plan` shows the sums" in told.err
    assert told.out == ""


def test_a_patch_that_matches_nothing_is_told_at_its_place(shop: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One that matches is applied, a dot inside a key included."""
    file = Path(shop)
    good = "{for: kubernetes, target: Service/catalog, path: 'metadata.labels.example\\.com/team', set: a, reason: b}"
    text = file.read_text()
    file.write_text(f"{text}patches:\n  - {good}\n")
    assert run(["render", "-f", shop, "--env", "prod", "--format", "json"]) == 0
    items = json.loads(capsys.readouterr().out)["items"]
    (service,) = (i for i in items if (i["kind"], i["metadata"]["name"]) == ("Service", "catalog"))
    assert service["metadata"]["labels"]["example.com/team"] == "a"
    file.write_text(f"{text}patches:\n  - {good.replace('Service/catalog', 'Service/catalogue')}\n")
    assert run(["render", "-f", shop, "--env", "prod", "--format", "yaml"]) == 2
    assert "near it are Service/catalog" in capsys.readouterr().err
