"""Places as they are found: folders that may not be entered, copies under other names, disks without locks or room."""

from __future__ import annotations

import errno
import fcntl
import os
import pickle
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

import nndynbench as nb
from nndynbench.protocols import comparison_file
from nndynbench.storage import files, versions
from nndynbench.storage.arrays import SnapshotArrays, write_snapshot_arrays
from nndynbench.storage.files import (
    DamagedFileError,
    FolderInUseError,
    NoLocksError,
    file_facts,
    folder_written_whole,
    locked,
    write_whole,
    written_whole,
)
from nndynbench.storage.hub import DownloadError, Origin, fetch
from nndynbench.storage.manifest import FileFacts, Manifest, read_manifest
from nndynbench.storage.pack import Pack
from nndynbench.storage.packed import PackedFolder
from nndynbench.storage.places import NotAtHandError
from nndynbench.storage.tables import KEYS, TableName, table_file, write_table
from nndynbench.subsets import catalogue
from tests.patience import PATIENCE_SECONDS
from tests.storage.conftest import PUBLISHED
from tests.storage.hub_stand_in import HubStandIn

# Without these privileges, even root may only do what a folder's permissions allow.
WITHOUT_PRIVILEGES = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--"] if os.geteuid() == 0 else []

READS = """
import nndynbench as nb
zoo = nb.load("digits-lenet")
try:
    nb.load("digits-lent")
except nb.NndynbenchError as error:
    assert "did you mean 'digits-lenet'" in str(error)
print(len(zoo.networks), nb.subsets().loc["digits-lenet", "networks"], zoo.history(100, 2).signature("degree").shape)
"""


@contextmanager
def closed(folder: Path) -> Iterator[None]:
    folder.chmod(0)
    try:
        yield
    finally:
        folder.chmod(0o700)


