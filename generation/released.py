"""Guards the versions that results may refer to: from 1.0.0 on, the tables and splits of a version never change."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from nndynbench.errors import NndynbenchError
from nndynbench.storage.manifest import MANIFEST_NAME
from nndynbench.storage.pack import Pack
from nndynbench.storage.versions import is_unfinished


class ReleasedVersionError(NndynbenchError, ValueError):
    """A version from 1.0.0 on that would be replaced by other networks."""


def check_same_tables(folder: Path, checksum: str) -> None:
    """Raise `ReleasedVersionError` if ``folder`` holds a version from 1.0.0 on with other tables and splits than those of
    ``checksum`` (see `Pack.checksum`).
    """
    if not is_unfinished(folder.name) and (held := checksum_at(folder)) not in (None, checksum):
        raise ReleasedVersionError(
            f"{folder} has other networks (checksum {held}, not {checksum}), and from 1.0.0 on a version never changes: "
            "pack these under another version, with python -m generation pack … --version"
        )


def check_keeps(folder: Path, seeds: Mapping[int, int]) -> None:
    """Raise `ReleasedVersionError` if ``folder`` holds a version from 1.0.0 on that has networks other than those with
    these ids and seeds. What cannot be read is no loss.
    """
    if is_unfinished(folder.name) or not (folder / MANIFEST_NAME).is_file():
        return
    try:
        held = Pack(folder, offline=True).table("networks")["seed"]
    except ValueError:  # damaged: to be replaced
        return
    if lost := [
        network for network, seed in zip(held.index.tolist(), held.tolist(), strict=True) if seeds.get(network) != seed
    ]:
        raise ReleasedVersionError(
            f"{folder} has networks that are not among the finished runs ({len(lost)}, such as {lost[0]}), and packing "
            "would lose them: put them back with python -m generation restore, or give another --version"
        )


def checksum_at(folder: Path) -> str | None:
    """The checksum of the tables and splits of a packed folder; None if there is none."""
    return Pack(folder, offline=True).checksum if (folder / MANIFEST_NAME).is_file() else None
