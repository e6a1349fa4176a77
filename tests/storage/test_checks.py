"""Files are checked once, before they are first read, and the outcome is remembered."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nndynbench.storage import checks, places
from nndynbench.storage.checks import check
from nndynbench.storage.files import DamagedFileError, file_facts, written_whole
from nndynbench.storage.manifest import FileFacts, read_manifest


@pytest.fixture
def good(tmp_path: Path) -> tuple[Path, FileFacts]:
    path = tmp_path / "file"
    path.write_bytes(b"as it was packed")
    return path, file_facts(path)


def alter(path: Path, *, keep_time: bool) -> None:
    stat = path.stat()
    path.write_bytes(path.read_bytes()[::-1])
    seconds = stat.st_mtime_ns if keep_time else stat.st_mtime_ns + 1_000_000_000
    os.utime(path, ns=(seconds, seconds))


def another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a new process, only what is on disk is known."""
    monkeypatch.setattr(checks, "_found_good", set())


def test_a_file_found_good_is_remembered_by_size_and_time_also_by_other_processes(
    good: tuple[Path, FileFacts], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, facts = good
    check(path, facts)
    # Hashing would find this change: that it is not found shows that the file was not hashed again.
    alter(path, keep_time=True)
    check(path, facts)
    another_process(monkeypatch)
    check(path, facts)
    with pytest.raises(DamagedFileError, match=r"is damaged: expected 16 bytes with SHA-256 .*, found 16 bytes"):
        check(path, facts, again=True)


def test_a_file_that_was_touched_is_hashed_again(good: tuple[Path, FileFacts]) -> None:
    path, facts = good
    check(path, facts)
    alter(path, keep_time=False)
    with pytest.raises(DamagedFileError):
        check(path, facts)


def test_a_bad_file_is_never_remembered_as_good(good: tuple[Path, FileFacts]) -> None:
    path, facts = good
    alter(path, keep_time=True)
    for _ in range(2):
        with pytest.raises(DamagedFileError):
            check(path, facts)


def test_a_truncated_and_a_missing_file_are_named(good: tuple[Path, FileFacts]) -> None:
    path, facts = good
    path.write_bytes(b"as it was")
    with pytest.raises(DamagedFileError, match=rf"{path} is damaged: expected 16 bytes .* found 9 bytes"):
        check(path, facts)
    path.unlink()
    with pytest.raises(DamagedFileError, match=rf"{path} is missing"):
        check(path, facts)


def test_a_home_that_cannot_be_written_costs_the_memory_alone(
    good: tuple[Path, FileFacts], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, facts = good
    blocked = tmp_path / "blocked"
    blocked.touch()
    monkeypatch.setenv("NNDYNBENCH_HOME", str(blocked / "home"))
    monkeypatch.setattr(places, "default_home", lambda: blocked / "cache")
    check(path, facts)
    alter(path, keep_time=True)
    check(path, facts)
    another_process(monkeypatch)
    with pytest.raises(DamagedFileError):
        check(path, facts)


def test_a_file_is_synced_as_one_that_is_open_for_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows refuses to sync any other file."""
    synced = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.write(file, b"")))
    with written_whole(tmp_path / "file") as partial:
        partial.write_bytes(b"content")
    assert synced == [0]
    assert (tmp_path / "file").read_bytes() == b"content"


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("before")

    def interrupted() -> None:
        with written_whole(path) as partial:
            partial.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [(f.name, f.read_text()) for f in tmp_path.iterdir() if f.is_file()] == [("file", "before")]


def test_a_manifest_of_a_later_format_says_what_to_do(bundled: Path, tmp_path: Path) -> None:
    text = (bundled / "subset.json").read_text(encoding="utf-8")
    (tmp_path / "subset.json").write_text(text.replace('"format": 1', '"format": 2'), encoding="utf-8")
    with pytest.raises(ValueError, match=r"has format 2; this version of nndynbench reads up to 1: pip install -U"):
        read_manifest(tmp_path)
    (tmp_path / "subset.json").write_text(text.replace('"threshold": 40.0', '"threshold": "high"'), encoding="utf-8")
    with pytest.raises(ValueError, match=r"(?s)is not a valid manifest: .*threshold"):
        read_manifest(tmp_path)