@contextmanager
def full_at(size: int) -> Iterator[None]:
    """A disk on which no file can grow beyond some bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("variable", ["HOME", "NNDYNBENCH_HOME", "XDG_CACHE_HOME"])
def test_bundled_subsets_are_read_where_the_home_folder_may_not_be_entered(tmp_path: Path, variable: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("NNDYNBENCH_HOME", "XDG_CACHE_HOME")}
    (tmp_path / "private").mkdir()
    environment |= {"HOME": str(tmp_path)} | {variable: str(tmp_path / "private")}
    with closed(tmp_path / "private"):
        done = subprocess.run(
            [*WITHOUT_PRIVILEGES, sys.executable, "-c", READS], env=environment, capture_output=True, text=True, check=False
        )
    assert done.stdout.split()[:2] == ["240", "240"], done.stderr


def test_folders_beside_the_versions_are_no_versions(tmp_path: Path, bundled: Path) -> None:
    for name in (bundled.name, f"{bundled.name}.bak", "99.0.0.partial", "copy", "v99.0.0", "99.0.0-old", "latest"):
        shutil.copytree(bundled, tmp_path / "digits-lenet" / name)
    assert nb.load("digits-lenet", root=tmp_path).version == bundled.name


@pytest.mark.parametrize("copy", ["digits-lenet/99.0.0", "cifar10-vgg/1.0.0"])
def test_a_pack_under_another_name_is_refused(tmp_path: Path, bundled: Path, copy: str) -> None:
    shutil.copytree(bundled, tmp_path / copy)
    with pytest.raises(ValueError, match=f"holds digits-lenet {bundled.name}, according to its manifest"):
        nb.load(copy.partition("/")[0], root=tmp_path)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_named(tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*arguments: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", none)
    with pytest.raises(NoLocksError, match="without locks"), locked(tmp_path / "lock"):
        pass


def test_a_lock_that_another_has_is_not_waited_for_unless_asked(tmp_path: Path) -> None:
    with locked(tmp_path / "lock", blocking=False) as first, locked(tmp_path / "lock", blocking=False) as second:
        assert (first, second) == (True, False)


def test_two_writers_with_one_process_number_write_whole_files(tmp_path: Path) -> None:
    both = threading.Barrier(2, timeout=PATIENCE_SECONDS)
    found = []

    def write(text: str) -> None:
        with written_whole(tmp_path / "file") as partial:
            partial.write_text(text)
            both.wait()
        found.append((tmp_path / "file").read_text())

    threads = [threading.Thread(target=write, args=(letter * 1000,)) for letter in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2
    assert set(found) <= {"a" * 1000, "b" * 1000}
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_longest_names_can_be_written(tmp_path: Path) -> None:
    name = "测" * 85  # 255 bytes
    with written_whole(tmp_path / name) as partial:
        partial.write_text("x")
    assert (tmp_path / name).read_text() == "x"


def test_names_of_many_subsets_make_a_file_name_that_every_system_has_and_no_others_make(tmp_path: Path) -> None:
    names = list(catalogue())
    some, all_of_them = (comparison_file(tmp_path, n, "regression-folds").name for n in (names[:3], names))
    assert some == f"compare.{'+'.join(names[:3])}.regression-folds.json"
    assert len(all_of_them) < 160
    assert all_of_them.startswith(f"compare.{'+'.join(names[:3])}+")
    left = int(re.search(r"\+(\d+)-more-", all_of_them)[1])
    assert all_of_them.split("-more-")[0].count("+") + left == len(names)
    assert comparison_file(tmp_path, names[:-1], "regression-folds").name not in (some, all_of_them)


def test_a_full_disk_is_an_error_and_leaves_the_earlier_file(tmp_path: Path) -> None:
    """On a full disk, HDF5 itself would crash the process."""
    random = np.random.default_rng(0)
    shapes, epochs = {"weight": (40_000,)}, {network: [1] for network in range(10)}

    def write() -> None:
        snapshots = ((network, [{"weight": random.normal(size=40_000)}]) for network in epochs)
        write_snapshot_arrays(tmp_path / "weights.h5", shapes, epochs, snapshots)

    write()
    before = (tmp_path / "weights.h5").read_bytes()
    for size in (0, 1_000, 300_000, len(before) - 10):
        with full_at(size), pytest.raises(OSError, match="File too large"):
            write()
        assert (tmp_path / "weights.h5").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    folder = tmp_path / "1.0.0"
    for text in ("old", "new"):
        with folder_written_whole(folder) as fresh:
            (fresh / "file").write_text(text)
            assert not folder.exists() or (folder / "file").read_text() == "old"
    with full_at(3), pytest.raises(OSError, match="File too large"), folder_written_whole(folder) as fresh:
        (fresh / "file").write_text("newest")
    assert (folder / "file").read_text() == "new"
    assert list(tmp_path.iterdir()) == [folder]


def test_writers_of_one_folder_leave_each_others_alone(tmp_path: Path) -> None:
    folder = tmp_path / "1.0.0"
    with folder_written_whole(folder) as first:
        (first / "file").write_text("first")
        with folder_written_whole(folder) as second:
            (second / "file").write_text("second")
        assert (folder / "file").read_text() == "second"
    assert (folder / "file").read_text() == "first"
    assert list(tmp_path.iterdir()) == [folder]


def test_another_writer_that_ends_at_the_same_moment_comes_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, rename = tmp_path / "1.0.0", Path.rename

    def rename_late(path: Path, target: Path) -> Path:
        if target == folder:
            monkeypatch.setattr(Path, "rename", rename)
            with folder_written_whole(folder) as other:
                (other / "file").write_text("other")
        return rename(path, target)

    for text in ("old", "new"):
        with folder_written_whole(folder) as fresh:
            (fresh / "file").write_text(text)
            monkeypatch.setattr(Path, "rename", rename_late)
        assert (folder / "file").read_text() == text
    assert list(tmp_path.iterdir()) == [folder]


def held_for(tries: float, rename: Callable[[Path, Path], Path], held: Path) -> Callable[[Path, Path], Path]:
    """A renaming that fails so many times, as that of ``held``, or over it, does on Windows while it is open."""

    def renaming(path: Path, target: Path) -> Path:
        nonlocal tries
        if held in (path, target) and tries > 0:
            tries -= 1
            raise PermissionError(errno.EACCES, "Access is denied")
        return rename(path, target)

    return renaming


def test_on_windows_a_file_that_another_process_holds_for_a_moment_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "WINDOWS", True)
    path, replace = tmp_path / "state.json", Path.replace
    for tries, text in enumerate(("first", "second", "third")):
        monkeypatch.setattr(Path, "replace", held_for(tries, replace, path))
        write_whole(path, text)
        assert path.read_text() == text
    monkeypatch.setattr(Path, "replace", held_for(float("inf"), replace, path))
    with pytest.raises(PermissionError, match="Access is denied"):
        write_whole(path, "fourth")
    assert path.read_text() == "third"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_for_one_that_is_open_is_kept_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "1.0.0"
    with folder_written_whole(folder) as fresh:
        (fresh / "file").write_text("old")
    monkeypatch.setattr(Path, "rename", held_for(float("inf"), Path.rename, folder))
    with (
        pytest.raises(FolderInUseError, match=r"1\.0\.0 cannot be replaced \(Access is denied\): close"),
        folder_written_whole(folder) as fresh,
    ):
        (fresh / "file").write_text("new")
    assert (folder / "file").read_text() == "old"
    [kept] = set(tmp_path.iterdir()) - {folder}
    assert (kept / "file").read_text() == "new"
    assert not versions.is_version(kept.name)


def test_what_a_killed_writer_left_is_removed_by_the_next(tmp_path: Path) -> None:
    dies = """
