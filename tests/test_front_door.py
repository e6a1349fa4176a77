"""The library's front door: its version, one base class for its errors, and names that are found without knowing where."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import pytest

import nndynbench as nb
from nndynbench.protocols import method_names


def error_classes() -> list[type[Exception]]:
    """Every error class that a module of the package defines for others."""
    found = []
    for module in pkgutil.walk_packages(nb.__path__, "nndynbench."):
        if ".baselines" in module.name or module.name.endswith("__main__"):
            continue
        try:
            imported = importlib.import_module(module.name)
        except ModuleNotFoundError:
            continue  # needs torch or the like, which a core install does not have
        for name, value in vars(imported).items():
            if isinstance(value, type) and issubclass(value, Exception) and not issubclass(value, Warning):
                own = value.__module__ == module.name and not name.startswith("_")
                found += [value] if own else []
    return found


def test_every_error_class_of_the_package_has_one_base() -> None:
    classes = error_classes()
    assert len(classes) > 10
    assert [one.__name__ for one in classes if not issubclass(one, nb.NndynbenchError)] == []


def test_every_error_class_is_a_built_in_error_too() -> None:
    built_in = (ValueError, LookupError, RuntimeError, OSError)
    assert [one for one in error_classes() if one is not nb.NndynbenchError and not issubclass(one, built_in)] == []


def test_the_version_is_the_installed_one() -> None:
    assert nb.__version__ == version("nndynbench")


def test_the_bundled_methods_are_a_table() -> None:
    table = nb.methods()
    assert list(table.index) == method_names()
    assert set(table.columns) == {"description", "reads", "role", "control_of", "tasks", "source"}
    assert table.loc["constant", "reads"] == ""
    assert table["tasks"].isin(["classification", "regression", "classification, regression"]).all()


def test_a_subset_exports_its_tables(digits: nb.Subset, tmp_path: Path) -> None:
    written = digits.export("networks", tmp_path / "networks.csv")
    pd.testing.assert_series_equal(
        pd.read_csv(written, index_col="network")["final_accuracy"], digits.networks["final_accuracy"]
    )


@pytest.mark.parametrize("heavy", ["pandas", "sklearn", "scipy", "torch", "matplotlib"])
def test_importing_the_package_imports_nothing_heavy(heavy: str) -> None:
    code = f"import sys, nndynbench; sys.exit({heavy!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
