"""Folders of checkpoints to graphs, centralities and signatures, through the command line and the library."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file
from typer.testing import CliRunner

from nndynbench.checkpoints import CheckpointError, read_folder
from nndynbench.cli import app
from nndynbench.convert import convert, read_checkpoint, snapshots_on_demand
from nndynbench.graphs import rolled
from nndynbench.storage.arrays import SnapshotArrays

EPOCHS = (1, 2, 10)


@pytest.fixture
def history(digits):
    return digits.history(digits.network_ids[1], budget=10)


@pytest.fixture
def folder(history, tmp_path):
    """Three snapshots of a real network, as somebody else would have saved them."""
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    for epoch in EPOCHS:
        weights = {f"module.{name}": np.ascontiguousarray(value) for name, value in history.weights(epoch).items()}
        save_file(weights, folder / f"epoch-{epoch}.safetensors")
    return folder


def test_checkpoints_come_in_the_order_of_their_epochs(folder, history):
    found = snapshots_on_demand(read_folder(folder), "digits-lenet")
    assert list(found) == list(EPOCHS)
    for epoch, weights in found.items():
        theirs = history.weights(epoch)
        assert all(np.array_equal(weights[name], theirs[name]) for name in weights)


def test_the_files_are_those_of_a_subset(folder, history, tmp_path):
    signatures = convert(folder, "digits-lenet", tmp_path / "out")
    graphs = SnapshotArrays(tmp_path / "out" / "graphs.h5")
    assert graphs.epochs(0) == list(EPOCHS)
    blocks = graphs.parts(graphs.read(0, [10])[0])
    expected = rolled(history.weights(10), "digits-lenet")
    assert list(blocks) == list(expected.layers[1:])
    for block, ours in zip(blocks.values(), expected.blocks, strict=True):
        assert np.array_equal(block, ours.astype(np.float32))
    centralities = SnapshotArrays(tmp_path / "out" / "centralities.h5")
    values = centralities.parts(centralities.read(0, [2])[0])
    np.testing.assert_allclose(values["degree"], rolled(history.weights(2), "digits-lenet").degree(), rtol=1e-6)
    stored = pd.read_parquet(tmp_path / "out" / "signatures.parquet").set_index(signatures.index.names)
    pd.testing.assert_frame_equal(stored, signatures)


def test_signatures_are_those_of_the_zoo(folder, digits, tmp_path):
    ours = convert(folder, "digits-lenet", tmp_path / "out").xs(10, level="epoch").loc[0, "unrolled", "negative", "degree"]
    theirs = digits.signatures.loc[digits.network_ids[1], 10, "unrolled", "negative", "degree"]
    np.testing.assert_allclose(ours, theirs, rtol=1e-3)  # the bundled weights are rounded to 12 bits


@pytest.mark.parametrize("suffix", [".pt", ".pth"])
def test_torch_files_are_read_alike(history, tmp_path, suffix):
    torch = pytest.importorskip("torch")
    state = {name: torch.from_numpy(np.array(value)) for name, value in history.weights(3).items()}
    torch.save({"model_state_dict": state, "epoch": 3}, tmp_path / f"last{suffix}")
    found = read_checkpoint(tmp_path / f"last{suffix}", "digits-lenet")
    assert all(np.array_equal(found[name], state[name].numpy()) for name in found)


def test_a_folder_named_as_a_checkpoint_is_none(folder):
    (folder / "epoch-3.pt").mkdir()
    assert list(read_folder(folder).by_epoch()) == list(EPOCHS)


def test_tensors_without_real_values_are_named(history, tmp_path):
    torch = pytest.importorskip("torch")
    weights = {name: torch.from_numpy(np.array(value)) for name, value in history.weights(3).items()}
    for stored, message in [
        ({name: value.to("meta") for name, value in weights.items()}, r"epoch1\.pt: 'conv1\.weight' is on the meta device"),
        ({name: value.to(torch.complex64) for name, value in weights.items()}, r"epoch1\.pt: .*type complex64"),
    ]:
        torch.save(stored, tmp_path / "epoch1.pt")
        with pytest.raises(CheckpointError, match=message):
            read_checkpoint(tmp_path / "epoch1.pt", "digits-lenet")


def test_bfloat16_is_read_from_either_kind_of_file(history, tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file as save_tensors

    state = {name: torch.from_numpy(np.array(value)).bfloat16() for name, value in history.weights(3).items()}
    torch.save(state, tmp_path / "epoch1.pt")
    save_tensors(state | {"steps": torch.tensor(3)}, tmp_path / "epoch2.safetensors")
    for path in tmp_path.iterdir():
        found = read_checkpoint(path, "digits-lenet")
        assert all(np.array_equal(found[name], state[name].float().numpy()) for name in state)


def test_an_empty_file_and_a_sparse_tensor_are_named(history, tmp_path):
    torch = pytest.importorskip("torch")
    (tmp_path / "epoch1.pt").touch()
    with pytest.raises(CheckpointError, match=r"epoch1\.pt is not a torch file, or it is truncated"):
        read_checkpoint(tmp_path / "epoch1.pt", "digits-lenet")
    state = {name: torch.from_numpy(np.array(value)) for name, value in history.weights(3).items()}
    torch.save(state | {"fc1.weight": state["fc1.weight"].to_sparse()}, tmp_path / "epoch1.pt")
    with pytest.raises(CheckpointError, match=r"epoch1\.pt: .*[Ss]parse"):
        read_checkpoint(tmp_path / "epoch1.pt", "digits-lenet")


class Payload:
    """An object that only unpickling could bring back."""


def test_a_pickled_object_is_refused_and_named(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save(Payload(), tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match=r"model\.pt.*nothing is unpickled.*state_dict"):
        read_checkpoint(tmp_path / "model.pt", "digits-lenet")


def test_another_architectures_checkpoint_is_an_error_that_names_the_file_and_leaves_nothing_behind(folder, tmp_path):
    with pytest.raises(CheckpointError, match=r"epoch-1\.safetensors: cifar10-lenet has 1 layer"):
        convert(folder, "cifar10-lenet", tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_broken_file_is_named(tmp_path):
    (tmp_path / "first.safetensors").write_bytes(b"no header")
    with pytest.raises(CheckpointError, match=r"first\.safetensors is not a safetensors file"):
        read_checkpoint(tmp_path / "first.safetensors", "digits-lenet")


def test_a_folder_without_checkpoints_says_what_it_looked_for(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file ends in \.safetensors, \.pt"):
        read_folder(tmp_path)


def test_the_command_prints_a_row_per_epoch_and_centrality(folder, tmp_path):
    arguments = ["convert", str(folder), "--architecture", "digits-lenet", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert result.output.count("eigenvector") == len(EPOCHS)
    assert (tmp_path / "out" / "graphs.h5").exists()
