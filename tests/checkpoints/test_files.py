"""Which files are checkpoints, and what they hold: suffixes, folders and contents of all kinds, and nothing is unpickled."""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from nndynbench.checkpoints import CheckpointError, read_content, read_folder
from nndynbench.convert import read_checkpoint
from tests.checkpoints.written import checkpoint_files, named

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def state(digits):
    weights = digits.history(digits.network_ids[100], budget=1).weights(1)
    return {name: torch.tensor(np.array(value)) for name, value in weights.items()}


@pytest.mark.parametrize(
    "name",
    [
        *("epoch_1.pt", "epoch_1.pth", "epoch_1.PTH", "epoch_1.th", "epoch_1.t7", "epoch_1.pkl", "epoch_1.Ckpt"),
        *("checkpoint-1.pth.tar", "checkpoint-1.PTH.TAR", "epoch_1.tar", "epoch_1.bin", "epoch_1.model", "epoch_1"),
        *("epoch_1.checkpoint", "model.epoch1"),
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_a_torch_file_of_any_name_is_read(state, tmp_path, name, zipped):
    torch.save({"state_dict": state, "epoch": 1}, tmp_path / name, _use_new_zipfile_serialization=zipped)
    [(epoch, path)] = checkpoint_files(tmp_path).items()
    assert epoch == 1
    assert all(np.array_equal(w, state[key].numpy()) for key, w in read_checkpoint(path, "digits-lenet").items())


def test_hidden_files_and_what_stands_beside_networks_are_none(state, tmp_path):
    torch.save(state, tmp_path / "epoch_1.pt")
    for name in (
        *("._epoch_1.pt", ".epoch_1.pt", ".ipynb_checkpoints.pt", "optimizer.pt", "optimizer_1.pt", "epoch_1_optimizer.pt"),
        *("scheduler.pt", "rng_state.pth", "rng_state_0.pth", "scaler.pt", "training_args.bin", "random_states_0.pkl"),
        *("epoch_1.optim.pth",),
    ):
        torch.save({"state": {}}, tmp_path / name)
    for name in ("results.pkl", "vocabulary.bin", "log.txt", "images.tar"):
        (tmp_path / name).write_bytes(b"\x80\x04none of torch's")
    assert list(checkpoint_files(tmp_path)) == [1]


def test_a_second_format_of_a_trainers_folder_is_read_once(state, tmp_path):
    from safetensors.torch import save_file

    folder = tmp_path / "checkpoint-500"
    folder.mkdir()
    save_file(state, folder / "model.safetensors")
    torch.save(state, folder / "pytorch_model.bin")
    [found] = read_folder(tmp_path).readings
    assert (found.epoch, found.path.name) == (None, "model.safetensors")
    [inside] = read_folder(folder).readings
    assert (inside.epoch, inside.path) == (None, found.path)


def test_a_checkpoint_in_several_files_is_refused_not_read_as_epochs(state, tmp_path):
    folder = tmp_path / "checkpoint-500"
    folder.mkdir()
    torch.save(state, folder / "pytorch_model-00001-of-00001.bin")
    assert list(checkpoint_files(tmp_path, steps_per_epoch=100)) == [5]
    for part in (1, 2):
        torch.save(state, folder / f"pytorch_model-0000{part}-of-00002.bin")
    with pytest.raises(CheckpointError, match="is one of 2 files of a checkpoint: save each checkpoint in one file"):
        checkpoint_files(tmp_path, steps_per_epoch=100)


def test_folders_of_other_runs_are_not_mixed(tmp_path):
    named(tmp_path, "run_1/epoch_1.pt", "run_2/epoch_1.pt", "backup/epoch_1.pt")
    with pytest.raises(FileNotFoundError, match=r"There are checkpoints in backup, run_1, run_2: give one of these folders"):
        checkpoint_files(tmp_path)


def test_what_is_no_folder_of_checkpoints_says_what_it_is(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(FileNotFoundError, match=r"no file ends in \.safetensors, \.pt.*It holds notes\.txt"):
        checkpoint_files(tmp_path)
    with pytest.raises(FileNotFoundError, match="it is a file; give the folder that contains it"):
        checkpoint_files(tmp_path / "notes.txt")
    with pytest.raises(FileNotFoundError, match="it is missing"):
        checkpoint_files(tmp_path / "nowhere")


def test_plain_data_beside_the_weights_is_read(state, tmp_path):
    beside = {
        "best_acc": np.float64(91.2),
        "losses": np.array([1.0, 0.5], np.float32),
        "args": argparse.Namespace(lr=0.1, out=Path("out")),
        "history": defaultdict(list, loss=[1.0]),
        "seed": np.int64(3),
        "name": np.str_("lenet"),
    }
    for zipped in (True, False):
        torch.save({"net": state, **beside}, tmp_path / "epoch_3.pt", _use_new_zipfile_serialization=zipped)
        content = read_content(tmp_path / "epoch_3.pt")
        assert content["best_acc"] == 91.2
        assert content["args"].lr == 0.1
        assert read_checkpoint(tmp_path / "epoch_3.pt", "digits-lenet").keys() == state.keys()


class Payload:
    """An object that only unpickling could bring back."""


class Attack:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return Path.touch, (self.target,)


@pytest.mark.parametrize("zipped", [True, False])
def test_other_objects_are_refused_and_named_in_plain_words(state, tmp_path, zipped):
    torch.save({"net": state, "config": Payload()}, tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match=r"a\.pt holds objects .* nothing is unpickled: .*Payload\. Save") as refused:
        read_content(tmp_path / "a.pt")
    assert "\x1b" not in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_that_would_run_code_runs_none(tmp_path, zipped):
    torch.save({"net": Attack(tmp_path / "touched")}, tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match="nothing is unpickled"):
        read_content(tmp_path / "a.pt")
    assert not (tmp_path / "touched").exists()


def test_a_whole_model_and_a_script_are_refused_with_the_remedy(tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match=r"torch\.nn\.modules\.linear\.Linear.*model\.state_dict\(\)"):
        read_content(tmp_path / "model.pt")
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), tmp_path / "script.pt")
    with pytest.raises(CheckpointError, match=r"script\.pt is a TorchScript archive.*model\.state_dict\(\)"):
        read_content(tmp_path / "script.pt")


@pytest.mark.parametrize(
    ("wrap", "expected"),
    [
        (lambda state: {"module": state, "global_steps": 3}, None),  # DeepSpeed
        (lambda state: {"state": {"model": state, "timestamp": {}}}, None),  # Composer
        (lambda state: {"net_state_dict": state, "epoch": 1}, None),
        (lambda state: {"my_network": {"inner": state}, "optimizer": {"exp_avg": state}}, None),
        (
            lambda state: {"generator": state, "discriminator": state},
            "holds several sets of weights: generator, discriminator",
        ),
        (
            lambda state: {"epoch": 3, "optimizer": {"state": {}, "param_groups": []}},
            r"holds no weights: epoch \(int\), optimizer \(dict of 2: state, param_groups\)",
        ),
        (lambda state: {"a": torch.ones(3)}, r"holds no weights: a \(\(3,\) float32\)"),
        (lambda state: {}, "holds no weights: it is empty"),
    ],
)
def test_the_weights_are_found_wherever_they_are_or_what_is_there_is_said(state, tmp_path, wrap, expected):
    torch.save(wrap(state), tmp_path / "a.pt")
    if expected is None:
        assert read_checkpoint(tmp_path / "a.pt", "digits-lenet").keys() == state.keys()
    else:
        with pytest.raises(CheckpointError, match=rf"a\.pt: the checkpoint .*{expected}"):
            read_checkpoint(tmp_path / "a.pt", "digits-lenet")


@pytest.mark.parametrize("kind", ["float8_e4m3fn", "float8_e5m2", "int8", "uint8", "complex64", "bool"])
def test_types_that_no_graph_is_made_of_are_named_in_either_kind_of_file(state, tmp_path, kind):
    from safetensors.torch import save_file

    cast = {name: value.to(getattr(torch, kind)) for name, value in state.items()}
    torch.save(cast, tmp_path / "a.pt")
    save_file(cast, tmp_path / "a.safetensors")
    for name in ("a.pt", "a.safetensors"):
        with pytest.raises(CheckpointError, match=rf"{name}: 'conv1\.weight' has values of type .*16 bits or more"):
            read_checkpoint(tmp_path / name, "digits-lenet")


def test_what_a_file_of_another_network_holds_is_said(state, tmp_path):
    torch.save({"encoder.weight": torch.ones(3, 2), "head.weight": torch.ones(5, 3)}, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match=r"shape \(.*It holds encoder\.weight \(3, 2\), head\.weight \(5, 3\)"):
        read_checkpoint(tmp_path / "a.pt", "digits-lenet")
