"""Reading lazily: little memory, in any worker, and in the shapes that other libraries expect."""

from __future__ import annotations

import multiprocessing
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from joblib import Parallel, delayed

import nndynbench as nb
from nndynbench.storage.places import NotAtHandError
from tests.patience import PATIENCE_SECONDS

NETWORKS = [0, 7, 100, 239]


def total_weight(history: nb.History) -> float:
    """A number that takes a whole graph to compute."""
    return float(sum(block.sum() for block in history.graph(history.epochs).blocks))


def network_weight(subset: nb.Subset, network: int) -> float:
    return total_weight(subset.history(network, 5))


class TestWorkers:
    def test_joblib_processes_read_what_this_one_reads(self, digits: nb.Subset) -> None:
        histories = digits.histories(NETWORKS, 5)
        expected = [total_weight(history) for history in histories]
        assert Parallel(n_jobs=2)(delayed(total_weight)(history) for history in histories) == expected

    def test_forked_processes_read_what_this_one_reads_and_goes_on_reading(self, digits: nb.Subset) -> None:
        expected = [network_weight(digits, network) for network in NETWORKS]  # leaves the file open in this process
        with multiprocessing.get_context("fork").Pool(2) as pool:
            assert pool.starmap(network_weight, [(digits, network) for network in NETWORKS]) == expected
        assert [network_weight(digits, network) for network in NETWORKS] == expected

    @pytest.mark.parametrize("start", ["fork", "spawn"])
    def test_a_torch_loader_with_workers_reads_every_snapshot_once(self, start: str, digits: nb.Subset) -> None:
        torch = pytest.importorskip("torch")
        snapshots = digits.to_torch("graphs", network_ids=NETWORKS, epochs=range(1, 6))
        _ = snapshots[0]
        loader = torch.utils.data.DataLoader(snapshots, batch_size=3, num_workers=2, multiprocessing_context=start)
        seen = [
            (int(network), int(epoch), float(sum(part[row].double().sum() for part in batch["values"].values())))
            for batch in loader
            for row, (network, epoch) in enumerate(zip(batch["network"], batch["epoch"], strict=True))
        ]
        assert [(network, epoch) for network, epoch, _ in seen] == [(n, e) for n in NETWORKS for e in range(1, 6)]
        expected = [float(sum(b.sum() for b in digits.history(n, e).graph(e).blocks)) for n, e, _ in seen]
        np.testing.assert_allclose([total for *_, total in seen], expected, rtol=1e-6)  # tensors are float32

    def test_a_worker_opens_a_subset_once_however_many_histories_it_is_sent(self, digits: nb.Subset) -> None:
        first, second = (pickle.loads(pickle.dumps(digits)) for _ in range(2))
        assert first is second
        assert len(pickle.dumps(digits.histories(range(240), 5))) < 100_000

    def test_a_worker_reads_a_tier_that_came_after_it_opened_a_subset(self, digits: nb.Subset, tmp_path: Path) -> None:
        folder = tmp_path / "digits-lenet" / digits.version
        shutil.copytree(digits.folder, folder, ignore=shutil.ignore_patterns("weights.h5"))
        (folder / "origin.json").write_text('{"repository": "some/where", "commit": "1"}', encoding="utf-8")
        lacking = pickle.loads(pickle.dumps(nb.load("digits-lenet", root=tmp_path, offline=True).history(7, 5)))
        with pytest.raises(NotAtHandError, match="holds 0 of 240 networks"):
            total_weight(lacking)
        shutil.copy(digits.folder / "weights.h5", folder)
        whole = pickle.loads(pickle.dumps(nb.load("digits-lenet", root=tmp_path, offline=True).history(7, 5)))
        assert total_weight(whole) == network_weight(digits, 7)


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux, to read peak memory from /proc")
def test_iterating_over_every_snapshots_graph_stays_under_300_megabytes() -> None:
    # VmHWM is this program's own peak; getrusage would count what the process was before it ran it.
    code = """
import re
import sys
from pathlib import Path
sys.modules["numba"] = None  # the core alone: compiling takes a hundred megabytes
import nndynbench as nb

zoo = nb.load("digits-lenet")
edges = 0
for network in zoo.network_ids:
    last = int(zoo.networks.loc[network, "epochs_trained"])
    history = zoo.history(network, last)
    edges += sum(history.graph(epoch).number_of_edges for epoch in [*range(min(last, 10) + 1), last])
print(edges, int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024 // 10**6)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=True)
    edges, megabytes = map(int, done.stdout.split())
    assert edges > 240 * 10 * 400
    assert megabytes < 300


def test_a_historys_tables_are_its_networks_rows_up_to_the_budget(digits: nb.Subset) -> None:
    for network in NETWORKS:
        history = digits.history(network, 4)
        # Seconds would tell the batch size.
        pd.testing.assert_frame_equal(history.curves, digits.curves.loc[network].loc[:4].drop(columns="seconds"))
        pd.testing.assert_frame_equal(history.features, digits.features.loc[network].loc[:4])


def test_to_datasets_has_the_keys_as_columns(digits: nb.Subset) -> None:
    pytest.importorskip("datasets")
    curves = digits.to_datasets("curves")
    assert curves.column_names[:2] == ["network", "epoch"]
    assert curves[0]["validation_accuracy"] == digits.curves["validation_accuracy"].iloc[0]
    assert digits.to_datasets().num_rows == 240
    with pytest.raises(ValueError, match=r"unknown table 'curve'; did you mean 'curves'"):
        digits.to_datasets("curve")  # type: ignore[arg-type]


def test_to_torch_has_an_item_per_network_and_kept_epoch(digits: nb.Subset) -> None:
    torch = pytest.importorskip("torch")
    snapshots = digits.to_torch("weights", network_ids=[3], epochs=[0, 2])
    assert isinstance(snapshots, torch.utils.data.Dataset)
    assert [(item["network"], item["epoch"]) for item in snapshots] == [(3, 0), (3, 2)]
    assert len(digits.to_torch("weights", network_ids=[3], epochs=np.array([0, 2]))) == 2  # type: ignore[arg-type]
    weights = digits.history(3, 2).weights(2)
    assert snapshots[1]["values"].keys() == weights.keys()
    for name, values in weights.items():
        np.testing.assert_array_equal(snapshots[1]["values"][name].numpy(), values)
    facts = digits.networks.loc[3]
    assert (snapshots[1]["final_accuracy"], snapshots[1]["label"]) == (facts["final_accuracy"], facts["label"])
    with pytest.raises(ValueError, match=r"unknown tier of arrays 'networks'"):
        digits.to_torch("networks")
    with pytest.raises(KeyError, match=r"has no network 9999 \(it has 240, from 0 to 239\)"):
        digits.to_torch("weights", network_ids=[3, 9999])
    with pytest.raises(nb.NndynbenchError, match=r"has no networks 300, 9999 \(it"):
        digits.to_torch("weights", network_ids=[3, 9999, 300])
    with pytest.raises(NotAtHandError, match="holds none of the chosen epochs of the chosen networks"):
        digits.to_torch("weights", epochs=[99])


@pytest.mark.parametrize("table", ["networks", "curves", "signatures", "features"])
def test_a_table_is_its_callers_own(table: str) -> None:
    zoo, untouched = nb.load("digits-lenet"), nb.load("digits-lenet")
    frame = getattr(zoo, table)
    frame[frame.select_dtypes("float").columns] = 0.0
    pd.testing.assert_frame_equal(getattr(zoo, table), getattr(untouched, table))
    ours, theirs = (each.history(100, 3) for each in (zoo, untouched))
    pd.testing.assert_frame_equal(ours.curves, theirs.curves)
    pd.testing.assert_frame_equal(ours.features, theirs.features)
    np.testing.assert_array_equal(ours.signature("degree"), theirs.signature("degree"))
    assert ours.hyperparameters == theirs.hyperparameters
