"""What cannot be written to its place is written where it can be, and a message says where."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from nndynbench.protocols import find_protocol, read_result
from nndynbench.protocols.stored import StoredResults
from nndynbench.storage.elsewhere import SavedElsewhereWarning, rows_written_somewhere, written_somewhere
from nndynbench.subsets import Subset


def write(path: Path) -> None:
    path.write_text("hours", encoding="utf-8")


@pytest.fixture
def other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The temporary folder, to which files go instead."""
    (other := tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(other))
    return other


def test_what_can_be_written_is_where_it_was_asked_for(tmp_path: Path, other: Path) -> None:
    assert written_somewhere(write, tmp_path / "a.json") == tmp_path / "a.json"
    assert list(other.iterdir()) == []


def test_what_cannot_is_in_the_temporary_folder_under_a_name_of_its_own(tmp_path: Path, other: Path) -> None:
    (tmp_path / "a.json").mkdir()  # a folder is in the way
    (other / "a.json").write_text("another", encoding="utf-8")
    with pytest.warns(SavedElsewhereWarning, match=r"a\.json could not be written \(.*\); saved as .*temporary"):
        places = [written_somewhere(write, tmp_path / "a.json") for _ in range(2)]
    assert [place.read_text(encoding="utf-8") for place in places] == ["hours", "hours"]
    assert (other / "a.json").read_text(encoding="utf-8") == "another"
    assert len({*places}) == 2


def test_the_home_and_the_current_folder_are_tried_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home := tmp_path / "home").mkdir()
    (tmp_path / "a.json").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    monkeypatch.setattr(Path, "home", lambda: home)
    with pytest.warns(SavedElsewhereWarning):
        assert written_somewhere(write, tmp_path / "a.json").parent == home
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "gone")
    monkeypatch.chdir(home)
    with pytest.warns(SavedElsewhereWarning):
        assert written_somewhere(write, tmp_path / "a.json").parent == home


def test_a_table_that_a_spreadsheet_holds_is_put_elsewhere(
    tmp_path: Path, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, path, replace = pd.DataFrame({"networks": [48, 96]}), tmp_path / "a.csv", Path.replace

    def held(whole: Path, target: Path) -> Path:
        if target == path:
            raise PermissionError("it is open")
        return replace(whole, target)

    assert rows_written_somewhere(rows, path) == path
    monkeypatch.setattr(Path, "replace", held)
    with pytest.warns(SavedElsewhereWarning, match=r"a\.csv could not be written \(it is open\)"):
        written = rows_written_somewhere(rows, path)
    assert written.parent == other
    pd.testing.assert_frame_equal(pd.read_csv(written), rows)


def test_where_nothing_can_be_written_the_first_reason_is_raised(tmp_path: Path) -> None:
    def fail(path: Path) -> None:
        raise OSError(28, f"no room for {path.parent}")

    with pytest.raises(OSError, match=f"no room for {tmp_path}"):
        written_somewhere(fail, tmp_path / "a.json")


def test_stored_results_go_on_without_their_folder_and_mend_a_damaged_file(
    digits: Subset, tmp_path: Path, other: Path
) -> None:
    protocol = find_protocol("regression-folds")
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    with pytest.warns(SavedElsewhereWarning):
        fitted = StoredResults(tmp_path / "file").fitted("constant", [digits], protocol, [1])
    [saved] = other.iterdir()
    assert read_result(saved).predictions.equals(fitted.predictions)
    store = StoredResults(tmp_path / "results")
    store.fitted("constant", [digits], protocol, [1])
    [path] = tmp_path.glob("results/*/*/*.json")
    path.write_text(path.read_text(encoding="utf-8")[:1000], encoding="utf-8")
    assert not store.holds("constant", [digits], protocol, [1])
    assert set(store.fitted("constant", [digits], protocol, [1]).scores["budget"]) == {1}
    assert store.holds("constant", [digits], protocol, [1])
