"""Files and folders: paths as users write them, writing whole or not at all, locks, sizes and checksums."""

from __future__ import annotations

import errno
import glob
import hashlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from nndynbench.errors import NndynbenchError
from nndynbench.storage.manifest import FileFacts

# A partial file's name begins with this many characters of the file's: a name has at most 255 bytes, a character up to 4.
LONGEST_STEM = 50

# And it ends in what `written_whole` draws: a user's own file may be called .partial too.
PARTIAL = re.compile(r"(?s).*\.[0-9a-f]{16}\.partial")

# The lock that the writer of a folder holds, in the partial folder that it fills.
WORKSHOP_LOCK = "lock"

# How many characters of a file's name may be names of subsets: Windows has 260 for a whole path.
LONGEST_NAMES = 120

# Windows renames neither what another process has open, such as a virus scanner, an indexer or a reader, nor over it. For so
# long it is asked again, after so many seconds each time.
WINDOWS = os.name == "nt"
HELD_SECONDS, ASKED_AFTER = 1.0, 0.05

WITHOUT_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}


class NoLocksError(NndynbenchError, OSError):
    """A folder on a file system without locks, where processes cannot wait for each other."""


class FolderInUseError(NndynbenchError, PermissionError):
    """A folder that may not be replaced, as on Windows while one of its files is open; says where the new one is."""


class DamagedFileError(NndynbenchError, ValueError):
    """A file that is not what its manifest, or its own checksum, says: cut short, altered or missing."""


def user_path(named: str | os.PathLike[str]) -> Path:
    """The path that a user names. ``~`` is the home folder, even if no shell has expanded it. Every path from a user goes
    through here.
    """
    return Path(os.path.expanduser(named))


def joined_names(names: Sequence[str]) -> str:
    """Names as a part of a file's name, joined by +. Of too many, the first ones, how many more, and a checksum of all."""
    whole = "+".join(names)
    if len(names) == 1 or len(whole) <= LONGEST_NAMES:
        return whole
    checksum = hashlib.sha256(whole.encode()).hexdigest()[:8]
    first = whole[: LONGEST_NAMES - len("+99-more-") - len(checksum)].rpartition("+")[0]
    return f"{first}+{len(names) - 1 - first.count('+')}-more-{checksum}"


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield a partial path to write to. At the end it is renamed to ``path``, or removed if anything went wrong."""
    partial = path.with_name(f"{path.name[:LONGEST_STEM]}.{secrets.token_hex(8)}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield partial
        put_in_place(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file so that it is seen whole or not at all, also after a power cut. Text is written as UTF-8."""
    with written_whole(path) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def locked(path: Path, *, blocking: bool = True) -> Iterator[bool]:
    """Hold a lock file for this process; a killed process frees it. Yields False if ``blocking`` is false and another
    process has it.

    Raises
    ------
    NoLocksError
        If the file system has no locks.
    """
    lock = FileLock(path, blocking=blocking)
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    except (NotImplementedError, OSError) as error:
        if isinstance(error, OSError) and error.errno not in WITHOUT_LOCKS:
            raise
        raise NoLocksError(f"{path.parent} is on a file system without locks ({error}): use another folder") from error
    try:
        yield True
    finally:
        lock.release()


@contextmanager
def folder_written_whole(folder: Path) -> Iterator[Path]:
    """Yield an empty folder to fill. At the end it takes the place of ``folder``, which stays as it is until then, and if
    anything goes wrong. Of several writers at once, the last to end leaves its own. What killed writers left is removed.

    Raises
    ------
    FolderInUseError
        If ``folder`` may not be replaced; then the new folder is kept beside it.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    for left in folder.parent.glob(f"{glob.escape(folder.name)}.*.partial"):
        if _is_abandoned(left):
            with suppress(OSError):
                _remove(left)
    workshop = folder.with_name(f"{folder.name}.{secrets.token_hex(8)}.partial")
    fresh = workshop / "fresh"
    fresh.mkdir(parents=True)
    try:
        with ExitStack() as held:
            with suppress(NoLocksError):
                held.enter_context(locked(workshop / WORKSHOP_LOCK))
            yield fresh
            try:
                _take_place(fresh, folder, aside=workshop / "old")
            except PermissionError as held:
                kept = folder.with_name(f"{folder.name}.{secrets.token_hex(4)}.new")
                _rename(fresh, kept)
                raise FolderInUseError(
                    f"{folder} cannot be replaced ({held.strerror}): close what has it open, in this process, its workers "
                    f"or another program; then rename {kept}, which is the new one, to {folder.name}"
                ) from held
    finally:
        with suppress(OSError):
            _remove(workshop)


def _is_abandoned(workshop: Path) -> bool:
    """Whether the writer of a partial folder was killed: then nobody holds the folder's lock. False where that cannot be
    told: without locks, or if the lock is another user's.
    """
    if not (workshop / WORKSHOP_LOCK).is_file():
        return False
    with suppress(OSError), locked(workshop / WORKSHOP_LOCK, blocking=False) as free:
        return free
    return False


def _take_place(fresh: Path, folder: Path, *, aside: Path) -> None:
    """Move ``folder`` to ``aside``, and ``fresh`` to ``folder``; if that fails, move ``aside`` back."""
    while True:
        with suppress(FileNotFoundError):
            _rename(folder, aside)
        try:
            _rename(fresh, folder)
            return
        except OSError:
            if folder.exists():  # another writer came between the two renames
                _remove(aside)
                continue
            if aside.exists():
                aside.rename(folder)
            raise


def _remove(left: Path) -> None:
    """Remove a folder with everything in it. Of a link only the link is removed, and what it leads to stays."""
    if left.is_symlink() or not left.is_dir():
        left.unlink(missing_ok=True)
    else:
        shutil.rmtree(left)


def remove_partial(folder: Path) -> None:
    """Remove the files that killed writers left in a folder, and no others. Nobody else may be writing to it."""
    for partial in folder.glob("*.partial"):
        if PARTIAL.fullmatch(partial.name) and not partial.is_dir():
            partial.unlink(missing_ok=True)


def put_in_place(whole: Path, path: Path) -> None:
    """Rename a whole file to ``path``, replacing what is there. After a power cut it is there whole or not at all."""
    with whole.open("r+b") as file:  # Windows syncs no file that is open for reading alone
        os.fsync(file.fileno())
    _unless_held(lambda: whole.replace(path))


def _rename(folder: Path, target: Path) -> None:
    _unless_held(lambda: folder.rename(target))


def _unless_held(rename: Callable[[], object]) -> None:
    """Rename something; on Windows try for a while, if another process holds it."""
    end = time.monotonic() + HELD_SECONDS
    while True:
        try:
            rename()
            return
        except PermissionError:
            if not WINDOWS or time.monotonic() > end:
                raise
        time.sleep(ASKED_AFTER)


def file_facts(path: Path) -> FileFacts:
    """Size and SHA-256 of a file as it is now."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return FileFacts(bytes=path.stat().st_size, sha256=digest)
