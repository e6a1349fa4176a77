"""The hub, the last of the places: which versions it has, and fetching their files.

A version is published as the tag ``<subset>-<version>`` of a dataset repository. ``origin.json`` in a downloaded folder
names the repository and the commit, so its files can be fetched when they are asked for, and again if one is found bad.
huggingface_hub does the transfer. A file comes into its place only when its size and checksum are right.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.request import urlopen

from pydantic import BaseModel, ConfigDict, ValidationError

from nndynbench.storage.checks import check, remember_good
from nndynbench.storage.files import DamagedFileError, file_facts, locked, put_in_place, write_whole
from nndynbench.storage.manifest import MANIFEST_NAME, FileFacts, read_manifest
from nndynbench.storage.places import NotAtHandError
from nndynbench.storage.versions import is_version

logger = logging.getLogger(__name__)

ORIGIN_NAME = "origin.json"

# The folder in each downloaded folder for locks, and for files on their way.
INCOMING = ".incoming"

# A file that arrives whole but wrong may be right the second time. A host that sends a wrong one twice is given up.
ATTEMPTS = 2

MIRROR_TIMEOUT = 30  # seconds without a byte
SLOWEST_MIRROR = 20_000  # bytes a second, averaged over a file
PART_BYTES = 1 << 20


class HubUnreachableError(NotAtHandError):
    """The hub could not be asked: no network, or it does not answer."""


class DownloadError(NotAtHandError):
    """A file that no host delivered as its manifest describes it; names the hosts and what each did."""


class Origin(BaseModel):
    """Where a downloaded folder comes from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    repository: str
    commit: str


def read_origin(folder: Path) -> Origin | None:
    """Where a packed folder was downloaded from; None if it was not downloaded.

    Raises
    ------
    DamagedFileError
        If the file that says so is damaged, naming it.
    """
    path = folder / ORIGIN_NAME
    if not path.is_file():
        return None
    try:
        return Origin.model_validate_json(path.read_bytes())
    except ValidationError as reason:
        mended = "remove it and download the subset again"
        raise DamagedFileError(f"{path} is damaged: it does not say where the folder came from; {mended}") from reason


def tag_of(subset: str, version: str) -> str:
    """The tag that publishes a version."""
    return f"{subset}-{version}"


def endpoint() -> str | None:
    """The hub's address, if ``HF_ENDPOINT`` replaces it; huggingface_hub itself reads the variable only when it is
    imported.
    """
    return os.environ.get("HF_ENDPOINT")


