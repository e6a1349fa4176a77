"""What `python -m generation bundle` writes takes the place of what was there, or leaves it as it was."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

import nndynbench as nb
from generation import bundle
from generation.released import ReleasedVersionError
from nndynbench.storage.manifest import MANIFEST_NAME
from nndynbench.subsets.catalogue import Bundled, catalogue_entry
from nndynbench.subsets.subset import Subset
from tests.copied_pack import copied_pack

WHOLE = Bundled(bits=12)


@pytest.mark.parametrize("failure", [OSError("No space left on device"), KeyboardInterrupt()], ids=["disk", "interrupt"])
@pytest.mark.parametrize("write", [bundle.bundle_subset, bundle.write_beside])
def test_an_earlier_folder_stays_until_the_new_one_is_whole(
    digits: nb.Subset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    write: Callable[[nb.Subset, Path], Path],
    failure: BaseException,
) -> None:
    entry, copy = replace(catalogue_entry("digits-lenet"), beside={"weights": WHOLE}), shutil.copyfile
    monkeypatch.setattr(bundle, "catalogue_entry", lambda name: entry)
    folder = tmp_path / "digits-lenet" / digits.version
    folder.mkdir(parents=True)
    earlier = digits.manifest.model_copy(update={"summary": "earlier"}).model_dump_json()
    (folder / MANIFEST_NAME).write_text(earlier)

    for copies in count():
        left = [True] * copies

        def until_it_fails(source: Path, target: Path, left: list[bool] = left) -> None:
            if not left:
                Path(target).write_text("a part")
                raise failure
            left.pop()
            copy(source, target)

        monkeypatch.setattr(bundle.shutil, "copyfile", until_it_fails)
        try:
            assert write(digits, tmp_path) == folder
            break
        except type(failure):
            assert [path.name for path in folder.iterdir()] == [MANIFEST_NAME]
            assert (folder / MANIFEST_NAME).read_text() == earlier
            assert [path for path in tmp_path.rglob("*") if path.is_file()] == [folder / MANIFEST_NAME]
    tables = digits.manifest.tiers["networks"].files if write is bundle.bundle_subset else []
    assert {path.name for path in folder.iterdir()} == {MANIFEST_NAME, "weights.h5", *tables}
    assert copies >= 6


@pytest.mark.parametrize("write", [bundle.bundle_subset, bundle.write_beside])
def test_a_released_version_is_not_replaced_by_other_networks_and_an_unfinished_one_is(
    digits: nb.Subset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[nb.Subset, Path], Path]
) -> None:
    entry = replace(catalogue_entry("digits-lenet"), beside={"weights": WHOLE})
    monkeypatch.setattr(bundle, "catalogue_entry", lambda name: entry)
    for version in ("1.0.0", "0.9.0"):
        copied_pack(digits.folder, tmp_path / "bundled", version, others=True)
    released = Subset(copied_pack(digits.folder, tmp_path / "zoo", "1.0.0"))
    before = (tmp_path / "bundled/digits-lenet/1.0.0/subset.json").read_text()
    with pytest.raises(ReleasedVersionError, match=r"from 1\.0\.0 on a version never changes"):
        write(released, tmp_path / "bundled")
    assert (tmp_path / "bundled/digits-lenet/1.0.0/subset.json").read_text() == before
    unfinished = Subset(copied_pack(digits.folder, tmp_path / "zoo", "0.9.0"))
    assert nb.load("digits-lenet", root=tmp_path / "bundled", version="0.9.0").checksum != unfinished.checksum
    write(unfinished, tmp_path / "bundled")
    assert nb.load("digits-lenet", root=tmp_path / "bundled", version="0.9.0").checksum == unfinished.checksum
