"""Generated secrets as files."""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from greenfield.errors import ClaimError
from greenfield.model.local import SecretClaim
from greenfield.targets.local import secrets

CLAIM = SecretClaim("cache.catalog", 40)


def test_a_secret_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    """URL-safe, of the length asked for, 0600 in 0700, and the same the next time."""
    folder = tmp_path / "secrets"
    secrets.fulfil(folder, [CLAIM])
    first = secrets.value(folder, "cache.catalog")
    assert re.fullmatch(r"[A-Za-z0-9_-]{40}", first)
    assert (folder / "cache.catalog").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    secrets.fulfil(folder, [CLAIM])
    assert secrets.value(folder, "cache.catalog") == first


def test_of_many_who_make_it_at_once_all_see_one(tmp_path: Path) -> None:
    """The file appears whole, by one of them."""
    folder = tmp_path / "secrets"

    def make(_: int) -> str:
        secrets.fulfil(folder, [CLAIM])
        return secrets.value(folder, "cache.catalog")

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(make, range(32)))) == 1
    assert [path.name for path in folder.iterdir()] == ["cache.catalog"]


def test_a_rotated_secret_is_another_of_a_new_version(tmp_path: Path) -> None:
    """Others stay as they are; the versions outlive the process that counted them."""
    folder, file = tmp_path / "secrets", tmp_path / "versions.json"
    other = SecretClaim("cache.billing", 40)
    secrets.fulfil(folder, [CLAIM, other])
    before = {claim.name: secrets.value(folder, claim.name) for claim in (CLAIM, other)}
    assert secrets.versions(file) == {}
    secrets.rotate(folder, file, [CLAIM])
    secrets.rotate(folder, file, [CLAIM])
    assert secrets.versions(file) == {"cache.catalog": 3}
    assert re.fullmatch(r"[A-Za-z0-9_-]{40}", secrets.value(folder, "cache.catalog"))
    assert secrets.value(folder, "cache.catalog") != before["cache.catalog"]
    assert secrets.value(folder, "cache.billing") == before["cache.billing"]
    assert file.stat().st_mode & 0o777 == 0o600


def test_damaged_versions_are_named_with_the_remedy(tmp_path: Path) -> None:
    """Not taken for none: then an older password would count for a newer one."""
    file = tmp_path / "versions.json"
    file.write_text("[1")
    with pytest.raises(ClaimError, match="are damaged") as caught:
        secrets.versions(file)
    assert f"rm {file}" in caught.value.hint


def test_an_empty_secret_is_named_with_the_remedy(tmp_path: Path) -> None:
    """What a full disk of another tool may leave."""
    secrets.fulfil(tmp_path, [CLAIM])
    (tmp_path / "cache.catalog").write_text("")
    with pytest.raises(ClaimError, match="is damaged") as caught:
        secrets.fulfil(tmp_path, [CLAIM])
    assert f"rm {tmp_path}/cache.catalog" in caught.value.hint


def test_a_missing_secret_is_an_error(tmp_path: Path) -> None:
    """Reading never makes one."""
    with pytest.raises(ClaimError, match="is missing"):
        secrets.value(tmp_path, "cache.catalog")


def test_a_secret_that_others_can_read_is_closed(tmp_path: Path) -> None:
    """A copy of the folder may have lost its modes."""
    secrets.fulfil(tmp_path, [CLAIM])
    (tmp_path / "cache.catalog").chmod(0o644)
    secrets.fulfil(tmp_path, [CLAIM])
    assert (tmp_path / "cache.catalog").stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_secret_of_somebody_else_is_refused(tmp_path: Path) -> None:
    """Whoever owns it may know it."""
    secrets.fulfil(tmp_path, [CLAIM])
    os.chown(tmp_path / "cache.catalog", 12345, -1)
    with pytest.raises(ClaimError, match="belongs to user 12345"):
        secrets.value(tmp_path, "cache.catalog")


def test_a_folder_in_the_way_of_a_file_is_an_error(tmp_path: Path) -> None:
    """The message names the path."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ClaimError, match="cannot be made"):
        secrets.fulfil(tmp_path / "file" / "secrets", [CLAIM])