import os, signal, sys
from pathlib import Path
from nndynbench.storage.files import folder_written_whole
with folder_written_whole(Path(sys.argv[1])) as fresh:
    (fresh / "file").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    folder = tmp_path / "1.0.0"
    done = subprocess.run([sys.executable, "-c", dies, str(folder)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert [path.suffix for path in tmp_path.iterdir()] == [".partial"]
    with folder_written_whole(folder) as fresh:
        (fresh / "file").write_text("whole")
    assert list(tmp_path.iterdir()) == [folder]


def test_a_folder_is_written_where_there_are_no_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*arguments: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", none)
    for text in ("old", "new"):
        with folder_written_whole(tmp_path / "1.0.0") as fresh:
            (fresh / "file").write_text(text)
        assert (tmp_path / "1.0.0" / "file").read_text() == text


def test_a_link_to_a_folder_is_replaced_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    """Such as the link to a pack that was moved to a larger disk."""
    elsewhere, packs = tmp_path / "elsewhere", tmp_path / "packs"
    for folder in (elsewhere, packs):
        folder.mkdir()
    (elsewhere / "file").write_text("old")
    (packs / "1.0.0").symlink_to(elsewhere, target_is_directory=True)
    for text in ("new", "newest"):
        with folder_written_whole(packs / "1.0.0") as fresh:
            (fresh / "file").write_text(text)
        assert (packs / "1.0.0" / "file").read_text() == text
        assert [path.name for path in packs.iterdir()] == ["1.0.0"]
    assert (elsewhere / "file").read_text() == "old"


@pytest.fixture
def arrays(tmp_path: Path) -> Path:
    path = tmp_path / "weights.h5"
    write_snapshot_arrays(path, {"weight": (3,)}, {0: [1], 1: [1]}, [(n, [{"weight": np.ones(3)}]) for n in (0, 1)])
    return path


@pytest.mark.parametrize("name", ["values", "networks", "epochs"])
@pytest.mark.parametrize("how", ["link", "soft", "storage", "virtual", "missing"])
def test_data_that_is_in_another_file_is_not_read(arrays: Path, tmp_path: Path, name: str, how: str) -> None:
    shutil.copy(arrays, tmp_path / "other.h5")
    with h5py.File(arrays, "r+") as file:
        shape, kind = file[name].shape, file[name].dtype
        del file[name]
        if how == "link":
            file[name] = h5py.ExternalLink("other.h5", name)
        elif how == "soft":
            file[name] = h5py.SoftLink("/elsewhere")
        elif how == "storage":
            file.create_dataset(name, shape, kind, external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)])
        elif how == "virtual":
            layout = h5py.VirtualLayout(shape, kind)
            layout[:] = h5py.VirtualSource(tmp_path / "other.h5", name, shape)
            file.create_virtual_dataset(name, layout)
    with pytest.raises(DamagedFileError, match=f"no data set '{name}' stored in the file itself"):
        SnapshotArrays(arrays).read(0, [1])


@pytest.mark.parametrize(
    ("name", "shape"), [("networks", (10**12,)), ("epochs", (10**6, 10**6)), ("values", (2, 1, 10**13))]
)
def test_shapes_that_no_subset_has_are_refused_at_once(arrays: Path, name: str, shape: tuple[int, ...]) -> None:
    with h5py.File(arrays, "r+") as file:
        kind = file[name].dtype
        del file[name]
        file.create_dataset(name, shape, kind, chunks=tuple(min(size, 1000) for size in shape))
    with pytest.raises(DamagedFileError, match="no subset is that large"):
        SnapshotArrays(arrays).read(0, [1])


