"""What slow functions computed: kept between processes, whatever happens to the file, never in place of something else."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nndynbench as nb
from nndynbench.protocols import MethodError
from nndynbench.storage import computed, places
from nndynbench.storage.computed import kept, key_of

WRITER = """
import sys
from nndynbench.storage import computed, places
computed.SLOW = 0.0
for number in range(int(sys.argv[1])):
    computed.kept(f"key {number}", lambda: [number] * 100)
    print(number, flush=True)
"""


@pytest.fixture
def file(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where values are kept, however fast they were."""
    monkeypatch.setenv("NNDYNBENCH_CACHE", "on")
    monkeypatch.setattr(computed, "SLOW", 0.0)
    return home / computed.FILE


def a_new_process() -> None:
    """What only a process remembers is gone: its connections, and the subsets' own memory with a newly loaded one."""
    computed._opened.clear()


def counted(value: Any) -> tuple[Callable[[], Any], list[int]]:
    calls: list[int] = []

    def compute() -> Any:
        calls.append(1)
        return value

    return compute, calls


def writer(count: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", WRITER, str(count)], stdout=subprocess.PIPE)


@pytest.mark.usefixtures("file")
def test_a_value_is_computed_once_and_read_back_to_the_last_digit() -> None:
    value = [0.1 + 0.2, 1e300, 5e-324, float("inf"), -0.0]
    compute, calls = counted(value)
    for _ in range(3):
        assert list(map(repr, kept("a key", compute))) == list(map(repr, value))
        a_new_process()
    assert len(calls) == 1


@pytest.mark.usefixtures("file")
def test_processes_write_at_once_and_read_what_the_others_wrote() -> None:
    writers = [writer(200) for _ in range(3)]
    assert [process.wait() for process in writers] == [0, 0, 0]
    compute, calls = counted(None)
    assert [kept(f"key {number}", compute) for number in range(200)] == [[number] * 100 for number in range(200)]
    assert not calls


@pytest.mark.usefixtures("file")
def test_a_process_killed_while_it_writes_leaves_whole_values() -> None:
    process = writer(1_000_000)
    assert process.stdout is not None
    for _ in range(20):
        process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    rows = computed._run("SELECT key, value FROM computed")
    assert len(rows) >= 20
    assert all(value == f"[{', '.join([key.split()[1]] * 100)}]".encode() for key, value in rows)


@pytest.mark.parametrize("damage", ["nothing but noise", "cut short", "a page overwritten"])
def test_a_damaged_file_is_begun_anew(file: Path, damage: str) -> None:
    for number in range(200):
        kept(f"key {number}", lambda number=number: [number] * 100)
    a_new_process()
    whole = file.read_bytes()
    noise = np.random.default_rng(0).bytes(len(whole))
    cut = {"nothing but noise": 0, "cut short": len(whole) // 2, "a page overwritten": 4096}[damage]
    file.write_bytes(whole[:cut] + (b"" if damage == "cut short" else noise[cut:]))
    for _ in range(2):
        assert [kept(f"key {number}", lambda number=number: [number] * 100) for number in range(200)] == [
            [number] * 100 for number in range(200)
        ]
        a_new_process()
    assert sqlite3.connect(file).execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_damaged_value_is_computed_again(file: Path) -> None:
    kept("a key", lambda: [1.5])
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE computed SET value = ?", (b"[2.5]",))
    assert kept("a key", lambda: [1.5]) == [1.5]


def test_without_a_folder_that_can_be_written_everything_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    (tmp_path / "a file").touch()
    blocked = tmp_path / "a file" / "inside"
    monkeypatch.setenv("NNDYNBENCH_HOME", str(blocked))
    monkeypatch.setattr(places, "default_home", lambda: blocked)
    compute, calls = counted([1])
    assert [kept("a key", compute) for _ in range(2)] == [[1], [1]]
    assert len(calls) == 2
    assert not file.exists()


def test_it_is_turned_off_by_a_variable(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNDYNBENCH_CACHE", "off")
    nb.Signature(lambda graph: graph.degree()).fit_transform(nb.load("digits-lenet").histories([0], 1))
    assert not file.exists()


def test_what_is_fast_or_no_json_is_not_kept(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    no_json = object()
    assert kept("a key", lambda: no_json) is no_json
    monkeypatch.setattr(computed, "SLOW", 10.0)
    compute, calls = counted(1)
    assert [kept("a key", compute), kept("a key", compute)] == [1, 1]
    assert len(calls) == 2


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
    assert "curves" not in vars(subset)  # the second time it was not opened
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
        description="a sum", source="", tier={"weights"}, regressor=make_pipeline(nb.Columns([loss]), LinearRegression())
    )
    for _ in range(2):
        with pytest.raises(MethodError, match=r"declares the tier \['weights'\] and read \['curves'\]"):
            nb.evaluate(method, "digits-lenet", protocol="regression", epochs=2)
        a_new_process()


@pytest.mark.usefixtures("file")
def test_of_a_function_without_a_fingerprint_nothing_is_kept(digits: nb.Subset) -> None:
    calls: dict[nb.History, int] = {}

    def counting(history: nb.History) -> dict[str, float]:
        return {"calls": calls[history]}

    histories = digits.histories([0, 1], 1)
    calls |= dict.fromkeys(histories, 7)
    assert key_of(counting) is None
    assert nb.Columns([counting]).fit_transform(histories)["calls"].tolist() == [7, 7]
