"""What slow functions computed is kept between processes, whatever happens to the file, and never taken for another's."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nndynbench as nb
from nndynbench.fingerprint import fingerprint
from nndynbench.protocols import MethodError
from nndynbench.storage import computed, places
from nndynbench.storage.computed import store_value, stored_value
from tests.patience import PATIENCE_SECONDS

WRITER = """
import sys
from nndynbench.storage import computed, places
for number in range(int(sys.argv[1])):
    computed.store_value(f"key {number}", [number] * 100, 1.0)
    print(number, flush=True)
"""


@pytest.fixture
def file(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which values are kept, here even those that were computed fast."""
    monkeypatch.setenv("NNDYNBENCH_CACHE", "on")
    monkeypatch.setattr(computed, "SLOW", 0.0)
    return home / computed.FILE


def a_new_process() -> None:
    """Forget what only a process remembers: its connections. The memory of a subset goes when it is loaded anew."""
    computed._opened.clear()


def writer(count: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", WRITER, str(count)], stdout=subprocess.PIPE)


def test_a_value_reads_back_to_the_last_digit(file: Path) -> None:
    value = [0.1 + 0.2, 1e300, 5e-324, float("inf"), -0.0]
    store_value("a key", value, 1.0)
    for _ in range(2):
        assert list(map(repr, stored_value("a key"))) == list(map(repr, value))
        a_new_process()


@pytest.mark.usefixtures("file")
def test_processes_write_at_once_and_read_what_the_others_wrote() -> None:
    writers = [writer(200) for _ in range(3)]
    assert [process.wait(PATIENCE_SECONDS) for process in writers] == [0, 0, 0]
    assert [stored_value(f"key {number}") for number in range(200)] == [[number] * 100 for number in range(200)]


@pytest.mark.usefixtures("file")
def test_a_process_killed_while_it_writes_leaves_whole_values() -> None:
    process = writer(1_000_000)
    assert process.stdout is not None
    assert all(process.stdout.readline() for _ in range(20)), "it ended before it was killed"
    os.kill(process.pid, signal.SIGKILL)
    process.wait(PATIENCE_SECONDS)
    rows = computed._run("SELECT key, value FROM computed")
    assert len(rows) >= 20
    assert all(value == f"[{', '.join([key.split()[1]] * 100)}]".encode() for key, value in rows)


@pytest.mark.parametrize("damage", ["nothing but noise", "cut short", "a page overwritten"])
def test_a_damaged_file_is_begun_anew(file: Path, damage: str) -> None:
    for number in range(200):
        store_value(f"key {number}", [number] * 100, 1.0)
    a_new_process()
    whole = file.read_bytes()
    noise = np.random.default_rng(0).bytes(len(whole))
    cut = {"nothing but noise": 0, "cut short": len(whole) // 2, "a page overwritten": 4096}[damage]
    file.write_bytes(whole[:cut] + (b"" if damage == "cut short" else noise[cut:]))
    for _ in range(2):
        assert all(stored_value(f"key {number}") in (None, [number] * 100) for number in range(200))
        store_value("another", [1], 1.0)
        assert stored_value("another") == [1]
        a_new_process()
    assert sqlite3.connect(file).execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.parametrize(
    "damage",
    [
        "SET value = CAST('[2.5]' AS BLOB)",
        "SET value = NULL",
        "SET value = '[1.5]'",
        "SET value = 7",
        "SET checksum = NULL",
        "SET checksum = 'many'",
        "SET checksum = checksum + 1",
    ],
)
def test_what_cannot_be_read_is_not_there(file: Path, damage: str) -> None:
    store_value("a key", [1.5], 1.0)
    with sqlite3.connect(file) as connection:
        connection.execute(f"UPDATE computed {damage}")
    assert stored_value("a key") is None


def test_no_flipped_bit_gives_another_keys_value(file: Path) -> None:
    keys = {f"{number:064x}": [number] * 30 for number in range(16)}
    for key, value in keys.items():
        store_value(key, value, 1.0)
    a_new_process()
    whole = file.read_bytes()
    random = np.random.default_rng(0)
    for position in random.choice(8 * len(whole), 400, replace=False):
        flipped = bytearray(whole)
        flipped[position // 8] ^= 1 << position % 8
        file.write_bytes(flipped)
        assert all(stored_value(key) in (None, value) for key, value in keys.items())
        a_new_process()


def test_a_value_under_a_key_that_is_one_bit_off_is_not_there(file: Path) -> None:
    store_value("a key", [1.5], 1.0)
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE computed SET key = 'c key'")
    assert stored_value("c key") is None


def test_without_a_folder_that_can_be_written_everything_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    (tmp_path / "a file").touch()
    blocked = tmp_path / "a file" / "inside"
    monkeypatch.setenv("NNDYNBENCH_HOME", str(blocked))
    monkeypatch.setattr(places, "default_home", lambda: blocked)
    store_value("a key", [1], 1.0)
    assert stored_value("a key") is None
    assert not file.exists()


def test_it_is_turned_off_by_a_variable(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNDYNBENCH_CACHE", "off")
    nb.Signature(lambda graph: graph.degree()).fit_transform(nb.load("digits-lenet").histories([0], 1))
    assert not file.exists()


def test_what_is_fast_or_no_json_is_not_kept(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store_value("a key", object(), 1.0)
    monkeypatch.setattr(computed, "SLOW", 10.0)
    store_value("another", 1, 1.0)
    assert stored_value("a key") is stored_value("another") is None


@pytest.mark.usefixtures("file")
def test_a_function_of_the_graph_is_called_once_per_snapshot_in_all_processes_together() -> None:
    def widest(graph: nb.graphs.LayeredGraph) -> np.ndarray:
        return np.array([block.max() for block in graph.blocks])

    cold = nb.Signature(widest).fit_transform(nb.load("digits-lenet").histories([0, 100], 3))
    again = nb.load("digits-lenet")
    again._arrays = None  # type: ignore[method-assign,assignment]  # nothing can be read from the files
    for budget in (3, 2):
        warm = nb.Signature(widest).fit_transform(again.histories([0, 100], budget))
        np.testing.assert_array_equal(warm, cold[:, : warm.shape[1]])
        assert warm.shape[1] == budget * cold.shape[1] // 3


@pytest.mark.usefixtures("file")
def test_an_edited_function_never_reads_what_the_old_one_computed(digits: nb.Subset) -> None:
    source = "def largest(graph):\n    return [block.{}() for block in graph.blocks]\n"
    found = []
    for edition in ("max", "min"):
        namespace: dict[str, Any] = {"__name__": "a_method_file"}
        exec(source.format(edition), namespace)
        [values] = nb.Signature(namespace["largest"]).fit_transform(digits.histories([100], 1))
        found.append((values, [getattr(block, edition)() for block in digits.history(100, 1).graph(1).blocks]))
    for values, expected in found:
        np.testing.assert_array_equal(values, expected)


@pytest.mark.usefixtures("file")
def test_columns_are_kept_with_the_information_tiers_that_they_read() -> None:
    def final_loss(history: nb.History) -> dict[str, float]:
        return {"loss": history.curves["train_loss"].iloc[-1], "rate": history.hyperparameters["learning_rate"]}

    found = []
    for _ in range(2):
        subset, read = nb.load("digits-lenet"), set[str]()
        found.append(nb.Columns([final_loss]).fit_transform(subset.histories([0, 100], 3, read=read)))
        assert read == {"curves", "hyperparameters"}
        a_new_process()
    assert "curves" not in vars(subset)  # the table was not read the second time
    np.testing.assert_array_equal(*found)
    other_budget = nb.Columns([final_loss]).fit_transform(nb.load("digits-lenet").histories([0, 100], 2))
    assert (other_budget["loss"] != found[0]["loss"]).all()


@pytest.mark.usefixtures("file")
def test_a_method_that_reads_an_undeclared_tier_is_refused_also_from_what_was_kept() -> None:
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline

    def loss(history: nb.History) -> dict[str, float]:
        return {"loss": float(np.nan_to_num(history.curves["train_loss"]).sum())}

    method = nb.Method(
        description="a sum", source="", reads={"weights"}, regressor=make_pipeline(nb.Columns([loss]), LinearRegression())
    )
    for _ in range(2):
        with pytest.raises(MethodError, match=r"declares that it reads \['weights'\], but also read \['curves'\]"):
            nb.evaluate(method, "digits-lenet", protocol="regression", budgets=2)
        a_new_process()


@pytest.mark.usefixtures("file")
def test_of_a_function_without_a_fingerprint_nothing_is_kept(digits: nb.Subset) -> None:
    calls: dict[nb.History, int] = {}

    def counting(history: nb.History) -> dict[str, float]:
        return {"calls": calls[history]}

    histories = digits.histories([0, 1], 1)
    calls |= dict.fromkeys(histories, 7)
    assert fingerprint(counting) is None
    assert nb.Columns([counting]).fit_transform(histories)["calls"].tolist() == [7, 7]
