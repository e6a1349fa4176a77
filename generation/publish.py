"""Publishes packed subsets on the hub: one commit for all that is new, a tag ``<subset>-<version>`` for each version."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from generation.card import CARD_NAME, dataset_card
from generation.card.croissant import CROISSANT_NAME, croissant_json
from generation.released import checksum_at
from nndynbench.errors import NndynbenchError
from nndynbench.numbers import listed
from nndynbench.storage import places
from nndynbench.storage.hub import Origin, adopt, endpoint, published_versions, tag_of
from nndynbench.storage.manifest import MANIFEST_NAME, read_manifest
from nndynbench.storage.pack import Pack
from nndynbench.storage.packed import PackedFolder
from nndynbench.storage.places import versions_at
from nndynbench.storage.versions import version_numbers
from nndynbench.subsets import Subset, catalogue, catalogue_entry, load


class PublishError(NndynbenchError, ValueError):
    """Packs that may not be published as they are; says why."""


@dataclass(frozen=True)
class Upload:
    """What a commit would hold: the new versions, files by their path in the repository, the card and the Croissant file."""

    versions: list[tuple[str, str]]
    files: dict[str, Path]
    card: str
    croissant: str

    @property
    def bytes(self) -> int:
        texts = len(self.card.encode()) + len(self.croissant.encode())
        return sum(path.stat().st_size for path in self.files.values()) + texts


def plan_upload(root: Path, repository: str) -> Upload:
    """What publishing the packed versions below ``root`` would upload: those that the repository does not have.

    Every file is hashed. The card describes the repository as it will be, with the subsets that only the repository has.

    Raises
    ------
    PublishError
        If nothing is new, the package bundles other networks under a version's number, a newer version is published already,
        or a version would supersede another, published or beside it, and the catalogue does not say why.
    DamagedFileError
        For a file that is not what its manifest says.
    HubUnreachableError
        If the hub cannot be asked what it has.
    """
    published = {name: published_versions(repository, name) for name in catalogue()}
    versions = [
        (name, version) for name in catalogue() for version in versions_at(root, name) if version not in published[name]
    ]
    if not versions:
        raise PublishError(f"nothing to publish: {repository} lacks none of the versions packed in {root}")
    files = {}
    for name, version in versions:
        _check_bundled(name, version, root)
        beside = [other for subset, other in versions if subset == name]
        _check_newest(name, version, list(published[name]))
        _check_superseding(name, version, [*published[name], *beside])
        packed = PackedFolder(root / name / version)
        for file in packed.manifest.files:
            files[f"{name}/{version}/{file}"] = packed.path(file, again=True)
        files[f"{name}/{version}/{MANIFEST_NAME}"] = packed.folder / MANIFEST_NAME
    with TemporaryDirectory() as fetched:
        afterwards = _subsets_afterwards(root, published, Path(fetched))
        return Upload(versions, files, dataset_card(afterwards, repository=repository), croissant_json(afterwards))


def publish(upload: Upload, repository: str) -> str:
    """Upload in one commit and tag it; returns the commit. An interrupted upload goes on at the next call."""
    from huggingface_hub import CommitOperationAdd, HfApi

    hub = HfApi(endpoint=endpoint())
    hub.create_repo(repository, repo_type="dataset", exist_ok=True)
    additions = [CommitOperationAdd(address, path) for address, path in upload.files.items()]
    commit = hub.create_commit(
        repository,
        [
            *additions,
            CommitOperationAdd(CARD_NAME, upload.card.encode()),
            CommitOperationAdd(CROISSANT_NAME, upload.croissant.encode()),
        ],
        commit_message="Add " + ", ".join(f"{name} {version}" for name, version in upload.versions),
        repo_type="dataset",
    )
    # The tags last: a version is published once its tag is there, and then all its files are.
    for name, version in upload.versions:
        hub.create_tag(repository, tag=tag_of(name, version), revision=commit.oid, repo_type="dataset", exist_ok=True)
    return commit.oid


def _check_bundled(name: str, version: str, root: Path) -> None:
    bundled = places.bundled_folder() / name / version
    checksum = Pack(root / name / version, offline=True).checksum
    if (held := checksum_at(bundled)) not in (None, checksum):
        raise PublishError(
            f"{name} {version} in {root} is not the {name} {version} that the package bundles (checksum {checksum}, not "
            f"{held}): pack it under another version, or bundle it first"
        )


def _check_newest(name: str, version: str, published: list[str]) -> None:
    if newer := [other for other in published if version_numbers(other) > version_numbers(version)]:
        raise PublishError(f"{name} {version} is older than {listed(newer)}, already published: move it out of the folder")


def _check_superseding(name: str, version: str, others: list[str]) -> None:
    older = [old for old in others if version_numbers(old) < version_numbers(version)]
    unexplained = [old for old in older if old not in catalogue_entry(name).superseded]
    if unexplained:
        raise PublishError(
            f"{name} {version} supersedes {', '.join(unexplained)}: give the reason in the catalogue, "
            f'[subsets.{name}] superseded."{unexplained[-1]}" = {{ by = "{version}", why = "…" }}'
        )


def _subsets_afterwards(root: Path, published: dict[str, dict[str, Origin]], fetched: Path) -> list[Subset]:
    """The newest version of every subset. One that is published is as it is there, whatever has its number here."""
    afterwards = []
    for name in catalogue():
        here, there = versions_at(root, name), published[name]
        if not here and not there:
            continue
        newest = max([*here, *there], key=version_numbers)
        folder = fetched / name / newest
        if newest in there:
            adopt(there[newest], name, newest, folder)
        if newest in here and (newest not in there or read_manifest(root / name / newest) == read_manifest(folder)):
            afterwards.append(load(name, version=newest, root=root))
        else:
            afterwards.append(Subset(folder, offline=False))
    return afterwards
