"""The examples in the docstrings of public names run as written."""

from __future__ import annotations

import doctest
import re
from pathlib import Path
from types import GenericAlias, ModuleType
from typing import Any

import pytest

import nndynbench as nb

MODULES = (nb, nb.graphs, nb.centralities, nb.features, nb.signatures)


def documented() -> dict[str, Any]:
    """Every public function and class, by its name; a type alias has no docstring of its own."""
    found = {}
    for module in MODULES:
        for name in module.__all__:
            value = getattr(module, name)
            if callable(value) and not isinstance(value, ModuleType | GenericAlias):
                found[f"{module.__name__}.{name}"] = value
    return found


DOCUMENTED = documented()


@pytest.mark.parametrize("name", list(DOCUMENTED))
def test_a_public_name_has_an_example_that_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    documentation = DOCUMENTED[name].__doc__
    if re.search(r">>> (import|from) torch", documentation):
        pytest.importorskip("torch")
    example = doctest.DocTestParser().get_doctest(documentation, {}, name, None, None)
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    outcome = runner.run(example, out=said.append)
    assert outcome.attempted > 0
    assert outcome.failed == 0, "".join(said)
