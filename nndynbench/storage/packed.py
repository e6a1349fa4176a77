"""One packed folder: its manifest and its files. Each file is checked before it is first read, and fetched if it can be."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from nndynbench.seal import note_data, refuse_where_sealed
from nndynbench.storage.checks import check
from nndynbench.storage.files import DamagedFileError
from nndynbench.storage.hub import Origin, fetch, read_origin
from nndynbench.storage.manifest import Manifest, TierName, read_manifest
from nndynbench.storage.places import NotAtHandError, is_offline


class PackedFolder:
    """A folder ``<subset>/<version>/`` that was bundled, downloaded or regenerated. Opening it reads only the manifest,
    which must name the folder: a copy under another name is refused with a ValueError.

    A downloaded folder holds the files that were asked for so far. The others, and those found bad, are fetched from where
    the folder came from, unless ``offline``.
    """

    def __init__(self, folder: Path, *, offline: bool | None = None) -> None:
        refuse_where_sealed(f"the subset at {folder}")
        self.folder = folder
        self._place = folder.absolute()  # the current folder may be another one by the time a file is read
        self.manifest: Manifest = read_manifest(folder)
        if (named := (self.manifest.subset, self.manifest.version)) != folder.absolute().parts[-2:]:
            right = "/".join(named)
            raise ValueError(f"{folder} holds {' '.join(named)}, according to its manifest: its path must end in {right}")
        self.offline = offline

    @cached_property
    def origin(self) -> Origin | None:
        """Where the folder was downloaded from, or None."""
        return read_origin(self._place)

    def holds(self, name: str) -> bool:
        """Whether a file of the manifest is here, good or bad."""
        return name in self.manifest.files and (self._place / name).is_file()

    def holds_tier(self, tier: TierName) -> bool:
        """Whether all files of a tier are here.

        In a folder that was not downloaded, a listed file that is missing counts as here: it is damage, to be reported when
        it is read.
        """
        facts = self.manifest.tiers.get(tier)
        return facts is not None and (self.origin is None or all(map(self.holds, facts.files)))

    def path(self, name: str, *, again: bool = False) -> Path:
        """The path of a file that is what the manifest says. With ``again``, it is hashed even if it was found good before.

        Raises
        ------
        DamagedFileError
            For a bad or missing file that cannot be fetched again, with both checksums.
        NotAtHandError
            For a file that was not fetched yet and cannot be: offline, or no host delivered it.
        """
        note_data(self.manifest.subset)
        path, expected = self._place / name, self.manifest.files[name]
        try:
            check(path, expected, again=again)
        except DamagedFileError as damage:
            if self.origin is None:
                raise
            if not is_offline(self.offline):
                address = f"{self.manifest.subset}/{self.manifest.version}/{name}"
                fetch(self.origin, address, expected, path, again=again)
            elif path.is_file():
                raise DamagedFileError(f"{damage}; offline, so it cannot be fetched again") from None
            else:
                raise NotAtHandError(
                    f"{name} of {self.manifest.subset} {self.manifest.version} was not downloaded to {self.folder}, and "
                    "cannot be fetched offline"
                ) from None
        return path
