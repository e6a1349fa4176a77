"""The examples in the docstrings of public names run as they stand."""

from __future__ import annotations

import doctest
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import nndynbench as nb

MODULES = (nb, nb.graphs, nb.centralities, nb.features, nb.signatures)


def documented() -> dict[str, Any]:
    """Every public function and class, by its name."""
    found = {}
    for module in MODULES:
        for name in module.__all__:
            value = getattr(module, name)
            if callable(value) and not isinstance(value, ModuleType) and getattr(value, "__doc__", None):
                found[f"{module.__name__}.{name}"] = value
    return found


WITH_EXAMPLES = {name: value for name, value in documented().items() if ">>>" in value.__doc__}


@pytest.mark.parametrize("name", list(WITH_EXAMPLES))
def test_an_example_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    example = doctest.DocTestParser().get_doctest(WITH_EXAMPLES[name].__doc__, {}, name, None, None)
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    outcome = runner.run(example, out=said.append)
    assert outcome.attempted > 0
    assert outcome.failed == 0, "".join(said)
