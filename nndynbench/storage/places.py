"""The places where a packed subset may be, in order: ``root=``, ``NNDYNBENCH_HOME``, the package, ``data/`` of a clone,
downloads.

All have one layout, ``<subset>/<version>/subset.json``. Downloads go to the home folder: ``NNDYNBENCH_HOME``, or else the
user's cache folder.
"""

from __future__ import annotations

import os
from functools import cache
from importlib.resources import files
from pathlib import Path

import platformdirs

from nndynbench.errors import NndynbenchError
from nndynbench.storage.files import user_path
from nndynbench.storage.manifest import MANIFEST_NAME
from nndynbench.storage.versions import is_version, version_numbers

# The environment variables that decide, on one system or another, where a user's cache is.
DECIDING = ("HOME", "XDG_CACHE_HOME", "USERPROFILE", "LOCALAPPDATA")


class NotAtHandError(NndynbenchError, LookupError):
    """A subset, version or tier that is in none of the places; says how to get it."""


def default_home() -> Path:
    """The home folder if ``NNDYNBENCH_HOME`` is not set: ``~/.cache/nndynbench``, or what the system has instead."""
    return _cache_folder(*(os.environ.get(variable) for variable in DECIDING))


@cache
def _cache_folder(*variables: str | None) -> Path:
    """The user's cache folder, which is slow to find and needed for every kept value. It depends on ``variables`` alone."""
    return Path(platformdirs.user_cache_dir("nndynbench", appauthor=False))


def home() -> Path:
    """The folder that downloads go to. Nothing here creates it."""
    return user_path(named) if (named := os.environ.get("NNDYNBENCH_HOME")) else default_home()


def memory_folders() -> list[Path]:
    """Folders for what processes remember for each other: the home folder, then the default one. The first that can be
    written is used.
    """
    return list(dict.fromkeys((home(), default_home())))


def is_offline(offline: bool | None = None) -> bool:
    """Whether the hub may not be asked, as the argument says, else ``NNDYNBENCH_OFFLINE`` (1, true, yes, on)."""
    if offline is not None:
        return offline
    return os.environ.get("NNDYNBENCH_OFFLINE", "").strip().lower() in {"1", "true", "yes", "on"}


def bundled_folder() -> Path:
    """The packed subsets inside the package."""
    return Path(str(files("nndynbench").joinpath("bundled")))


def clone_folder() -> Path | None:
    """The folder ``data/`` of a clone, for packs that are too large for the package; None outside a clone."""
    clone = bundled_folder().parents[1]
    return clone / "data" if (clone / "pyproject.toml").is_file() and (clone / "data").is_dir() else None


def places(root: str | Path | None = None) -> list[Path]:
    """Folders that may hold ``<subset>/<version>/``; with ``root``, only that."""
    if root is not None:
        return [user_path(root)]
    own = [bundled_folder(), *([beside] if (beside := clone_folder()) is not None else [])]
    return [home(), *own] if os.environ.get("NNDYNBENCH_HOME") else [*own, home()]


def root_meant(subset: str, root: str | Path) -> Path | None:
    """The root that was meant, where ``root`` is a subset's own folder or that of one of its versions; else None."""
    if versions_at(user_path(root), subset):
        return None
    place = user_path(root).absolute()
    above = place.parent if place.name == subset else place.parent.parent
    return above if place.is_relative_to(above / subset) and versions_at(above, subset) else None


def versions_at(place: Path, subset: str) -> list[str]:
    """Versions of a subset at one place, lowest first; none if this user may not look there. A folder with any other name
    (``1.0.0.bak``) is no version.
    """
    try:
        with os.scandir(place / subset) as entries:
            named = [entry.name for entry in entries if is_version(entry.name)]
    except OSError:  # it is not there, or may not be entered: a home folder in a container, or under sudo
        return []
    return sorted((name for name in named if _is_file(place / subset / name / MANIFEST_NAME)), key=version_numbers)


def find(subset: str, *, version: str | None = None, root: str | Path | None = None) -> list[Path]:
    """The folders that hold one version of a subset, in the order of the places; none if no place has it.

    Without ``version``, it is the highest one at the first place that has any.
    """
    looked = places(root)
    if version is None:
        version = next((found[-1] for place in looked if (found := versions_at(place, subset))), None)
    return [place / subset / version for place in looked if version is not None and version in versions_at(place, subset)]


def not_at_hand(subset: str, *, version: str | None, root: str | Path | None, why: str = "") -> NotAtHandError:
    """The error for a subset that no place has: the places looked at, their versions, and what to do."""
    looked = places(root)
    at_hand = sorted({found for place in looked for found in versions_at(place, subset)}, key=version_numbers)
    wanted = f"{subset} {version}" if version else subset
    versions = f" (versions there: {', '.join(at_hand)})" if at_hand else ""
    return NotAtHandError(
        f"{wanted} is not in {', '.join(map(str, looked))}{versions}{f', and {why}' if why else ''}; {to_regenerate(subset)}"
    )


def to_download(subset: str, version: str, tier: str) -> str:
    """The command that downloads a tier of a version."""
    return f"nndynbench download {subset} --tier {tier} --version {version}"


def to_regenerate(subset: str, *, command: str | None = None) -> str:
    """How to regenerate a subset that cannot be had, by default as the catalogue says."""
    command = command or f"python -m generation train {subset} --out DIR"
    return f"regenerate it from a clone: {command}, then load it with root=DIR, or --root DIR"


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # it is in a folder that may not be entered
        return False
