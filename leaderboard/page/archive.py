"""All submissions with their predictions in one archive, to download."""

from __future__ import annotations

import shutil
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from leaderboard.check import Accepted
from leaderboard.standing import name_of

ZIPPED = (1980, 1, 1, 0, 0, 0)  # a date for all: the same submissions give the same archive


def write_archive(path: Path, accepted: Sequence[Accepted], *, older: Path) -> None:
    """All submissions in one archive; an older one of the same contents is taken as it is."""
    contents = {name_of(a.path): a.path.read_bytes() for a in sorted(accepted, key=lambda a: a.path)}
    if _checksums(older) == [(name, zlib.crc32(content)) for name, content in contents.items()]:
        shutil.copyfile(older, path)
        return
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in contents.items():
            archive.writestr(zipfile.ZipInfo(name, ZIPPED), content, zipfile.ZIP_DEFLATED)


def _checksums(archive: Path) -> list[tuple[str, int]]:
    """Names and checksums of what is in an archive; none of one that is not there, or damaged."""
    try:
        with zipfile.ZipFile(archive) as opened:
            return [(held.filename, held.CRC) for held in opened.infolist()]
    except (OSError, zipfile.BadZipFile):
        return []
