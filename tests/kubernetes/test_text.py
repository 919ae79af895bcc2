"""Manifests as YAML: whatever they hold comes back from a reader, and looks as a person would write it."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from greenfield.targets.kubernetes.text import document, documents

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
TREES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=20)
AWKWARD = (
    "yes", "Off", "null", "~", "1", "1e3", "0o7", "1_000", "1:30", "", " lead", "trail ", "a: b", "- a", "#a", "a #b",
    "\n", "a\n", "a\nb", "a\n\nb\n", "a\n\n", " a\nb", "\ta\nb", "a \nb", "=", "<<", "2026-11-24",
    "é\u2028\n", "0x1f", ".5", "𐀀", "a\n𐀀",
    "@a", "`a`", "%a", "!a", "&a", "*a", "{a}", "[a]", "a,b", "'", '"', "\\", "|", ">", "\x85", "\ufeff", "\x00", "-",
    "?",
)  # fmt: skip


@given(st.dictionaries(TEXTS, TREES))
def test_whatever_is_written_is_read_again(tree: dict[str, Any]) -> None:
    """By a reader of YAML 1.1, which takes more words for something else than one of 1.2."""
    assert yaml.safe_load(document(tree)) == tree


@pytest.mark.parametrize("text", AWKWARD)
def test_awkward_texts_come_back(text: str) -> None:
    """As a value, as a key, and in a list."""
    tree = {"a": text, text: ["x", text, {text: text}]}
    assert yaml.safe_load(document(tree)) == tree


def test_it_looks_as_a_person_would_write_it() -> None:
    """Block style, nothing quoted that need not be, a script as a block."""
    manifest = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "a", "labels": {}, "finalizers": []},
        "data": {"run.sh": "set -e\n\nexec true\n", "number": "1"},
        "list": [{"name": "x", "ports": [80, 443]}, ["a"], "b"],
    }
    assert document(manifest) == (
        "apiVersion: v1\n"
        "kind: ConfigMap\n"
        "metadata:\n  name: a\n  labels: {}\n  finalizers: []\n"
        "data:\n  run.sh: |\n    set -e\n\n    exec true\n"
        '  number: "1"\n'
        "list:\n- name: x\n  ports:\n  - 80\n  - 443\n-\n  - a\n- b\n"
    )


def test_several_are_one_stream() -> None:
    """Each a document of its own."""
    assert list(yaml.safe_load_all(documents([{"a": 1}, {"b": 2}]))) == [{"a": 1}, {"b": 2}]


def test_what_no_manifest_is_made_of_is_refused() -> None:
    """Rather than written as something else."""
    with pytest.raises(TypeError, match="cannot stand in a manifest"):
        document({"a": {1, 2}})
