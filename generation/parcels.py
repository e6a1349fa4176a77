"""Cuts folders into parts that are small enough to be carried, and joins them again: decoded images on their way to a
borrowed machine, packs on their way back.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from generation.released import check_same_tables
from nndynbench.errors import NndynbenchError
from nndynbench.storage.files import DamagedFileError, folder_written_whole, put_in_place, user_path, write_whole
from nndynbench.storage.manifest import MANIFEST_NAME
from nndynbench.storage.pack import Pack

FACTS_FILE = "{folder}.parcel.json"


class MissingPartsError(NndynbenchError, FileNotFoundError):
    """Parts of a folder that have not come yet; names them."""


def cut(folder: Path, into: Path, *, part_bytes: int) -> list[Path]:
    """Write all of a folder's files as parts of at most ``part_bytes``, and ``<folder>.parcel.json``, which says what they
    are.

    Joined in their order, the parts are a tar archive. Returns the parts' paths.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or no file in it.
    """
    folder, into = user_path(folder).resolve(), user_path(into)
    if not any(path.is_file() for path in folder.rglob("*")):
        raise FileNotFoundError(f"nothing to cut: there are no files in {folder}")
    into.mkdir(parents=True, exist_ok=True)
    names: list[Path] = []
    checksums: dict[str, str] = {}
    for content in _slices(_archived(folder), part_bytes):
        path = into / f"{folder.name}.part-{len(names) + 1:03d}"
        write_whole(path, content)
        names.append(path)
        checksums[path.name] = hashlib.sha256(content).hexdigest()
    facts = json.dumps({"folder": folder.name, "parts": checksums}, indent=1)
    write_whole(into / FACTS_FILE.format(folder=folder.name), facts)
    return names


def join(parts: Path, into: Path) -> list[Path]:
    """Join the parts of every folder that was cut into ``parts`` again, below ``into``; returns the folders. A packed
    version takes the place of an unfinished one of its number; other files are added to those that are there.

    Raises
    ------
    MissingPartsError
        Naming the parts that are not there: they may come later.
    DamagedFileError
        Naming a part that is not as it was cut.
    ReleasedVersionError
        If ``into`` has a packed version from 1.0.0 on with other networks than the one in the parts.
    """
    parts, into = user_path(parts), user_path(into)
    found = sorted(parts.glob(FACTS_FILE.format(folder="*")))
    if not found:
        raise MissingPartsError(f"{parts} has no {FACTS_FILE.format(folder='FOLDER')}, which says what the parts are")
    return [_joined(json.loads(path.read_text(encoding="utf-8")), parts, into) for path in found]


def _joined(facts: dict[str, Any], parts: Path, into: Path) -> Path:
    missing = [name for name in facts["parts"] if not (parts / name).exists()]
    if missing:
        raise MissingPartsError(f"{parts} lacks {len(missing)} of {len(facts['parts'])} parts: {', '.join(missing)}")
    stream = io.BytesIO()
    for name, checksum in facts["parts"].items():
        content = (parts / name).read_bytes()
        if hashlib.sha256(content).hexdigest() != checksum:
            raise DamagedFileError(f"{parts / name} is damaged: copy it again")
        stream.write(content)
    stream.seek(0)
    into.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(suffix=".partial", dir=into) as temporary, tarfile.open(fileobj=stream, mode="r:") as archive:
        archive.extractall(temporary, filter="data")
        _put_below(into, Path(temporary))
    return into / str(facts["folder"])


def _put_below(into: Path, joined: Path) -> None:
    packs = {path.parent: into / path.parent.relative_to(joined) for path in joined.glob(f"*/*/{MANIFEST_NAME}")}
    for pack, target in packs.items():
        check_same_tables(target, Pack(pack, offline=True).checksum)
    for pack, target in packs.items():
        with folder_written_whole(target) as fresh:
            shutil.copytree(pack, fresh, dirs_exist_ok=True)
        shutil.rmtree(pack)
    # Each file comes whole, in the place of an older one: another process may have that mapped into its memory.
    for path in sorted(path for path in joined.rglob("*") if path.is_file()):
        target = into / path.relative_to(joined)
        target.parent.mkdir(parents=True, exist_ok=True)
        put_in_place(path, target)


def _archived(folder: Path) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            archive.add(path, arcname=str(Path(folder.name) / path.relative_to(folder)))
    return stream.getvalue()


def _slices(content: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]
