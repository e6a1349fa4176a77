"""`nndynbench.Recorder`: a run of any loop becomes a folder that reads back as the same run, whatever happens to it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nndynbench as nb
from nndynbench.adapters.metrics import in_step
from nndynbench.own_run import NotGivenError
from nndynbench.recording import RunError, read_runs
from nndynbench.recording.recorder import DivergedWarning
from nndynbench.storage.files import DamagedFileError, written_whole
from nndynbench.subsets import BudgetError
from tests.patience import PATIENCE_SECONDS

ROOT = Path(__file__).parents[2]

WEIGHTS = nb.graphs.random_weights("digits-lenet", seed=0)


def weights_of(epoch: int) -> nb.graphs.Weights:
    """The weights of an epoch of `arrays_run`."""
    return {name: values * (1 + epoch) for name, values in WEIGHTS.items()}


def arrays_run(folder: Path, epochs: int = 3, **options: object) -> nb.Recorder:
    recorder = nb.Recorder(folder, WEIGHTS, hyperparameters={"learning_rate": 0.01}, **options)  # type: ignore[arg-type]
    for epoch in range(1, epochs + 1):
        recorder.epoch(weights=weights_of(epoch), train_loss=1 / epoch, validation_accuracy=20.0 + epoch)
    return recorder


@pytest.mark.filterwarnings("ignore::nndynbench.recording.recorder.FractionWarning")
@pytest.mark.parametrize(("classes", "accuracy"), [(90, 0.9), (10, 0.0)])
def test_a_low_percentage_is_no_fraction(classes: int, accuracy: float, tmp_path: Path) -> None:
    weights = {"fc.weight": np.ones((classes, 4), np.float32)}
    nb.Recorder(tmp_path / "run", weights).epoch(weights=weights, validation_accuracy=accuracy)
    assert nb.read_run(tmp_path / "run").curves.loc[1, "validation_accuracy"] == accuracy


def test_an_accuracy_that_is_nan_is_told_how_to_be_marked_as_unmeasured(tmp_path: Path) -> None:
    recorder = nb.Recorder(tmp_path / "run")
    recorder.epoch(train_loss=2.0, validation_accuracy=30.0)
    with pytest.raises(RunError, match=r"epoch 2 .*validation_accuracy is NaN: .*name it in unmeasured="):
        recorder.epoch(train_loss=1.0, validation_accuracy=float("nan"))
    recorder.epoch(train_loss=1.0, unmeasured=["validation_accuracy"])
    assert recorder.epochs == 2


@pytest.mark.parametrize(
    ("ended", "remedy"), [(False, r"or continue it with resume=True"), (True, r"choose another folder, or remove it first$")]
)
def test_a_folder_that_holds_a_run_is_refused_with_a_remedy_that_works(ended: bool, remedy: str, tmp_path: Path) -> None:
    recorder = nb.Recorder(tmp_path / "run")
    recorder.epoch(validation_accuracy=30.0)
    if ended:
        recorder.finish(test_accuracy=30.0)
    with pytest.raises(RunError, match=remedy):
        nb.Recorder(tmp_path / "run")


def test_a_run_without_an_epoch_has_no_history(tmp_path: Path) -> None:
    run = nb.Recorder(tmp_path / "run", WEIGHTS).run
    with pytest.raises(BudgetError, match="no epoch yet"):
        run.history()


@pytest.mark.parametrize("budget", [0, -1, 2.5, "2", True])
def test_a_bad_budget_of_a_run_is_refused(budget: Any, tmp_path: Path) -> None:
    run = arrays_run(tmp_path / "run").run
    with pytest.raises(BudgetError, match=f"a budget is a whole number of at least 1, not {budget!r}"):
        run.history(budget)
    assert run.history(np.int64(2)).epochs == 2  # type: ignore[arg-type]


class TestPlainPyTorch:
    def test_three_lines_record_a_run(self, tmp_path: Path) -> None:
        torch = pytest.importorskip("torch")
        from tests.recording.loops import small_cnn, train_epoch

        model = small_cnn()
        optimiser = torch.optim.Adam(model.parameters(), 0.01)
        recorder = nb.Recorder(tmp_path / "lr-0.01", model, hyperparameters={"learning_rate": 0.01})
        for _ in range(7):
            recorder.epoch(**train_epoch(model, optimiser))
        recorder.finish(test_accuracy=93.5)

        run = nb.read_run(tmp_path / "lr-0.01")
        assert list(run.weights) == [0, 1, 2, 3, 4, 5]
        assert (run.epochs, run.test_accuracy, run.hyperparameters) == (7, 93.5, {"learning_rate": 0.01})
        assert list(run.curves.index) == [1, 2, 3, 4, 5, 6, 7]
        assert run.curves["train_loss"].is_monotonic_decreasing
        assert run.record.libraries["torch"] == torch.__version__

    def test_each_snapshot_is_the_network_of_its_epoch(self, tmp_path: Path) -> None:
        pytest.importorskip("torch")
        from tests.recording.loops import recorded_run

        graphs = []
        recorder = recorded_run(tmp_path / "run", each=lambda made: graphs.append(nb.graphs.from_module(made._network)))
        history = recorder.run.history(3)
        for epoch, expected in enumerate(graphs, start=1):
            read = history.graph(epoch)
            assert read.layers == expected.layers
            np.testing.assert_allclose(read.degree(), expected.degree(), rtol=1e-6)
        assert history.signature("degree").shape == (3, 5)
        assert sorted(history.features.index.unique("epoch")) == [0, 1, 2, 3]

    def test_a_layer_that_no_graph_can_hold_leaves_curves_and_features(self, tmp_path: Path) -> None:
        torch = pytest.importorskip("torch")
        recorder = nb.Recorder(tmp_path / "run", torch.nn.LSTM(3, 4), hyperparameters={"units": 4})
        recorder.epoch(train_loss=1.0)
        history = recorder.run.history(1)
        assert history.curves.loc[1, "train_loss"] == 1.0
        assert list(history.features.loc[1].index) == ["weight_ih_l0", "weight_hh_l0"]
        with pytest.raises(nb.graphs.NotRepresentableError, match="cannot follow the input"):
            history.graph(1)


class TestArrays:
    def test_weights_are_kept_whatever_their_order_in_memory(self, tmp_path: Path) -> None:
        run = nb.Recorder(tmp_path / "run", {name: np.asfortranarray(values) for name, values in WEIGHTS.items()}).run
        for name, values in run.weights[0].items():
            np.testing.assert_array_equal(values, WEIGHTS[name])

    def test_a_network_in_channels_last_is_kept_as_it_is(self, tmp_path: Path) -> None:
        torch = pytest.importorskip("torch")
        from tests.recording.loops import small_cnn

        model = small_cnn().to(memory_format=torch.channels_last)
        kept = nb.Recorder(tmp_path / "run", model).run.weights[0]["4.weight"]
        np.testing.assert_array_equal(kept, model[4].weight.detach().numpy())

    def test_snapshots_are_given_where_there_is_no_module(self, tmp_path: Path) -> None:
        run = arrays_run(tmp_path / "run").finish(test_accuracy=30.0)
        for epoch, weights in run.weights.items():
            np.testing.assert_array_equal(weights["conv1.weight"], WEIGHTS["conv1.weight"] * (1 + epoch))

    def test_the_chosen_epochs_are_kept(self, tmp_path: Path) -> None:
        assert list(arrays_run(tmp_path / "run", epochs=4, keep=[0, 2, 4]).run.weights) == [0, 2, 4]

    def test_a_kept_epoch_without_weights_is_asked_for(self, tmp_path: Path) -> None:
        with pytest.raises(RunError, match="pass weights="):
            nb.Recorder(tmp_path / "run", WEIGHTS).epoch(train_loss=1.0)

    def test_a_run_may_have_curves_alone(self, tmp_path: Path) -> None:
        recorder = nb.Recorder(tmp_path / "run")
        recorder.epoch(validation_accuracy=50.0)
        assert recorder.run.history(1).curves.loc[1, "validation_accuracy"] == 50.0
        assert list(tmp_path.glob("run/*.safetensors")) == []

    def test_an_architecture_of_the_catalogue_is_kept_by_its_name(self, tmp_path: Path) -> None:
        recorder = nb.Recorder(tmp_path / "run", WEIGHTS, architecture="digits-lenet")
        assert json.loads((tmp_path / "run" / "run.json").read_text())["architecture"] == "digits-lenet"
        recorder.epoch(weights=WEIGHTS)
        assert recorder.run.history(1).graph(1, "unrolled").number_of_nodes > 300

    def test_an_architecture_may_be_a_file_of_ones_own(self, tmp_path: Path) -> None:
        described = (
            '[mine]\ninput_shape = [1, 8, 8]\nlayers = [{ kind = "conv", name = "conv1", filters = 3, kernel = 3 },'
            ' { kind = "fc", name = "out", units = 10 }]\n'
        )
        (tmp_path / "mine.toml").write_text(described)
        weights = nb.graphs.random_weights(nb.graphs.architecture(tmp_path / "mine.toml"), seed=0)
        recorder = nb.Recorder(tmp_path / "run", weights, architecture=tmp_path / "mine.toml")
        assert recorder.run.architecture == nb.graphs.architecture(tmp_path / "mine.toml")
        (tmp_path / "mine.toml").unlink()
        assert nb.read_run(tmp_path / "run").architecture.layer_sizes == {"input": 1, "conv1": 3, "out": 10}


class TestDisk:
    def test_it_says_how_much_disk_it_takes(self, tmp_path: Path) -> None:
        recorder = arrays_run(tmp_path / "run")
        assert recorder.bytes == sum(path.stat().st_size for path in (tmp_path / "run").iterdir())
        assert f"{recorder.bytes / 1e6:.2f} MB" in repr(recorder)

    def test_a_damaged_snapshot_is_named(self, tmp_path: Path) -> None:
        run = arrays_run(tmp_path / "run").run
        path = tmp_path / "run" / "epoch_2.safetensors"
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(DamagedFileError, match=r"epoch_2\.safetensors is damaged"):
            run.weights[2]

    def test_a_run_in_a_folder_is_not_overwritten(self, tmp_path: Path) -> None:
        arrays_run(tmp_path / "run")
        with pytest.raises(RunError, match=r"holds a run \(3 epochs.*resume=True"):
            nb.Recorder(tmp_path / "run", WEIGHTS)

    @pytest.mark.parametrize("diverges", [False, True])
    def test_what_could_not_be_written_can_be_recorded_again(
        self, diverges: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        recorder, whole = arrays_run(tmp_path / "run"), Path.write_bytes

        def until_the_disk_is_full(path: Path, content: bytes) -> int:
            if path.name.startswith("run.json"):
                raise OSError("No space left on device")
            return whole(path, content)

        def twice(call: Callable[..., object], **facts: object) -> None:
            before = recorder.run.record
            with monkeypatch.context() as disk:
                disk.setattr(Path, "write_bytes", until_the_disk_is_full)
                with pytest.raises(OSError, match="No space left"):
                    call(**facts)
            assert recorder.run.record == nb.read_run(tmp_path / "run").record == before
            call(**facts)
            assert recorder.run.record == nb.read_run(tmp_path / "run").record != before

        if diverges:
            with pytest.warns(DivergedWarning):
                twice(recorder.epoch, weights=WEIGHTS, train_loss=float("nan"), validation_accuracy=50.0)
            twice(recorder.stop, reason="it diverged")
        else:
            twice(recorder.epoch, weights=WEIGHTS, train_loss=0.5, validation_accuracy=50.0)
            twice(recorder.finish, test_accuracy=55.0)
        run = nb.read_run(tmp_path / "run")
        assert run.curves.index.tolist() == list(run.weights)[1:] == [1, 2, 3, 4][: 3 if diverges else 4]

    def test_only_what_a_killed_writer_left_is_removed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        arrays_run(tmp_path / "run")
        own = {"download.partial", "notes.1.partial"}
        for name in own:
            (tmp_path / "run" / name).write_text("the user's own")
        with monkeypatch.context() as killed:
            killed.setattr(Path, "unlink", lambda path, missing_ok: None)
            with suppress(KeyboardInterrupt), written_whole(tmp_path / "run" / "run.json") as left:
                left.touch()
                raise KeyboardInterrupt
        assert left.is_file()
        nb.Recorder(tmp_path / "run", weights_of(3), hyperparameters={"learning_rate": 0.01}, resume=True)
        assert {path.name for path in (tmp_path / "run").glob("*.partial")} == own


class TestResuming:
    def test_a_folder_without_a_run_has_no_epoch_to_go_on_after(self, tmp_path: Path) -> None:
        with pytest.raises(RunError, match="holds no run that could be resumed after epoch 7"):
            nb.Recorder(tmp_path / "run", WEIGHTS, resume=7)
        assert nb.Recorder(tmp_path / "run", WEIGHTS, resume=0).epochs == 0

    def test_a_second_recorder_of_a_folder_is_noticed_and_nothing_lost(self, tmp_path: Path) -> None:
        first = arrays_run(tmp_path / "run", epochs=1)
        second = nb.Recorder(tmp_path / "run", weights_of(1), hyperparameters={"learning_rate": 0.01}, resume=True)
        second.epoch(weights=WEIGHTS, train_loss=0.5, validation_accuracy=30.0)
        with pytest.raises(RunError, match="another recorder writes to"):
            first.epoch(weights=WEIGHTS, train_loss=0.4, validation_accuracy=31.0)
        assert nb.read_run(tmp_path / "run").curves["train_loss"].tolist() == [1.0, 0.5]

    def test_it_goes_on_after_the_last_epoch(self, tmp_path: Path) -> None:
        arrays_run(tmp_path / "run", epochs=2)
        again = nb.Recorder(tmp_path / "run", weights_of(2), hyperparameters={"learning_rate": 0.01}, resume=True)
        assert again.epochs == 2
        again.epoch(weights=WEIGHTS, train_loss=0.1, validation_accuracy=40.0)
        assert list(again.run.curves.index) == [1, 2, 3]

    def test_numbers_and_truths_of_numpy_are_those_of_python(self, tmp_path: Path) -> None:
        arrays_run(tmp_path / "run", epochs=3)
        for resume, epochs in ((np.True_, 3), (np.int64(2), 2)):
            options: dict[str, Any] = {"hyperparameters": {"learning_rate": 0.01}, "resume": resume}
            assert nb.Recorder(tmp_path / "run", weights_of(3), **options).epochs == epochs
        assert in_step({"resume": np.True_}, 2) == {"resume": 2}
        with pytest.raises(RunError, match="the training goes on after epoch 2"):
            in_step({"resume": np.False_}, 2)

    @pytest.mark.parametrize("keep", [range(6), [0, 1]])
    @pytest.mark.parametrize(
        ("begun", "says"),
        [
            (WEIGHTS, "ends at epoch 3, and .* does not have the weights of that epoch, but those of epoch 0: load your"),
            (weights_of(1), "but those of epoch 1: load your checkpoint of epoch 3 before"),
            (nb.graphs.random_weights("digits-lenet", seed=1), "of that epoch: .* begins anew, pass resume=0"),
        ],
    )
    def test_a_training_that_does_not_go_on_is_not_joined_to_the_recorded_one(
        self, begun: nb.graphs.Weights, says: str, keep: Any, tmp_path: Path
    ) -> None:
        arrays_run(tmp_path / "run", epochs=3, keep=keep)
        options: dict[str, Any] = {"hyperparameters": {"learning_rate": 0.01}, "keep": keep}
        with pytest.raises(RunError, match=says):
            nb.Recorder(tmp_path / "run", begun, resume=True, **options)
        assert nb.Recorder(tmp_path / "run", weights_of(3), resume=True, **options).epochs == 3
        assert nb.Recorder(tmp_path / "run", begun, resume=2, **options).epochs == 2

    def test_it_goes_on_after_the_epoch_of_a_checkpoint(self, tmp_path: Path) -> None:
        arrays_run(tmp_path / "run", epochs=3)
        again = nb.Recorder(tmp_path / "run", WEIGHTS, hyperparameters={"learning_rate": 0.01}, resume=1)
        assert (again.epochs, list(again.run.weights)) == (1, [0, 1])
        assert not (tmp_path / "run" / "epoch_2.safetensors").exists()

    @pytest.mark.parametrize(
        ("resume", "says"),
        [
            (-1, "an epoch of at least 0, not -1"),
            (4, "cannot be resumed after epoch 4"),
            (np.False_, "continue it with resume=True"),
            (1.5, r"must be True, False or an epoch of at least 0, not 1\.5"),
            (None, "must be True, False or an epoch of at least 0, not None"),
        ],
    )
    def test_what_the_run_cannot_be_resumed_after_is_refused_and_nothing_lost(
        self, resume: Any, says: str, tmp_path: Path
    ) -> None:
        arrays_run(tmp_path / "run", epochs=3)
        with pytest.raises(RunError, match=says):
            nb.Recorder(tmp_path / "run", WEIGHTS, hyperparameters={"learning_rate": 0.01}, resume=resume)
        run = nb.read_run(tmp_path / "run")
        assert (run.epochs, [run.weights[epoch]["conv1.weight"].size for epoch in range(4)]) == (3, [36] * 4)

    @pytest.mark.parametrize("recorded", [0, 2])
    @pytest.mark.parametrize("beyond", [True, False])
    def test_a_run_stays_diverged_unless_it_goes_on_from_an_epoch_before(
        self, recorded: int, beyond: bool, tmp_path: Path
    ) -> None:
        recorder = arrays_run(tmp_path / "run", epochs=recorded)
        with pytest.warns(DivergedWarning):
            recorder.epoch(weights=WEIGHTS, train_loss=float("nan"), validation_accuracy=10.0)
        trained = {name: values * np.nan for name, values in WEIGHTS.items()} if beyond else WEIGHTS
        for resume in (True, recorded + 1, recorded + 4) if beyond else (recorded,):
            again = nb.Recorder(tmp_path / "run", trained, hyperparameters={"learning_rate": 0.01}, resume=resume)
            again.epoch(weights=trained, train_loss=0.5, validation_accuracy=30.0)
            assert (again.epochs, again.run.record.diverged) == ((recorded, True) if beyond else (recorded + 1, False))
        np.testing.assert_array_equal(again.run.weights[0]["conv1.weight"], WEIGHTS["conv1.weight"])

    def test_a_folder_without_a_run_is_begun(self, tmp_path: Path) -> None:
        assert nb.Recorder(tmp_path / "run", WEIGHTS, resume=True).epochs == 0

    def test_another_run_is_refused(self, tmp_path: Path) -> None:
        arrays_run(tmp_path / "run")
        with pytest.raises(RunError, match="holds a different run: hyperparameters"):
            nb.Recorder(tmp_path / "run", WEIGHTS, hyperparameters={"learning_rate": 0.1}, resume=True)

    def test_a_run_that_has_ended_is_refused(self, tmp_path: Path) -> None:
        arrays_run(tmp_path / "run").finish(test_accuracy=30.0)
        with pytest.raises(RunError, match="has ended"):
            nb.Recorder(tmp_path / "run", WEIGHTS, hyperparameters={"learning_rate": 0.01}, resume=True)

    def test_a_process_that_is_killed_leaves_whole_epochs(self, tmp_path: Path) -> None:
        forever = (
            "import nndynbench as nb, sys\n"
            "weights = nb.graphs.random_weights('digits-lenet', seed=0)\n"
            "recorder = nb.Recorder(sys.argv[1], weights, hyperparameters={'learning_rate': 0.01}, keep=range(100_000))\n"
            "while True: recorder.epoch(weights=weights, train_loss=1.0, validation_accuracy=20.0)\n"
        )
        folder = tmp_path / "run"
        for epochs in (3, 6, 9):
            resuming = forever.replace("keep=", "resume=True, keep=")
            running = subprocess.Popen([sys.executable, "-c", resuming, str(folder)], cwd=ROOT)
            try:
                patience = time.monotonic() + PATIENCE_SECONDS
                while not (folder / f"epoch_{epochs}.safetensors").exists():
                    assert running.poll() is None
                    assert time.monotonic() < patience
            finally:
                running.send_signal(signal.SIGKILL)
                running.wait()
            run = nb.read_run(folder)
            assert list(run.curves.index) == list(range(1, run.epochs + 1))
            # A snapshot is written before its epoch counts.
            assert list(run.weights) == list(range(run.epochs + 1))
            for epoch in run.weights:
                np.testing.assert_array_equal(run.weights[epoch]["conv1.weight"], WEIGHTS["conv1.weight"])


class TestBadInput:
    def test_a_loss_that_could_not_be_read_back_is_refused(self, tmp_path: Path) -> None:
        recorder = nb.Recorder(tmp_path / "run")
        with pytest.raises(RunError, match=r"epoch 1 of .*train_loss must be at least 0, .* not -0\.5"):
            recorder.epoch(train_loss=-0.5)
        recorder.epoch(train_loss=0.5)
        assert nb.read_run(tmp_path / "run").curves["train_loss"].tolist() == [0.5]

    @pytest.mark.parametrize("value", [float("nan"), None, [1, 2], float("inf")])
    def test_a_hyperparameter_that_is_none_is_named(self, value: object, tmp_path: Path) -> None:
        with pytest.raises(RunError, match="hyperparameter momentum must be a finite number or a text"):
            nb.Recorder(tmp_path / "run", hyperparameters={"momentum": value})

    @pytest.mark.parametrize(
        ("value", "says"),
        [("high", "must be a number, not 'high'"), (0.93, "looks like a fraction"), (101.0, "from 0 to 100")],
    )
    def test_an_accuracy_that_is_no_percentage_is_named(self, value: object, says: str, tmp_path: Path) -> None:
        recorder = nb.Recorder(tmp_path / "run", WEIGHTS)
        with pytest.raises(RunError, match=rf"epoch 1 of .*validation_accuracy .*{says}"):
            recorder.epoch(weights=WEIGHTS, validation_accuracy=value)  # type: ignore[arg-type]

    def test_curves_are_the_same_in_every_epoch(self, tmp_path: Path) -> None:
        recorder = arrays_run(tmp_path / "run", epochs=1)
        with pytest.raises(
            RunError, match=r"epoch 2 of .* has train_loss, but the epochs before it have train_loss, validation"
        ):
            recorder.epoch(weights=WEIGHTS, train_loss=1.0)

    def test_a_curve_that_was_not_measured_in_an_epoch_is_nan_there(self, tmp_path: Path) -> None:
        recorder = arrays_run(tmp_path / "run", epochs=1)
        recorder.epoch(weights=WEIGHTS, train_loss=1.0, unmeasured=["validation_accuracy"])
        recorder.epoch(weights=WEIGHTS, train_loss=0.5, validation_accuracy=30.0)
        curves = nb.read_run(tmp_path / "run").curves
        np.testing.assert_array_equal(curves["validation_accuracy"], [21.0, np.nan, 30.0])
        assert curves["train_loss"].tolist() == [1.0, 1.0, 0.5]

    def test_the_first_epoch_says_which_curves_there_are(self, tmp_path: Path) -> None:
        recorder = nb.Recorder(tmp_path / "run", WEIGHTS)
        with pytest.raises(RunError, match=r"is the first, and decides .*: leave train_loss out of unmeasured="):
            recorder.epoch(weights=WEIGHTS, unmeasured=["train_loss"])

    def test_a_loss_that_is_no_number_is_a_divergence(self, tmp_path: Path) -> None:
        recorder = arrays_run(tmp_path / "run", epochs=2)
        with pytest.warns(DivergedWarning, match="epoch 3 of .* has diverged"):
            recorder.epoch(weights=WEIGHTS, train_loss=float("nan"), validation_accuracy=10.0)
        recorder.epoch(weights=WEIGHTS, train_loss=float("nan"), validation_accuracy=10.0)
        run = recorder.finish(test_accuracy=10.0)
        assert (run.epochs, run.record.diverged) == (2, True)
        assert np.isnan(run.history(4).signature("degree")[2:]).all()

    def test_weights_that_are_no_numbers_are_a_divergence(self, tmp_path: Path) -> None:
        recorder = nb.Recorder(tmp_path / "run", WEIGHTS)
        with pytest.warns(DivergedWarning):
            recorder.epoch(weights={name: values * np.nan for name, values in WEIGHTS.items()}, train_loss=1.0)
        assert list(recorder.run.weights) == [0]

    def test_they_are_one_in_an_epoch_that_is_not_kept_too(self, tmp_path: Path) -> None:
        torch = pytest.importorskip("torch")
        from tests.recording.loops import small_cnn

        model = small_cnn()
        recorder = nb.Recorder(tmp_path / "run", model, keep=[0])
        recorder.epoch(train_loss=1.0)
        torch.nn.init.constant_(model[4].weight, float("nan"))
        with pytest.warns(DivergedWarning):
            recorder.epoch(train_loss=1.0)
        assert (recorder.epochs, recorder.run.record.diverged, list(recorder.run.weights)) == (1, True, [0])

    def test_weights_need_not_be_given_for_an_epoch_that_is_not_kept(self, tmp_path: Path) -> None:
        recorder = nb.Recorder(tmp_path / "run", WEIGHTS, keep=[0])
        recorder.epoch(train_loss=1.0)
        with pytest.warns(DivergedWarning):
            recorder.epoch(train_loss=1.0, weights={name: values * np.nan for name, values in WEIGHTS.items()})
        assert recorder.epochs == 1

    @pytest.mark.parametrize("reason", [3, None, ValueError("no memory")])
    def test_a_reason_to_stop_that_is_no_text_is_refused_and_the_run_goes_on(self, reason: Any, tmp_path: Path) -> None:
        recorder = arrays_run(tmp_path / "run", epochs=1)
        with pytest.raises(RunError, match=r"the reason to stop .* must be a text, not"):
            recorder.stop(reason)
        assert not nb.read_run(tmp_path / "run").record.finished
        assert recorder.stop(str(reason)).record.stopped == str(reason)

    def test_nothing_is_recorded_after_the_end(self, tmp_path: Path) -> None:
        recorder = arrays_run(tmp_path / "run")
        recorder.finish(test_accuracy=20.0)
        with pytest.raises(RunError, match="has ended"):
            recorder.epoch(weights=WEIGHTS, train_loss=1.0, validation_accuracy=30.0)

    def test_a_folder_that_is_no_run_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match=r"no run\.json"):
            nb.read_run(tmp_path)
        with pytest.raises(FileNotFoundError, match="no run below"):
            read_runs(tmp_path)

    def test_a_file_that_is_no_record_is_named_with_its_field(self, tmp_path: Path) -> None:
        arrays_run(tmp_path / "run")
        path = tmp_path / "run" / "run.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "test_accuracy": "high"}))
        with pytest.raises(RunError, match=r"(?s)run\.json.*test_accuracy"):
            nb.read_run(tmp_path / "run")

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            (lambda rows: rows.pop(1), "lack epoch 2"),
            (lambda rows: rows.append(rows[2]), "have epoch 3 in rows 3, 4"),
            (lambda rows: rows.reverse(), "have epoch 2 in row 2, after epoch 3"),
            (
                lambda rows: rows[1].update(train_loss="low"),
                r"values for train_loss that are not finite numbers: 'low' in row 2 \(epoch 2\)",
            ),
            (
                lambda rows: rows[1].update(train_loss=None),
                r"values for train_loss that are not finite numbers: .* in row 2 \(epoch 2\)",
            ),
            (lambda rows: [row.update(validation_accuracy=0.5) for row in rows], "not fractions"),
            (lambda rows: rows[0].update(validation_accuracy=200), r"0 to 100 for validation_accuracy.*\(epoch 1\)"),
        ],
        ids=["missing", "doubled", "unsorted", "text", "none", "fractions", "no percentage"],
    )
    def test_curves_that_are_wrong_are_named(self, change: object, says: str, tmp_path: Path) -> None:
        arrays_run(tmp_path / "run")
        path = tmp_path / "run" / "run.json"
        record = json.loads(path.read_text())
        change(record["epochs"])  # type: ignore[operator]
        path.write_text(json.dumps(record))
        with pytest.raises(
            NotGivenError, match=rf"the curves in .*run\.json {says}" if "lack" in says or "have" in says else says
        ):
            nb.read_run(tmp_path / "run").curves  # noqa: B018


def test_a_layer_called_input_is_told_from_the_input(tmp_path: Path) -> None:
    weights = {"input.weight": np.ones((8, 4), np.float32), "output.weight": np.ones((2, 8), np.float32)}
    recorder = nb.Recorder(tmp_path / "run", weights)
    recorder.epoch(weights=weights, train_loss=1.0)
    history = recorder.run.history(1)
    graph = history.graph(1)
    assert history.layer_sizes == {"input_": 4, "input": 8, "output": 2}
    assert graph.layers == tuple(history.layer_sizes)
    assert graph.nodes("input") == range(4, 12)
    assert graph.node_attributes("input").shape == (8, 4)
    assert all("layer" in data for _, data in graph.to_networkx().nodes(data=True))


def test_a_run_that_begins_again_has_its_own_initialisation(tmp_path: Path) -> None:
    arrays_run(tmp_path / "run", epochs=2)
    other = nb.graphs.random_weights("digits-lenet", seed=1)
    begun = nb.Recorder(tmp_path / "run", other, hyperparameters={"learning_rate": 0.01}, resume=0)
    assert begun.epochs == 0
    assert list(begun.run.weights) == [0]
    np.testing.assert_array_equal(begun.run.weights[0]["conv1.weight"], other["conv1.weight"])


def test_an_architecture_given_with_tuples_is_recorded(tmp_path: Path) -> None:
    mine = nb.graphs.architecture({"name": "mine", "layers": [{"kind": "tensor", "name": "fc", "shape": (10, 64)}]})
    weights = {"fc.weight": np.ones((10, 64), np.float32)}
    recorder = nb.Recorder(tmp_path / "run", weights, architecture=mine)
    for _ in range(2):
        recorder.epoch(weights=weights, train_loss=1.0)
    assert recorder.finish(test_accuracy=50.0).epochs == 2
