"""The places a packed subset may be, in order: ``root=``, ``NNDYNBENCH_HOME``, the package itself."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path

from nndynbench.storage.manifest import MANIFEST_NAME


class NotAtHandError(LookupError):
    """A subset, version or tier that is at none of the places; says how to get it."""


def bundled_folder() -> Path:
    """The packed subsets inside the package."""
    return Path(str(files("nndynbench").joinpath("bundled")))


def places(root: str | Path | None = None) -> list[Path]:
    """Folders that may hold ``<subset>/<version>/``; with ``root``, that one alone."""
    if root is not None:
        return [Path(root)]
    home = os.environ.get("NNDYNBENCH_HOME")
    return [*([Path(home)] if home else []), bundled_folder()]


def versions_at(place: Path, subset: str) -> list[str]:
    """Versions of a subset at one place, lowest first."""
    found = [manifest.parent.name for manifest in (place / subset).glob(f"*/{MANIFEST_NAME}")]
    return sorted(found, key=_version_key)


def find(subset: str, *, version: str | None = None, root: str | Path | None = None) -> Path:
    """The folder of a packed subset: the first place that has it, there the highest version or the asked one.

    Raises
    ------
    NotAtHandError
        Naming the places looked at, the versions they have, and the command that regenerates the subset.
    """
    looked = places(root)
    for place in looked:
        found = versions_at(place, subset)
        if found and version is None:
            return place / subset / found[-1]
        if version in found:
            return place / subset / str(version)
    at_hand = {v for place in looked for v in versions_at(place, subset)}
    wanted = f"{subset} {version}" if version else subset
    versions = f" (versions there: {', '.join(sorted(at_hand, key=_version_key))})" if at_hand else ""
    raise NotAtHandError(
        f"{wanted} is not in {', '.join(map(str, looked))}{versions}; "
        f"regenerate it from a clone: python -m generation train {subset} --out DIR, then load it with root=DIR"
    )


def _version_key(version: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdigit() else -1 for part in version.split("."))
