"""Extras of the package: which one brings a missing library, and how to install it."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, requires
from importlib.util import find_spec

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PACKAGE = __name__.partition(".")[0]

# Libraries whose modules have another name.
MODULES = {"pillow": "PIL", "pyyaml": "yaml", "vl-convert-python": "vl_convert"}


def modules_of(extra: str) -> list[str]:
    """The modules that an extra brings."""
    listed = [Requirement(line) for line in _requirements()]
    names = [canonicalize_name(r.name) for r in listed if r.marker is not None and r.marker.evaluate({"extra": extra})]
    return [MODULES.get(name, name.replace("-", "_")) for name in names]


def remedy(missing: str) -> str:
    """What to do about a module that cannot be imported, in one sentence."""
    module = missing.partition(".")[0]
    for extra in ("leaderboard", "generation", "cluster", "fast", "lightning", "transformers", "keras"):
        if module in modules_of(extra):
            return f"{module} is not installed; it comes with the extra {extra}: {how_to_install(extra)}"
    return f"{module} is not installed: pip install {module}"


def how_to_install(extra: str) -> str:
    """The command that installs an extra, in a clone or anywhere else."""
    return f"pip install '{PACKAGE}[{extra}]', or in a clone pip install -e '.[{extra}]'"


def _requirements() -> list[str]:
    try:
        return requires(PACKAGE) or []
    except PackageNotFoundError:  # a clone that was not installed
        return []


def is_there(module: str) -> bool:
    """Whether a module can be imported."""
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False
