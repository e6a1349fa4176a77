"""Downloading from the hub: what is fetched when, and that every fault ends in the right data or a clear error."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import nndynbench as nb
from nndynbench.names import UnknownNameError
from nndynbench.storage import places
from nndynbench.storage.files import DamagedFileError
from nndynbench.storage.hub import DownloadError
from nndynbench.storage.manifest import FileFacts, read_manifest
from nndynbench.storage.places import NotAtHandError
from tests.patience import PATIENCE_SECONDS
from tests.storage.conftest import PUBLISHED, publish
from tests.storage.hub_stand_in import Fault, HubStandIn

FOLDER = f"digits-lenet/{PUBLISHED}"
MANIFEST_AND_ORIGIN = {"subset.json", "origin.json"}


def files_in(folder: Path) -> set[str]:
    """All files below a folder, except locks."""
    return {str(f.relative_to(folder)) for f in folder.rglob("*") if f.is_file() and f.suffix != ".lock"}


class TestWhatIsFetched:
    def test_load_fetches_the_manifest_and_a_table_when_it_is_asked_for(
        self, hub: HubStandIn, home: Path, digits: nb.Subset
    ) -> None:
        zoo = nb.load("digits-lenet", version=PUBLISHED)
        assert files_in(home / FOLDER) == MANIFEST_AND_ORIGIN
        pd.testing.assert_frame_equal(zoo.networks, digits.networks)
        assert files_in(home / FOLDER) == MANIFEST_AND_ORIGIN | {"networks.parquet"}

    @pytest.mark.usefixtures("nothing_bundled")
    def test_without_a_version_the_highest_published_one_is_taken(self, hub: HubStandIn, bundled: Path) -> None:
        publish(hub, read_manifest(bundled).model_copy(update={"version": "0.0.10"}), bundled)
        # The subset's name begins with another subset's, but it is no version of that one.
        publish(hub, read_manifest(bundled).model_copy(update={"subset": "digits-lenet-half", "version": "9.0.0"}), bundled)
        assert nb.load("digits-lenet").version == "0.0.10"
        assert nb.load("digits-lenet-half").version == "9.0.0"

    def test_a_tier_is_downloaded_with_the_tables_and_then_read_without_the_hub(
        self, hub: HubStandIn, home: Path, digits: nb.Subset
    ) -> None:
        zoo = nb.download("digits-lenet", tiers=["graphs"], version=PUBLISHED)
        assert zoo.tiers == ["networks", "centralities", "graphs", "weights"]  # all others follow from the weights
        hub.requests.clear()
        again = nb.load("digits-lenet", version=PUBLISHED, offline=True)
        ours, theirs = (z.history(3, 5).graph(5).blocks for z in (again, digits))
        assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))
        assert hub.requests == []

    def test_a_tier_that_was_not_downloaded_gives_an_error_with_the_command(self, hub: HubStandIn) -> None:
        history = nb.load("digits-lenet", version=PUBLISHED).history(3, 5)
        with pytest.raises(NotAtHandError, match=r"nndynbench download digits-lenet --tier weights --version 0.0.9"):
            history.weights(5)
        pytest.importorskip("torch")
        with pytest.raises(NotAtHandError, match=r"nndynbench download digits-lenet --tier graphs --version 0.0.9"):
            nb.load("digits-lenet", version=PUBLISHED).to_torch("graphs")

    def test_what_is_there_is_not_fetched_again(self, hub: HubStandIn) -> None:
        nb.download("digits-lenet", version=PUBLISHED)
        before = dict(hub.transfers)
        nb.download("digits-lenet", tiers=["centralities"], version=PUBLISHED)
        fetched = {path for path, count in hub.transfers.items() if count != before.get(path, 0)}
        assert fetched == {f"{FOLDER}/weights.h5"}  # centralities follow from the weights

    def test_a_downloaded_tier_completes_the_bundled_edition_of_the_same_version(
        self, hub: HubStandIn, bundled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        whole = read_manifest(bundled)
        tables = {name: whole.files[name] for name in whole.tiers["networks"].files}
        poor = whole.model_copy(update={"tiers": {"networks": whole.tiers["networks"]}, "files": tables})
        package = tmp_path / "package" / "digits-lenet" / poor.version
        package.mkdir(parents=True)
        for name in tables:
            (package / name).write_bytes((bundled / name).read_bytes())
        (package / "subset.json").write_text(poor.model_dump_json())
        monkeypatch.setattr(places, "bundled_folder", lambda: tmp_path / "package")
        publish(hub, whole, bundled)
        assert nb.load("digits-lenet").tiers == ["networks"]
        nb.download("digits-lenet", tiers=["graphs"])
        assert nb.load("digits-lenet").tiers == ["networks", "centralities", "graphs", "weights"]

    def test_unknown_tiers_and_unpublished_tiers_are_named(self, hub: HubStandIn, bundled: Path) -> None:
        with pytest.raises(UnknownNameError, match=r"unknown tier 'graph'; did you mean 'graphs'"):
            nb.download("digits-lenet", tiers=["graph"], version=PUBLISHED)  # type: ignore[list-item]
        whole = read_manifest(bundled)
        poor = whole.model_copy(update={"version": "0.0.7", "tiers": {"networks": whole.tiers["networks"]}})
        publish(hub, poor, bundled)
        with pytest.raises(NotAtHandError, match=r"published without the tier weights"):
            nb.download("digits-lenet", tiers=["weights"], version="0.0.7")


class TestFaults:
    @pytest.mark.parametrize("fault", ["drop", "truncate", "corrupt", "refuse"])
    def test_a_fault_that_passes_ends_in_the_right_data(
        self, fault: Fault, hub: HubStandIn, home: Path, digits: nb.Subset
    ) -> None:
        hub.faults["networks.parquet"] = [fault]
        zoo = nb.load("digits-lenet", version=PUBLISHED)
        pd.testing.assert_frame_equal(zoo.networks, digits.networks)
        assert hub.transfers[f"{FOLDER}/networks.parquet"] == 2
        assert files_in(home / FOLDER) == MANIFEST_AND_ORIGIN | {"networks.parquet"}

    @pytest.mark.parametrize(("fault", "said"), [("truncate", "Consistency check failed"), ("corrupt", "SHA-256")])
    def test_a_fault_that_stays_ends_in_an_error_and_leaves_nothing_behind(
        self, fault: Fault, said: str, hub: HubStandIn, home: Path
    ) -> None:
        hub.faults["networks.parquet"] = [fault] * 10
        zoo = nb.load("digits-lenet", version=PUBLISHED)
        with pytest.raises(DownloadError, match=rf"networks.parquet could not be fetched: {hub.repository}: .*{said}"):
            _ = zoo.networks
        assert files_in(home / FOLDER) == MANIFEST_AND_ORIGIN

    def test_a_manifest_is_asked_for_again_where_the_first_answer_is_dropped(self, hub: HubStandIn, home: Path) -> None:
        hub.faults["subset.json"] = ["drop"]
        assert nb.load("digits-lenet", version=PUBLISHED).version == PUBLISHED
        assert files_in(home / FOLDER) == MANIFEST_AND_ORIGIN

    @pytest.mark.parametrize("fault", ["truncate", "corrupt"])
    def test_a_bad_manifest_is_never_put_in_place(self, fault: Fault, hub: HubStandIn, home: Path) -> None:
        hub.faults["subset.json"] = [fault] * 10
        with pytest.raises(NotAtHandError, match=r"subset.json could not be fetched"):
            nb.load("digits-lenet", version=PUBLISHED)
        assert files_in(home / FOLDER) == set()

    def test_another_host_is_asked_where_the_hub_fails(
        self, hub: HubStandIn, home: Path, bundled: Path, digits: nb.Subset
    ) -> None:
        whole = read_manifest(bundled)
        mirrored = whole.files["networks.parquet"].model_copy(update={"mirrors": [f"{hub.address}/elsewhere"]})
        files = whole.files | {"networks.parquet": mirrored}
        publish(hub, whole.model_copy(update={"version": "0.0.8", "files": files}), bundled)
        hub.mirrored["/elsewhere"] = (bundled / "networks.parquet").read_bytes()
        hub.faults["networks.parquet"] = ["corrupt"] * 10
        pd.testing.assert_frame_equal(nb.load("digits-lenet", version="0.0.8").networks, digits.networks)

    def test_two_processes_at_once_fetch_a_file_once_and_both_read_it(self, hub: HubStandIn, home: Path) -> None:
        hub.faults["weights.h5"] = ["slow"]
        code = (
            "import nndynbench as nb; "
            f"zoo = nb.download('digits-lenet', tiers=['centralities'], version='{PUBLISHED}'); "
            "print(zoo.history(3, 5).centrality('degree').sum())"
        )
        processes = [
            subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for _ in range(2)
        ]
        answers = [process.communicate(timeout=PATIENCE_SECONDS) for process in processes]
        assert [process.returncode for process in processes] == [0, 0], answers
        assert answers[0][0] == answers[1][0] != ""
        assert hub.transfers[f"{FOLDER}/weights.h5"] == 1
        assert all(error == "" for _, error in answers), "quiet where there is no terminal"

    def test_what_a_killed_process_left_is_cleared_away(self, hub: HubStandIn, home: Path) -> None:
        zoo = nb.load("digits-lenet", version=PUBLISHED)
        left = home / FOLDER / ".incoming" / "networks.parquet"
        left.mkdir()
        (left / "half").write_bytes(b"PAR1")
        assert len(zoo.networks) == 240
        assert not left.exists()


class TestDamage:
    def test_a_bad_file_is_named_set_aside_and_fetched_again(
        self, hub: HubStandIn, home: Path, digits: nb.Subset, caplog: pytest.LogCaptureFixture
    ) -> None:
        nb.download("digits-lenet", version=PUBLISHED)
        path = home / FOLDER / "networks.parquet"
        damage(path)
        pd.testing.assert_frame_equal(nb.load("digits-lenet", version=PUBLISHED).networks, digits.networks)
        assert f"{path} is damaged" in caplog.text
        assert path.with_name("networks.parquet.damaged").is_file()

    def test_offline_it_is_named_and_not_read(self, hub: HubStandIn, home: Path) -> None:
        nb.download("digits-lenet", version=PUBLISHED)
        damage(home / FOLDER / "networks.parquet")
        with pytest.raises(DamagedFileError, match=r"networks.parquet is damaged: expected .* offline"):
            _ = nb.load("digits-lenet", version=PUBLISHED, offline=True).networks

    def test_in_a_folder_of_ones_own_it_is_named_and_left_alone(self, bundled: Path, tmp_path: Path) -> None:
        own = tmp_path / "own" / "digits-lenet" / bundled.name
        own.mkdir(parents=True)
        for file in bundled.iterdir():
            (own / file.name).write_bytes(file.read_bytes())
        damage(own / "curves.parquet")
        (own / "features.parquet").unlink()
        zoo = nb.load("digits-lenet", root=tmp_path / "own")
        with pytest.raises(DamagedFileError, match=r"curves.parquet is damaged: expected"):
            _ = zoo.curves
        with pytest.raises(DamagedFileError, match=r"features.parquet is missing"):
            _ = zoo.features
        assert (own / "curves.parquet").is_file()

    def test_what_a_folder_lacks_is_read_from_the_next_one(self, bundled: Path, home: Path, digits: nb.Subset) -> None:
        own = home / "digits-lenet" / digits.version
        own.mkdir(parents=True)
        for file in bundled.iterdir():
            if file.name not in ("curves.parquet", "weights.h5"):
                (own / file.name).write_bytes(file.read_bytes())
        zoo = nb.load("digits-lenet")
        assert zoo.folder == own
        pd.testing.assert_frame_equal(zoo.curves, digits.curves)
        for block, same in zip(zoo.history(3, 2).graph(2).blocks, digits.history(3, 2).graph(2).blocks, strict=True):
            np.testing.assert_array_equal(block, same)


class TestNoNetwork:
    @pytest.mark.usefixtures("nothing_bundled")
    def test_a_hub_that_does_not_answer_is_named_with_the_command_that_regenerates(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("NNDYNBENCH_OFFLINE", "0")
        monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
        said = r"could not be reached .*python -m generation train cifar10-resnet44 --out DIR"
        with pytest.raises(NotAtHandError, match=said):
            nb.load("cifar10-resnet44")

    @pytest.mark.usefixtures("nothing_bundled")
    def test_offline_the_hub_is_never_asked(self, hub: HubStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(NotAtHandError, match=r"offline"):
            nb.load("digits-lenet", offline=True)
        monkeypatch.setenv("NNDYNBENCH_OFFLINE", "1")
        with pytest.raises(NotAtHandError, match=r"offline"):
            nb.load("digits-lenet")
        with pytest.raises(NotAtHandError, match=r"offline"):
            nb.download("digits-lenet")
        assert hub.requests == []
        assert nb.load("digits-lenet", offline=False).version == PUBLISHED

    def test_offline_what_was_downloaded_loads_and_what_was_not_says_so(self, hub: HubStandIn) -> None:
        nb.load("digits-lenet", version=PUBLISHED)
        zoo = nb.load("digits-lenet", version=PUBLISHED, offline=True)
        with pytest.raises(NotAtHandError, match=r"networks.parquet of digits-lenet 0.0.9 was not downloaded"):
            _ = zoo.networks

    @pytest.mark.usefixtures("nothing_bundled")
    def test_what_is_published_nowhere_says_so_with_the_command_that_regenerates(
        self, hub: HubStandIn, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with pytest.raises(NotAtHandError, match=r"does not have it \(its versions: none\); regenerate it"):
            nb.load("cifar10-resnet44")
        with pytest.raises(NotAtHandError, match=r"9.9.9 cannot be downloaded: .* \(its versions: 0.0.9\)"):
            nb.download("digits-lenet", version="9.9.9")
        monkeypatch.setenv("NNDYNBENCH_HUB", "nobody/nothing")
        with pytest.raises(NotAtHandError, match=r"nobody/nothing does not have it"):
            nb.load("cifar10-resnet44")

    def test_a_bundled_subset_loads_and_verifies(self) -> None:
        environment = os.environ | {"HF_ENDPOINT": "http://127.0.0.1:9", "NNDYNBENCH_OFFLINE": "0"}
        command = [sys.executable, "-m", "nndynbench", "verify", "digits-lenet"]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert "6 files checked" in done.stdout


class TestHome:
    def test_import_writes_nothing(self, tmp_path: Path) -> None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("NNDYNBENCH", "XDG", "HF_"))}
        user = tmp_path / "user"
        user.mkdir()
        code = "import nndynbench; nndynbench.load; nndynbench.subsets()"
        subprocess.run(
            [sys.executable, "-c", code], env=environment | {"HOME": str(user)}, check=True, timeout=PATIENCE_SECONDS
        )
        assert list(user.rglob("*")) == []

    def test_another_pack_of_the_same_version_is_not_overwritten(self, hub: HubStandIn, home: Path, bundled: Path) -> None:
        own = home / FOLDER
        own.mkdir(parents=True)
        manifest = read_manifest(bundled).model_copy(update={"version": PUBLISHED, "zoo_seed": 7})
        (own / "subset.json").write_text(manifest.model_dump_json())
        with pytest.raises(FileExistsError, match=r"holds a pack of digits-lenet 0.0.9 that differs from the one in"):
            nb.download("digits-lenet", version=PUBLISHED)
        assert read_manifest(own).zoo_seed == 7

    def test_another_hubs_pack_of_the_same_version_is_not_mixed_in(
        self, hub: HubStandIn, bundled: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        nb.download("digits-lenet", version=PUBLISHED)
        hub.repository = "someone/else"
        publish(hub, read_manifest(bundled).model_copy(update={"version": PUBLISHED, "zoo_seed": 7}), bundled)
        monkeypatch.setenv("NNDYNBENCH_HUB", hub.repository)
        with pytest.raises(FileExistsError, match=r"a pack of digits-lenet 0.0.9 that differs from the one in someone/else"):
            nb.download("digits-lenet", version=PUBLISHED)

    @pytest.mark.parametrize("content", ["", "{}", '{"repository": 1, "commit": 2}'])
    def test_a_damaged_origin_is_named_with_what_mends_it(self, content: str, hub: HubStandIn, home: Path) -> None:
        nb.download("digits-lenet", version=PUBLISHED)
        origin = home / FOLDER / "origin.json"
        origin.write_text(content, encoding="utf-8")
        for read in (nb.subsets, lambda: nb.download("digits-lenet", version=PUBLISHED)):
            with pytest.raises(
                DamagedFileError, match=r"origin\.json is damaged: .*; remove it and download the subset again"
            ):
                read()
        origin.unlink()
        assert nb.download("digits-lenet", version=PUBLISHED).tiers
        assert "origin.json" in files_in(home / FOLDER)

    def test_a_home_that_cannot_be_written_is_named(
        self, hub: HubStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "file").touch()
        monkeypatch.setenv("NNDYNBENCH_HOME", str(tmp_path / "file" / "home"))
        with pytest.raises(NotAtHandError, match=r"cannot write to .*set NNDYNBENCH_HOME"):
            nb.download("digits-lenet", version=PUBLISHED)

    def test_an_old_version_loads_and_says_by_what_it_is_superseded_and_why(
        self, hub: HubStandIn, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        catalogue = importlib.import_module("nndynbench.subsets.catalogue")
        facts = catalogue._catalogue()
        old = {PUBLISHED: {"by": "1.0.0", "why": "labels were cut at the wrong accuracy"}}
        entry = facts["subsets"]["digits-lenet"] | {"superseded": old}
        changed = facts | {"subsets": facts["subsets"] | {"digits-lenet": entry}}
        monkeypatch.setattr(catalogue, "_catalogue", lambda: changed)
        with pytest.warns(nb.SupersededWarning, match=r"0.0.9 is superseded by 1.0.0: labels were cut at the wrong"):
            assert len(nb.load("digits-lenet", version=PUBLISHED).networks) == 240


class TestCommands:
    def test_download_says_what_is_at_hand_and_verify_fetches_a_bad_file_again(self, hub: HubStandIn, home: Path) -> None:
        done = command("download", "digits-lenet", "--tier", "graphs", "--version", PUBLISHED)
        assert done.returncode == 0, done.stderr
        assert f"digits-lenet {PUBLISHED}: networks, centralities, graphs, weights at hand" in done.stdout
        damage(home / FOLDER / "weights.h5", keep_time=True)
        done = command("verify", "digits-lenet", "--version", PUBLISHED)
        assert done.returncode == 0, done.stdout
        assert "weights.h5.damaged and fetched again" in done.stderr
        damage(home / FOLDER / "weights.h5", keep_time=True)
        done = command("verify", "digits-lenet", "--version", PUBLISHED, NNDYNBENCH_OFFLINE="1")
        assert done.returncode == 1
        assert "damaged" in done.stdout

    def test_an_error_is_one_line(self, hub: HubStandIn) -> None:
        done = command("download", "digits-lenet", "--version", "9.9.9")
        assert done.returncode == 2
        assert done.stderr.startswith("error: digits-lenet 9.9.9 cannot be downloaded")
        assert done.stderr.count("\n") == 1


def command(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "nndynbench", *arguments],
        env=os.environ | {"COLUMNS": "300"} | variables,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def damage(path: Path, *, keep_time: bool = False) -> None:
    """Flip a bit in the middle of a file; with ``keep_time``, neither the file's size nor its time shows it."""
    stat = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    if keep_time:
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_facts_of_files_are_compared_by_content_alone() -> None:
    here, there = (FileFacts(bytes=3, sha256="0" * 64, mirrors=m) for m in ([], ["https://elsewhere"]))
    assert here.same_content(there)
    assert not here.same_content(FileFacts(bytes=3, sha256="1" * 64))
