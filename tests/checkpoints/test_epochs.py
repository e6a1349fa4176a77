"""Which epoch each checkpoint is of: what is certain is read, what is not is asked for, and nothing is made up."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nndynbench.checkpoints import CheckpointError, read_folder
from nndynbench.checkpoints.content import Said, read_content, said_by
from tests.checkpoints.written import checkpoint_files, named, saying


def of_names(folder: Path, *names: str) -> list[int]:
    return list(checkpoint_files(named(folder, *(f"{name}.safetensors" for name in names))))


@pytest.mark.parametrize(
    ("names", "epochs"),
    [
        (["epoch_1_acc_40.12", "epoch_2_acc_55.7", "epoch_3_acc_50.03"], [1, 2, 3]),
        (["vgg16-ep9", "vgg16-ep10"], [9, 10]),
        (["vgg16_e09", "vgg16_e10"], [9, 10]),
        (["ep1-ba100-rank0", "ep2-ba200-rank0"], [1, 2]),
        (["1st_epoch", "2nd_epoch", "10_epochs"], [1, 2, 10]),
        (["modelEpoch1", "modelEpoch2"], [1, 2]),
        (["epoch=1-val_loss=0.52", "epoch=2-val_loss=0.48"], [1, 2]),
        (["model_10_acc0.91", "model_20_acc0.93", "model_30_acc0.95"], [10, 20, 30]),
        (["model_10_acc91", "model_20_acc93"], [10, 20]),
        (["net.1", "net.10", "net.2"], [1, 2, 10]),
        (["run3-seed7-4", "run3-seed7-5"], [4, 5]),
        (["2024-05-01_12-30_net_1", "2024-05-02_12-31_net_2"], [1, 2]),
        (["net-3f9a2c1b-1", "net-77aa01de-2"], [1, 2]),
        (["checkpoint_000001/weights", "checkpoint_000002/weights"], [1, 2]),
        (["epoch_1/model", "epoch_2/model"], [1, 2]),
        (["epoch_1", "epoch_2", "best"], [1, 2]),
        (["init", "epoch_1", "epoch_2"], [0, 1, 2]),
        (["init", "epoch_0", "epoch_1"], [0, 1, 2]),
    ],
)
def test_names_that_say_an_epoch_or_differ_in_one_number_are_read(tmp_path, names, epochs):
    assert of_names(tmp_path, *names) == epochs


@pytest.mark.parametrize(
    ("names", "asked"),
    [
        (
            ["epoch_0", "epoch_1", "epoch_2"],
            r"epoch_0\.safetensors \(epoch 0 by its name\).*first_epoch=0, in a shell --first-epoch 0.*first_epoch=1",
        ),
        (["checkpoint_000000/net", "checkpoint_000001/net"], r"net\.safetensors \(epoch 0 by its name\).*first_epoch=1"),
        (["step100", "step50"], r"step100\.safetensors \(step 100\), step50.*steps_per_epoch="),
        (["iter_500", "iter_1000"], r"iter_1000\.safetensors \(step 1000\).*steps_per_epoch="),
        (["model_500", "model_1000"], r"model_1000\.safetensors \(1000 by its name, if that is an epoch\)"),
        (["net_20240501", "net_20240502"], r"net_20240501\.safetensors \(says no epoch\)"),
        (["Nov28_09-31-53_net", "Nov29_09-31-53_net"], r"\(says no epoch\).*pattern="),
        (["net-1714557001", "net-1714557002"], r"\(says no epoch\)"),
        (["resnet-5c106cde", "resnet-81a2b7e4"], r"resnet-5c106cde\.safetensors \(says no epoch\)"),
        (["0b7f6f6e-9d6e-4f6b-8b39-1c1f6a5b2d01", "0b7f6f6e-9d6e-4f6b-8b39-1c1f6a5b2d02"], r"\(says no epoch\)"),
        (["seed1", "seed2"], r"seed1\.safetensors \(says no epoch\)"),
        (["run1_last", "run2_last"], r"run1_last\.safetensors \(says no epoch\)"),
        (["fold_1", "fold_2"], r"says no epoch"),
        (["model_acc0.91", "model_acc0.93"], r"model_acc0\.91\.safetensors \(says no epoch\)"),
        (["model_10_of5", "model_10_of6"], r"model_10_of5"),
        (["model_10_x91", "model_20_x93"], r"model_10_x91\.safetensors \(10 or 91 by its name, if that is an epoch\)"),
        (["lenet5-first", "lenet5-second"], r"lenet5-first\.safetensors \(says no epoch\)"),
        (["epoch_1.5", "epoch_2.5"], r"says no epoch"),
        (["lenet5"], r"lenet5\.safetensors \(says no epoch\)\. Say which epoch it is from with first_epoch="),
        (["net5"], r"net5\.safetensors \(5 by its name, if that is an epoch\).*first_epoch="),
        (["vgg16", "vgg19"], r"vgg16\.safetensors \(says no epoch\)"),
        (["net_lr1e-3", "net_lr1e-4"], r"net_lr1e-3\.safetensors \(says no epoch\)"),
        (["net_1e-3", "net_1e-4"], r"net_1e-3\.safetensors \(says no epoch\)"),
        (["net_eps8", "net_eps16"], r"net_eps16\.safetensors \(says no epoch\)"),
        (["client_1", "client_2"], r"client_1\.safetensors \(says no epoch\)"),
        (["net-task1", "net-task2"], r"net-task1\.safetensors \(says no epoch\)"),
        (["best"], r"best\.safetensors \(says no epoch\)\. Say which epoch it is from with first_epoch="),
        (["epoch=3-step=100", "epoch=3-step=200"], r"epoch=3-step=200\.safetensors.*Several are from epoch 3"),
    ],
)
def test_names_that_leave_it_open_are_listed_with_what_they_say_and_the_option_that_decides(tmp_path, names, asked):
    with pytest.raises(CheckpointError, match=rf"(?s)which epochs are the checkpoints in .*{asked}"):
        of_names(tmp_path, *names)


def test_two_formats_of_one_epoch_are_refused_and_told_apart(tmp_path):
    named(tmp_path, "epoch-1.pt", "epoch-1.safetensors")
    with pytest.raises(CheckpointError, match=r"epoch-1\.pt .*epoch-1\.safetensors .*Several are from epoch 1"):
        checkpoint_files(tmp_path)


@pytest.mark.parametrize(
    ("contents", "epochs"),
    [
        # The first number is that of the initialisation, or of the end of the first epoch of 18 steps: the steps say which.
        ({f"epoch_{n}": {"global_step": 18 * n} for n in range(3)}, [0, 1, 2]),
        ({f"epoch_{n}": {"global_step": 18 * (n + 1)} for n in range(3)}, [1, 2, 3]),
        ({"epoch_0": {"global_step": 0}}, [0]),
        ({"epoch_0": {"global_step": 18}}, [1]),
        # A run whose first checkpoints were deleted.
        ({f"epoch_{n}": {"global_step": 18 * (n + 1)} for n in (4, 5, 6)}, [5, 6, 7]),
        # The name counts from 1 and the file from 0, or the other way round: the larger number is the epochs done.
        ({f"epoch_{n + 1}": {"epoch": n} for n in range(3)}, [1, 2, 3]),
        ({f"epoch_{n}": {"epoch": n + 1} for n in range(3)}, [1, 2, 3]),
        # Only the file says it.
        ({"best": {"epoch": 3}, "last": {"epoch": 5}}, [3, 5]),
        ({"a": {"epoch": 1}, "b": {"epoch": 2}, "c": {"epoch": 3}}, [1, 2, 3]),
        ({"a": {"epoch": 0, "global_step": 18}, "b": {"epoch": 1, "global_step": 36}}, [1, 2]),
        # A number that is no epoch gives way to what the files say.
        ({"net_7": {"epoch": 1}, "net_8": {"epoch": 5}}, [1, 5]),
        ({"resnet18": {"epoch": 4}}, [4]),
        # Where some checkpoints name epochs, steps are enough for the others.
        ({"epoch_1": {"step": 18}, "epoch_2": {"step": 36}, "last": {"step": 54}}, [1, 2, 3]),
    ],
)
def test_what_files_say_of_themselves_decides(tmp_path, contents, epochs):
    assert list(checkpoint_files(saying(tmp_path, **contents))) == epochs


@pytest.mark.parametrize(
    ("contents", "asked"),
    [
        ({f"epoch_{n}": {"epoch": n} for n in range(3)}, r"epoch 0 by its name, epoch 0 by its content.*first_epoch=1"),
        ({"epoch_1": {"epoch": 7}, "epoch_2": {"epoch": 8}}, r"epoch 1 by its name, epoch 7 by its content.*disagree"),
        ({"epoch_1": {"epoch": 1}, "epoch_2": {"epoch": 1}}, r"epoch 2 by its name, epoch 1 by its content.*disagree"),
        ({"a": {"global_step": 500}, "b": {"global_step": 1000}}, r"a\.safetensors \(step 500\).*steps_per_epoch="),
        ({"a": {"epoch": 0.5}, "b": {"epoch": -1}}, r"says no epoch"),
    ],
)
def test_files_that_leave_it_open_or_contradict_their_names_are_listed(tmp_path, contents, asked):
    with pytest.raises(CheckpointError, match=rf"(?s)which epochs are .*{asked}"):
        checkpoint_files(saying(tmp_path, **contents))


def test_a_best_or_last_beside_numbered_files_is_a_second_name_or_another_epoch(tmp_path):
    saying(tmp_path, epoch_1={"epoch": 1}, epoch_2={"epoch": 2}, best={"epoch": 1}, last={"epoch": 3}, final={})
    (tmp_path / "latest.safetensors").symlink_to("epoch_2.safetensors")
    found = read_folder(tmp_path)
    assert {epoch: path.stem for epoch, path in found.by_epoch().items()} == {1: "epoch_1", 2: "epoch_2", 3: "last"}
    assert [reading.path.stem for reading in found.left_out] == ["best", "final"]
    assert str(found.left_out[1]) == "final.safetensors (says no epoch)"


def test_first_epoch_says_of_which_epoch_the_lowest_is(tmp_path):
    named(tmp_path, *(f"epoch_{n}.safetensors" for n in range(3)))
    assert list(checkpoint_files(tmp_path, first_epoch=0)) == [0, 1, 2]
    assert list(checkpoint_files(tmp_path, first_epoch=1)) == [1, 2, 3]


def test_first_epoch_of_a_single_file_is_its_own(tmp_path):
    assert list(checkpoint_files(named(tmp_path, "best.safetensors"), first_epoch=50)) == [50]


def test_first_epoch_says_that_round_numbers_are_epochs(tmp_path):
    named(tmp_path, "model_50.safetensors", "model_100.safetensors")
    assert list(checkpoint_files(tmp_path, first_epoch=50)) == [50, 100]


def test_first_epoch_cannot_make_an_initialisation_of_what_was_trained(tmp_path):
    saying(tmp_path, epoch_0={"global_step": 18})
    with pytest.raises(
        CheckpointError, match=r"first_epoch=0 makes epoch_0\.safetensors .*step 18.* epoch 0, which contradicts its step"
    ):
        checkpoint_files(tmp_path, first_epoch=0)


def test_pattern_says_where_the_number_stands_and_leaves_the_rest_out(tmp_path):
    named(tmp_path, "net_10_x91.safetensors", "net_20_x93.safetensors", "other_3.safetensors")
    assert list(checkpoint_files(tmp_path, pattern=r"net_(\d+)")) == [10, 20]
    assert list(checkpoint_files(tmp_path, pattern=r"_x(?P<epoch>\d+)")) == [91, 93]
    assert list(checkpoint_files(tmp_path, pattern=r"net_(?P<step>\d+)", steps_per_epoch=10)) == [1, 2]


def test_pattern_is_believed_before_what_files_say(tmp_path):
    saying(tmp_path, run_3_4={"epoch": 40}, run_3_5={"epoch": 40})
    assert list(checkpoint_files(tmp_path, pattern=r"run_3_(\d+)")) == [4, 5]


def test_pattern_does_not_settle_what_0_is(tmp_path):
    named(tmp_path, "a0.safetensors", "a1.safetensors")
    with pytest.raises(CheckpointError, match="first_epoch="):
        checkpoint_files(tmp_path, pattern=r"a(\d+)")
    assert list(checkpoint_files(tmp_path, pattern=r"a(\d+)", first_epoch=1)) == [1, 2]


def test_steps_per_epoch_turns_steps_into_epochs_and_leaves_out_what_is_within_one(tmp_path):
    named(tmp_path, *(f"step_{n}.safetensors" for n in (0, 500, 750, 1000)))
    found = read_folder(tmp_path, steps_per_epoch=500)
    assert list(found.by_epoch()) == [0, 1, 2]
    assert [reading.label for reading in found.left_out] == ["step_750.safetensors"]


def test_options_that_cannot_be_are_refused(tmp_path):
    named(tmp_path, "a1.safetensors", "a2.safetensors")
    for options, message in [
        ({"first_epoch": -1}, "first_epoch must be a whole number of at least 0, not -1"),
        ({"first_epoch": True}, "first_epoch must be a whole number of at least 0, not True"),
        ({"steps_per_epoch": 0}, "steps_per_epoch must be a whole number of at least 1, not 0"),
        ({"pattern": 3}, "pattern 3 is not a regular expression"),
        ({"pattern": "a("}, r"pattern 'a\(' is not a regular expression"),
        ({"pattern": "a"}, "has no group for the number"),
        ({"pattern": "(a)"}, "'a' in a1.safetensors, which is not a whole number"),
        ({"pattern": r"b(\d+)"}, "matches none of a1.safetensors, a2.safetensors"),
    ]:
        with pytest.raises(ValueError, match=message):
            checkpoint_files(tmp_path, **options)


def test_a_trainers_folders_are_of_the_epochs_that_its_record_says(tmp_path):
    named(tmp_path, *(f"checkpoint-{step}/model.safetensors" for step in (250, 500, 1000)))
    for step in (250, 500, 1000):
        state = {"epoch": step / 500, "global_step": step}
        (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text(json.dumps(state))
    found = read_folder(tmp_path)
    folders = {epoch: path.parent.name for epoch, path in found.by_epoch().items()}
    assert folders == {1: "checkpoint-500", 2: "checkpoint-1000"}
    assert "checkpoint-250/model.safetensors (step 250, written in the middle of an epoch)" in map(str, found.left_out)


def test_a_trainers_folders_without_its_record_say_steps_alone(tmp_path):
    named(tmp_path, *(f"checkpoint-{step}/model.safetensors" for step in (1000, 500)))
    found = read_folder(tmp_path)
    assert {each.steps: each.path.parent.name for each in found.readings} == {500: "checkpoint-500", 1000: "checkpoint-1000"}
    with pytest.raises(CheckpointError, match="steps_per_epoch="):
        found.by_epoch()
    assert list(read_folder(tmp_path, steps_per_epoch=500).by_epoch()) == [1, 2]


def lightning(epoch: int, steps: int, *, begun: int | None = None, at_end: bool = True) -> dict:
    """What Lightning 2 writes beside the weights."""
    loop = {"epoch_progress": {"current": {"ready": begun}}, "epoch_loop.batch_progress": {"is_last_batch": at_end}}
    loops = {} if begun is None else {"loops": {"fit_loop": loop}}
    return {"epoch": epoch, "global_step": steps, "pytorch-lightning_version": "2.6.0", **loops}


def adam(steps: int) -> dict:
    return {"optimizer": {"state": {0: {"step": steps}, 1: {"step": steps}}, "param_groups": []}}


@pytest.mark.parametrize(
    ("contents", "epochs"),
    [
        ({"epoch=0-step=18": lightning(0, 18), "epoch=1-step=36": lightning(1, 36)}, [1, 2]),
        ({"epoch=4-step=90": lightning(4, 90)}, [5]),
        ({"a": lightning(0, 0)}, [0]),
        # At the end of training, Lightning's count of epochs is one higher, with the same steps.
        ({"epoch=2-step=54": lightning(2, 54, begun=3), "last": lightning(3, 54, begun=3)}, [3]),
        ({"epoch=0-step=9": lightning(0, 9, begun=1, at_end=False), "epoch=0-step=18": lightning(0, 18, begun=1)}, [1]),
        ({f"checkpoint-{n}": {"epoch": n, "arch": "lenet", "version": 2} for n in range(3)}, [1, 2, 3]),  # timm
        ({"epoch_1": {"meta": {"epoch": 1, "iter": 18, "mmengine_version": "0.10"}}}, [1]),
        ({"best": {"meta": {"epoch": 7, "iter": 126, "mmcv_version": "1.7"}}}, [7]),
        ({"ep1-ba18": {"state": {"timestamp": {"Timestamp": {"epoch": 1, "batch": 18, "batch_in_epoch": 0}}}}}, [1]),
        # Counts that are kept for other purposes: Adam's, and batch norm's.
        ({f"net_{n}": adam(18 * n) for n in range(1, 3)}, [1, 2]),
        ({f"net_{n}": adam(18 * (n + 1)) for n in range(3)}, [1, 2, 3]),
        ({f"net_{n}": {"model": {"bn.num_batches_tracked": np.int64(18 * n)}} for n in range(3)}, [0, 1, 2]),
        ({"net_0": {"epoch": np.float64(0), "iteration": np.int64(18)}}, [1]),
    ],
)
def test_what_is_known_of_the_writers_decides(tmp_path, contents, epochs):
    torch = pytest.importorskip("torch")
    for name, content in contents.items():
        torch.save({"state_dict": {"conv1.weight": torch.ones(2, 1, 3, 3)}, **content}, tmp_path / f"{name}.ckpt")
    assert list(checkpoint_files(tmp_path)) == epochs


def test_first_epoch_leaves_out_what_was_written_in_the_middle_of_an_epoch(tmp_path):
    torch = pytest.importorskip("torch")
    for name, content in {
        "epoch=1-step=27": lightning(1, 27, begun=2, at_end=False),
        "epoch=1-step=36": lightning(1, 36, begun=2),
        "epoch=2-step=54": lightning(2, 54, begun=3),
    }.items():
        torch.save({"state_dict": {"conv1.weight": torch.ones(2, 1, 3, 3)}, **content}, tmp_path / f"{name}.ckpt")
    found = read_folder(tmp_path, first_epoch=2)
    assert {epoch: path.stem for epoch, path in found.by_epoch().items()} == {2: "epoch=1-step=36", 3: "epoch=2-step=54"}
    assert [reading.path.stem for reading in found.left_out] == ["epoch=1-step=27"]
    for name in ("epoch=1-step=36", "epoch=2-step=54"):
        (tmp_path / f"{name}.ckpt").unlink()
    with pytest.raises(CheckpointError, match="written in the middle of an epoch"):
        checkpoint_files(tmp_path, first_epoch=2)


def test_an_empty_or_cut_file_is_of_the_epoch_of_its_name_unless_more_is_needed(tmp_path):
    for epoch in (1, 2):
        (tmp_path / f"epoch={epoch}-step={epoch * 32}.ckpt").touch()
    assert list(checkpoint_files(tmp_path)) == [1, 2]
    (tmp_path / "epoch=0-step=32.ckpt").touch()
    with pytest.raises(CheckpointError, match=r"epoch=0-step=32\.ckpt \(epoch 0 by its name, step 32, cannot be read\)"):
        checkpoint_files(tmp_path)


def headed(path: Path, header: bytes) -> Path:
    """A safetensors file with this header and no tensor."""
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    return path


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (b'{"__metadata__": "epoch 1"}', "its __metadata__ is a str, not texts by name"),
        (b'{"__metadata__": [1]}', "its __metadata__ is a list, not texts by name"),
        (b"[" * 200_000, "its header is not JSON"),
        (b'{"__metadata__": ' + b'{"a":' * 200_000, "its header is not JSON"),
    ],
    ids=["text", "list", "deep", "deep metadata"],
)
def test_a_hostile_header_is_told_with_its_file_and_leaves_the_name_to_decide(tmp_path, header, reason):
    path = headed(tmp_path / "epoch_1.safetensors", header)
    assert said_by(path).unreadable == f"{path} is not a safetensors file: {reason}"
    assert list(checkpoint_files(tmp_path)) == [1]
    with pytest.raises(CheckpointError, match=r"epoch_1\.safetensors is not a safetensors file"):
        read_content(path)


HUGE = b"1" + b"0" * 400


def test_an_epoch_of_hundreds_of_digits_is_none(tmp_path):
    path = headed(tmp_path / "epoch_2.safetensors", b'{"__metadata__": {"epoch": ' + HUGE + b', "step": "64"}}')
    assert (said_by(path).epoch, said_by(path).steps) == (None, 64)
    torch = pytest.importorskip("torch")
    torch.save({"state_dict": {}, "epoch": int(HUGE), "global_step": 64}, tmp_path / "epoch_3.ckpt")
    assert (said_by(tmp_path / "epoch_3.ckpt").epoch, said_by(tmp_path / "epoch_3.ckpt").steps) == (None, 64)


@pytest.mark.parametrize("record", [b'{"epoch": ' + HUGE + b"}", b"[" * 200_000, b'{"epoch": true}', b'{"epoch": NaN}'])
def test_a_trainers_record_that_says_no_epoch_is_passed_over(tmp_path, record):
    named(tmp_path, "epoch_1.safetensors")
    (tmp_path / "trainer_state.json").write_bytes(record)
    assert said_by(tmp_path / "epoch_1.safetensors") == Said()
    assert list(checkpoint_files(tmp_path)) == [1]
