"""Copies of a pack under other versions, of the same networks or of others."""

from __future__ import annotations

import shutil
from pathlib import Path

from nndynbench.storage.files import file_facts
from nndynbench.storage.manifest import MANIFEST_NAME, read_manifest
from nndynbench.storage.tables import read_table, write_table


def copied_pack(packed: Path, into: Path, version: str, *, others: bool = False) -> Path:
    """Copy a packed folder to ``<subset>/<version>/`` below ``into``; with ``others``, the networks have other seeds."""
    manifest = read_manifest(packed)
    folder = into / manifest.subset / version
    shutil.copytree(packed, folder)
    files = dict(manifest.files)
    if others:
        networks = read_table(folder / "networks.parquet", "networks")
        networks["seed"] += 1
        write_table(folder, "networks", networks)
        files["networks.parquet"] = file_facts(folder / "networks.parquet")
    changed = manifest.model_copy(update={"version": version, "files": files})
    (folder / MANIFEST_NAME).write_text(changed.model_dump_json())
    return folder