@pytest.mark.parametrize(
    "parts",
    [
        None,
        3,
        "{",
        "[[]]",
        "[" * 100_000,
        '[["weight", 0, [-1]]]',
        '[["weight", 0, [2]]]',
        '[["weight", 1, [3]]]',
        '[["weight", 0, ["3"]]]',
        '[["weight", 0, [3]], ["bias", 2, [1]]]',
    ],
)
def test_parts_that_are_not_those_of_the_values_are_refused(arrays: Path, parts: object) -> None:
    with h5py.File(arrays, "r+") as file:
        del file.attrs["parts"]
        if parts is not None:
            file.attrs["parts"] = parts
    with pytest.raises(DamagedFileError, match=r"weights\.h5 is damaged: its parts are .* a snapshot has 3 values"):
        SnapshotArrays(arrays).read(0, [1])


def test_values_that_are_no_snapshots_are_refused(arrays: Path) -> None:
    with h5py.File(arrays, "r+") as file:
        del file["values"]
        file["values"] = np.ones((2, 1), np.float32)
    with pytest.raises(DamagedFileError, match="the sizes of its networks, epochs and values do not match"):
        SnapshotArrays(arrays).read(0, [1])


def changed(bundled: Path, root: Path, table: TableName, change: Callable[[pd.DataFrame], pd.DataFrame]) -> nb.Subset:
    """A copy of the bundled zoo with another table, and its checksum in the manifest."""
    folder = root / "digits-lenet" / bundled.name
    shutil.copytree(bundled, folder)
    path = folder / table_file(table)
    write_table(folder, table, change(pd.read_parquet(path)).set_index(KEYS[table]))
    manifest = read_manifest(folder)
    files = manifest.files | {path.name: file_facts(path)}
    (folder / "subset.json").write_text(manifest.model_copy(update={"files": files}).model_dump_json(), encoding="utf-8")
    return nb.load("digits-lenet", root=root)


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("epoch", 200_000, r"signatures\.parquet is damaged: it has epoch 200000, but its networks have epochs 0 to 15"),
        ("epoch", -1, r"signatures\.parquet is damaged: it has epoch -1, but its networks have epochs 0 to 15"),
        ("epoch", 0.5, r"signatures\.parquet is damaged: its epochs are no whole numbers, but float64"),
        ("network", 999, r"the signatures in .* are damaged: there is no network 999"),
    ],
)
def test_epochs_and_networks_that_a_subset_does_not_have_are_named(
    bundled: Path, tmp_path: Path, key: str, value: float, says: str
) -> None:
    def with_a_strange_row(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(**{key: [*frame[key][:-1], value]})

    zoo = changed(bundled, tmp_path, "signatures", with_a_strange_row)
    with pytest.raises(DamagedFileError, match=says):
        zoo.pack.stores_signature("rolled", "absolute", "degree")


@pytest.mark.parametrize(
    ("table", "times", "says"),
    [
        ("curves", 2, "it has 6976 rows, but 240 networks of up to 15 epochs have at most 3840"),
        ("networks", 2, "it has 480 rows, but 240 networks of up to 15 epochs have at most 240"),
        ("signatures", 13, "it has 387712 rows, but 240 networks of up to 15 epochs have at most 384000"),
    ],
)
def test_more_rows_than_a_subset_can_have_are_not_read(
    bundled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: TableName, times: int, says: str
) -> None:
    zoo = changed(bundled, tmp_path, table, lambda frame: pd.concat([frame] * times))
    monkeypatch.setattr(pd, "read_parquet", lambda path: pytest.fail(f"{path} was read"))
    with pytest.raises(DamagedFileError, match=says):
        zoo.pack.table(table)


@pytest.mark.parametrize("fact", ["networks", "networks_planned", "epochs", "keep"])
@pytest.mark.parametrize("count", [-1, 10**9])
def test_counts_in_manifests_are_bounded(bundled: Path, fact: str, count: int) -> None:
    facts = read_manifest(bundled).model_dump(mode="json") | {fact: count}
    with pytest.raises(ValidationError, match=fact):
        Manifest.model_validate(facts)


def test_a_manifest_whose_tiers_have_files_without_a_checksum_is_refused(bundled: Path) -> None:
    facts = read_manifest(bundled).model_dump(mode="json")
    del facts["files"]["weights.h5"]
    with pytest.raises(ValidationError, match=r"list files without a size and checksum: weights\.h5"):
        Manifest.model_validate(facts)


def test_what_lies_beside_the_tables_alone_says_so(bundled: Path, tmp_path: Path) -> None:
    folder = tmp_path / "digits-lenet" / bundled.name
    folder.mkdir(parents=True)
    manifest = read_manifest(bundled)
    alone = manifest.model_copy(update={"tiers": {"weights": manifest.tiers["weights"]}})
    (folder / "subset.json").write_text(alone.model_dump_json(), encoding="utf-8")
    zoo = nb.load("digits-lenet", root=tmp_path)
    with pytest.raises(NotAtHandError, match="has no tables, only tiers that extend another folder's: weights"):
        zoo.checksum  # noqa: B018


def facts_of(content: bytes, hub: HubStandIn) -> FileFacts:
    from hashlib import sha256

    return FileFacts(bytes=len(content), sha256=sha256(content).hexdigest(), mirrors=[f"{hub.address}/mirror/file"])


def test_a_mirror_sends_no_more_than_the_manifest_says(hub: HubStandIn, tmp_path: Path) -> None:
    hub.mirrored["/mirror/file"] = b"right" * 1_000_000
    origin = Origin(repository=hub.repository, commit=hub.tags[f"digits-lenet-{PUBLISHED}"])
    with pytest.raises(DownloadError, match="sent more than the 5 bytes given in the manifest"):
        fetch(origin, "nowhere/file", facts_of(b"right", hub), tmp_path / "file")
    hub.mirrored["/mirror/file"] = b"right"
    fetch(origin, "nowhere/file", facts_of(b"right", hub), tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"right"


def test_a_mirror_takes_no_longer_than_its_bytes_may(
    hub: HubStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nndynbench.storage import hub as module

    clock = iter(range(0, 10**9, 100))
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    hub.mirrored["/mirror/file"] = b"right"
    origin = Origin(repository=hub.repository, commit=hub.tags[f"digits-lenet-{PUBLISHED}"])
    with pytest.raises(DownloadError, match="slower than"):
        fetch(origin, "nowhere/file", facts_of(b"right", hub), tmp_path / "file")


def test_a_pack_in_its_own_folder_is_read_whatever_the_path_to_it(bundled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(bundled.parent)
    assert PackedFolder(Path(bundled.name)).manifest.subset == "digits-lenet"


def test_what_another_users_killed_writer_left_stays_and_hinders_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, acquire = tmp_path / "1.0.0.0123.partial", files.FileLock.acquire
    left.mkdir()
    (left / "lock").touch()

    def refused(lock: files.FileLock, *arguments: object, **options: object) -> object:
        if Path(lock.lock_file).parent == left:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), lock.lock_file)
        return acquire(lock, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(files.FileLock, "acquire", refused)
    with folder_written_whole(tmp_path / "1.0.0") as fresh:
        (fresh / "file").write_text("whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.0.0", left.name]


def test_a_subset_is_read_although_the_current_folder_changes(
    bundled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(bundled, tmp_path / "zoo" / "digits-lenet" / bundled.name)
    monkeypatch.chdir(tmp_path)
    zoo = nb.load("digits-lenet", root="zoo")
    sent = pickle.dumps(zoo)
    monkeypatch.chdir(tmp_path.parent)
    for each in (zoo, pickle.loads(sent)):
        assert len(each.networks) == 240
        assert each.history(7, 2).graph(2).number_of_nodes == 51


def test_a_folder_that_is_named_twice_is_read_once(bundled: Path, tmp_path: Path) -> None:
    other = tmp_path / "digits-lenet" / bundled.name
    shutil.copytree(bundled, other)
    assert [each.folder for each in Pack(bundled, also=[other, bundled, other]).folders] == [bundled, other]
    once, twice = Pack(bundled), Pack(bundled, also=[bundled])
    assert (twice.folders[0].folder, len(twice.folders), len(twice.arrays("weights"))) == (bundled, 1, 1)
    assert twice.opening == once.opening


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
def test_a_pack_below_a_name_that_is_not_utf_8_is_read_and_written(bundled: Path, tmp_path: Path) -> None:
    root = tmp_path / os.fsdecode(b"caf\xe9")
    shutil.copytree(bundled, root / "digits-lenet" / bundled.name)
    zoo = nb.load("digits-lenet", root=root)
    assert len(zoo.networks) == 240
    assert zoo.history(7, 2).graph(2).number_of_nodes == 51
    recorder = nb.Recorder(root / "run")
    recorder.epoch(train_loss=1.0)
    recorder.finish(test_accuracy=50.0)
    assert nb.pack(root / "run", name="my-zoo", out=root / "zoo").curves["train_loss"].tolist() == [1.0]