def published_versions(repository: str, subset: str) -> dict[str, Origin]:
    """The versions of a subset that a repository has, with their commits; empty if there is no such repository.

    Raises
    ------
    HubUnreachableError
        If the hub does not answer.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        tags = HfApi(endpoint=endpoint()).list_repo_refs(repository, repo_type="dataset").tags
    except RepositoryNotFoundError:
        return {}
    except Exception as error:  # whatever the transfer library and its transport raise, of any version
        raise HubUnreachableError(f"the hub's repository {repository} could not be reached ({_reason(error)})") from error
    # A subset's name may begin another's: cifar10-lenet-diverse-0.1.0 is no version of cifar10-lenet.
    found = {tag.name.removeprefix(f"{subset}-"): tag for tag in tags if tag.name.startswith(f"{subset}-")}
    return {
        version: Origin(repository=repository, commit=tag.target_commit)
        for version, tag in found.items()
        if is_version(version)
    }


def adopt(origin: Origin, subset: str, version: str, folder: Path) -> None:
    """Make ``folder`` the downloaded folder of a published version, with its manifest and origin. Files follow when they are
    asked for.

    Raises
    ------
    DownloadError
        If the manifest cannot be fetched.
    FileExistsError
        If the folder holds another pack of this version than the repository.
    """
    with _locked(folder, MANIFEST_NAME) as staging:
        address = f"{subset}/{version}/{MANIFEST_NAME}"
        fetched = _first_right(
            address, [_hub_host(origin, address, staging)], lambda path: _fault_of_manifest(path, subset, version)
        )
        there = folder / MANIFEST_NAME
        if there.is_file() and there.read_bytes() != fetched.read_bytes():
            raise FileExistsError(
                f"{folder} holds a pack of {subset} {version} that differs from the one in {origin.repository}: "
                "remove the folder, or set NNDYNBENCH_HOME to another folder"
            )
        # The manifest comes last: a folder that has one is complete.
        write_whole(folder / ORIGIN_NAME, origin.model_dump_json(indent=1))
        put_in_place(fetched, there)


def fetch(origin: Origin, address: str, expected: FileFacts, path: Path, *, again: bool = False) -> None:
    """Fetch a file of the repository to ``path``, unless a good one is there. A bad one there is set aside.

    ``address`` is the file's path in the repository. The file's mirrors are tried if the hub fails. Processes that want the
    same file wait for each other. With ``again``, what is there is hashed even if it was found good before.

    Raises
    ------
    DownloadError
        Naming the hosts and what each did.
    """
    with _locked(path.parent, path.name) as staging:
        if path.is_file():
            try:
                check(path, expected, again=again)
                return  # another process was quicker
            except DamagedFileError as damage:
                aside = path.with_name(f"{path.name}.damaged")
                path.replace(aside)
                logger.warning("%s; it is set aside as %s and fetched again", damage, aside.name)
        mirrors = [_mirror_host(url, staging / "mirrored", expected.bytes) for url in expected.mirrors]
        hosts = [_hub_host(origin, address, staging), *mirrors]
        put_in_place(_first_right(address, hosts, lambda arrived: _fault_of_content(arrived, expected)), path)
        remember_good(path, expected)


class _Host(NamedTuple):
    """One place on the network that may have a file."""

    name: str
    transfer: Callable[[bool], Path]  # the argument is whether to distrust what an earlier transfer left behind


def _first_right(address: str, hosts: Sequence[_Host], fault_of: Callable[[Path], str | None]) -> Path:
    """The first file that arrives without a fault."""
    from huggingface_hub.errors import LocalEntryNotFoundError

    failures = []
    for host in hosts:
        for attempt in range(ATTEMPTS):
            try:
                arrived = host.transfer(attempt > 0)
            except LocalEntryNotFoundError as error:  # no answer, although huggingface_hub itself tried several times
                failures.append(f"{host.name}: {_reason(error)}")
                break
            except Exception as error:  # as above
                failures.append(f"{host.name}: {_reason(error)}")
                continue
            if (fault := fault_of(arrived)) is None:
                return arrived
            failures.append(f"{host.name}: {fault}")
            arrived.unlink()
    raise DownloadError(f"{address} could not be fetched: {'; '.join(dict.fromkeys(failures))}")


def _fault_of_content(path: Path, expected: FileFacts) -> str | None:
    found = file_facts(path)
    if found.same_content(expected):
        return None
    return (
        f"sent {found.bytes} bytes with SHA-256 {found.sha256[:12]}…, expected {expected.bytes} with {expected.sha256[:12]}…"
    )


def _fault_of_manifest(path: Path, subset: str, version: str) -> str | None:
    try:
        manifest = read_manifest(path.parent)
    except ValueError as error:
        return str(error)
    found = f"{manifest.subset} {manifest.version}"
    return None if found == f"{subset} {version}" else f"sent the manifest of {found}"


def _hub_host(origin: Origin, address: str, staging: Path) -> _Host:
    def transfer(anew: bool) -> Path:
        from huggingface_hub import hf_hub_download

        arrived = hf_hub_download(
            origin.repository,
            address,
            repo_type="dataset",
            revision=origin.commit,
            local_dir=staging,
            endpoint=endpoint(),
            force_download=anew,
        )
        return Path(arrived)

    return _Host(origin.repository, transfer)


def _mirror_host(url: str, path: Path, size: int) -> _Host:
    def transfer(anew: bool) -> Path:
        deadline = time.monotonic() + MIRROR_TIMEOUT + size / SLOWEST_MIRROR
        received = 0
        with urlopen(url, timeout=MIRROR_TIMEOUT) as response, path.open("wb") as file:
            while part := response.read1(PART_BYTES):
                received += len(part)
                if received > size:
                    raise OSError(f"sent more than the {size} bytes given in the manifest")
                if time.monotonic() > deadline:
                    raise TimeoutError(f"sent {received} of {size} bytes, slower than {SLOWEST_MIRROR} bytes a second")
                file.write(part)
        return path

    return _Host(url, transfer)


@contextmanager
def _locked(folder: Path, name: str) -> Iterator[Path]:
    """Hold the lock of a file in a downloaded folder; yields an empty folder for what is on its way to that file."""
    incoming = folder / INCOMING
    try:
        incoming.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DownloadError(f"cannot write to {folder} ({error}): set NNDYNBENCH_HOME to a writable folder") from error
    staging = incoming / name
    with locked(incoming / f"{name}.lock"):
        shutil.rmtree(staging, ignore_errors=True)  # of a process that was killed
        staging.mkdir()
        try:
            yield staging
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def _reason(error: BaseException) -> str:
    """The first line of an error, and of the error that first caused it."""
    cause = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    lines = [str(e).strip().splitlines()[0] if str(e).strip() else type(e).__name__ for e in (error, cause)]
    return ": ".join(dict.fromkeys(lines))
