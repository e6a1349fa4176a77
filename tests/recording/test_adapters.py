"""The recorders for training libraries, each used in training by the library itself."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import nndynbench as nb
from nndynbench.adapters.metrics import CurvesWarning
from nndynbench.names import UnknownNameError
from nndynbench.recording import RunError
from nndynbench.recording.layouts import from_channels_last

torch = pytest.importorskip("torch")

from tests.recording.loops import digits, small_cnn  # noqa: E402


class Never(nb.StopEarly):
    """A rule that stops every run after its first epoch."""

    def __init__(self) -> None:
        self.at_least, self.below = 99.0, 0.05

    def __call__(self, run: Any) -> bool:
        return True


class TestLightning:
    def trained(
        self, folder: Path, *, stop: nb.StopEarly | None = None, test_accuracy: str = "test_accuracy", **options: Any
    ) -> Any:
        pytest.importorskip("lightning")
        from nndynbench.adapters.lightning import RecordRun
        from tests.recording.lightning_runs import trained

        recording = RecordRun(folder, stop=stop, test_accuracy=test_accuracy)
        trained(recording, learning_rate=0.01, seed=0, **options)
        return recording

    def test_a_training_is_recorded_with_its_outcome(self, tmp_path: Path) -> None:
        self.trained(tmp_path / "run")
        run = nb.read_run(tmp_path / "run")
        assert (run.epochs, list(run.weights)) == (3, [0, 1, 2, 3])
        assert run.hyperparameters == {"learning_rate": 0.01, "seed": 0}
        assert run.test_accuracy is not None
        assert run.test_accuracy > 50
        assert run.curves["validation_accuracy"].iloc[-1] > run.curves["validation_accuracy"].iloc[0]
        assert run.curves["train_loss"].is_monotonic_decreasing
        assert run.history(3).graph(3).layers == ("input", "network.0", "network.4", "network.7")

    def test_an_outcome_under_another_name_is_asked_for(self, tmp_path: Path) -> None:
        with pytest.warns(CurvesWarning, match="test_acc was not logged in trainer.test, .* logged were .*test_accuracy"):
            self.trained(tmp_path / "run", test_accuracy="test_acc")
        assert nb.read_run(tmp_path / "run").test_accuracy is None

    def test_a_rule_stops_it(self, tmp_path: Path) -> None:
        self.trained(tmp_path / "run", stop=Never())
        run = nb.read_run(tmp_path / "run")
        assert (run.epochs, run.record.stopped, run.test_accuracy) == (1, "below 0.05 to reach 99%", None)

    def test_a_curve_that_the_first_epoch_lacks_is_left_out_and_said_once(self, tmp_path: Path) -> None:
        with pytest.warns(CurvesWarning, match=r"validation_accuracy .*the first epoch.*check_val_every_n_epoch=1") as said:
            self.trained(tmp_path / "run", epochs=4, check_val_every_n_epoch=2)
        assert len([each for each in said if each.category is CurvesWarning]) == 1
        run = nb.read_run(tmp_path / "run")
        assert (run.epochs, run.columns) == (4, ["train_loss", "train_accuracy"])
        assert run.test_accuracy is not None

    def test_a_curve_that_a_later_epoch_lacks_is_nan_there(self, tmp_path: Path) -> None:
        pytest.importorskip("lightning")
        from tests.recording.lightning_runs import Rarely

        with pytest.warns(CurvesWarning, match=r"train_accuracy \(train_accuracy\): not logged in epoch 2"):
            self.trained(tmp_path / "run", kind=Rarely)
        curves = nb.read_run(tmp_path / "run").curves
        assert np.isnan(curves["train_accuracy"]).tolist() == [False, True, False]
        assert np.isfinite(curves[["train_loss", "validation_accuracy"]]).all(axis=None)

    def test_a_curve_that_the_module_logs_at_the_end_of_its_epoch_is_of_that_epoch(self, tmp_path: Path) -> None:
        pytest.importorskip("lightning")
        from tests.recording.lightning_runs import Late

        self.trained(tmp_path / "plain")
        self.trained(tmp_path / "late", kind=Late)
        plain, late = nb.read_run(tmp_path / "plain"), nb.read_run(tmp_path / "late")
        pd.testing.assert_frame_equal(late.curves.drop(columns="seconds"), plain.curves.drop(columns="seconds"), rtol=1e-5)
        for epoch in range(4):
            np.testing.assert_array_equal(late.weights[epoch]["network.0.weight"], plain.weights[epoch]["network.0.weight"])
        self.trained(tmp_path / "stopped", kind=Late, stop=Never())
        assert nb.read_run(tmp_path / "stopped").epochs == 1

    def test_epochs_that_are_trained_again_are_recorded_once(self, tmp_path: Path) -> None:
        """A killed job goes on from its checkpoint, which may be older than the last recorded epoch."""
        lightning = pytest.importorskip("lightning.pytorch")
        from nndynbench.adapters.lightning import RecordRun
        from tests.recording.lightning_runs import Classifier

        data = torch.utils.data.TensorDataset(*(part[:200] for part in digits()))
        loader = torch.utils.data.DataLoader(data, batch_size=100)
        quiet = dict.fromkeys(("logger", "enable_progress_bar", "enable_model_summary", "enable_checkpointing"), False)

        def fit(epochs: int, **given: Any) -> Any:
            recording = RecordRun(tmp_path / "run", resume=True)
            trainer = lightning.Trainer(
                max_epochs=epochs, accelerator="cpu", num_sanity_val_steps=0, callbacks=[recording], **quiet
            )
            trainer.fit(Classifier(0.01, 0), loader, loader, **given)
            return trainer

        fit(1).save_checkpoint(tmp_path / "one.ckpt")
        for epochs in (3, 4):
            fit(epochs, ckpt_path=tmp_path / "one.ckpt")
            assert nb.read_run(tmp_path / "run").epochs == epochs

    def test_a_process_that_records_nothing_stops_with_the_one_that_does(self, tmp_path: Path) -> None:
        pytest.importorskip("lightning")
        from nndynbench.adapters.lightning import RecordRun

        asked: list[bool] = []

        def of_any(decision: bool, **_: bool) -> bool:
            asked.append(decision)
            return True

        strategy = SimpleNamespace(reduce_boolean_decision=of_any)
        trainer = SimpleNamespace(callback_metrics={}, should_stop=False, strategy=strategy)
        RecordRun(tmp_path / "run", stop=Never()).on_train_epoch_end(trainer, None)
        assert (asked, trainer.should_stop) == ([False], True)


class TestTransformers:
    def trained(self, folder: Path, *, stop: nb.StopEarly | None = None, **options: Any) -> Any:
        """A Trainer that has finished training; an epoch has ten steps."""
        transformers = pytest.importorskip("transformers")
        from nndynbench.adapters.transformers import RecordRun

        class Classifier(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.network = small_cnn()

            def forward(self, pixels: Any, labels: Any = None) -> dict[str, Any]:
                logits = self.network(pixels)
                return {"loss": torch.nn.functional.cross_entropy(logits, labels), "logits": logits}

        images, classes = digits()
        items = [{"pixels": image, "labels": label} for image, label in zip(images, classes, strict=True)]
        recording = RecordRun(folder, stop=stop)
        arguments = transformers.TrainingArguments(
            output_dir=str(folder.parent / "trainer"),
            per_device_train_batch_size=100,
            learning_rate=0.01,
            report_to=[],
            disable_tqdm=True,
            use_cpu=True,
            **{"num_train_epochs": 2, "save_strategy": "no", **options},
        )
        trainer = transformers.Trainer(
            Classifier(),
            arguments,
            train_dataset=items[:1000],
            eval_dataset=items[1000:1400],
            compute_metrics=lambda given: {"accuracy": float((given[0].argmax(1) == given[1]).mean())},
            callbacks=[recording],
        )
        trainer.train()
        if stop is None:
            recording.recorder.finish(test_accuracy=80.0)
        return trainer

    def logged(self, trainer: Any, name: str) -> list[float]:
        return [line[name] for line in trainer.state.log_history if name in line]

    def test_a_training_is_recorded(self, tmp_path: Path) -> None:
        trainer = self.trained(tmp_path / "run", eval_strategy="epoch", logging_strategy="epoch")
        run = nb.read_run(tmp_path / "run")
        assert (run.epochs, list(run.weights), run.columns) == (2, [0, 1, 2], ["train_loss", "validation_accuracy"])
        assert run.curves["train_loss"].tolist() == self.logged(trainer, "loss")
        assert run.curves["validation_accuracy"].tolist() == [100 * each for each in self.logged(trainer, "eval_accuracy")]
        assert run.hyperparameters["learning_rate"] == 0.01
        assert not np.array_equal(run.weights[1]["network.0.weight"], run.weights[2]["network.0.weight"])

    @pytest.mark.parametrize(
        "options",
        [
            {"eval_strategy": "epoch", "logging_strategy": "epoch"},
            {"logging_strategy": "epoch"},
            {"eval_strategy": "epoch"},
            {},
        ],
        ids=["evaluated and logged", "logged", "evaluated", "neither"],
    )
    def test_a_rule_stops_it(self, options: dict[str, Any], tmp_path: Path) -> None:
        trainer = self.trained(tmp_path / "run", stop=Never(), **options)
        assert (nb.read_run(tmp_path / "run").epochs, trainer.state.global_step) == (1, 10)

    def test_each_epoch_has_the_loss_that_was_logged_at_its_end(self, tmp_path: Path) -> None:
        trainer = self.trained(tmp_path / "run", logging_strategy="epoch", num_train_epochs=3)
        run = nb.read_run(tmp_path / "run")
        assert (run.epochs, run.columns, list(run.weights)) == (3, ["train_loss"], [0, 1, 2, 3])
        assert run.curves["train_loss"].tolist() == self.logged(trainer, "loss")

    def test_each_epoch_has_the_loss_that_was_logged_last_within_it(self, tmp_path: Path) -> None:
        trainer = self.trained(tmp_path / "run", logging_steps=4)
        losses = self.logged(trainer, "loss")  # of steps 4, 8, 12, 16, 20
        assert nb.read_run(tmp_path / "run").curves["train_loss"].tolist() == [losses[1], losses[4]]

    @pytest.mark.parametrize(
        ("options", "columns"),
        [({}, []), ({"eval_strategy": "epoch"}, ["validation_accuracy"])],
        ids=["defaults", "evaluated"],
    )
    def test_a_loss_that_the_first_epoch_lacks_is_left_out_and_said(
        self, options: dict[str, Any], columns: list[str], tmp_path: Path
    ) -> None:
        with pytest.warns(CurvesWarning, match=r"train_loss .*not logged in the first epoch.*logging_strategy='epoch'"):
            self.trained(tmp_path / "run", logging_steps=15, num_train_epochs=3, **options)
        run = nb.read_run(tmp_path / "run")
        assert (run.epochs, run.columns, list(run.weights)) == (3, columns, [0, 1, 2, 3])

    def test_a_loss_that_a_later_epoch_lacks_is_nan_there(self, tmp_path: Path) -> None:
        with pytest.warns(CurvesWarning, match=r"train_loss \(loss\): not logged in epoch 2"):
            trainer = self.trained(tmp_path / "run", logging_first_step=True, logging_steps=25, num_train_epochs=3)
        first, later = self.logged(trainer, "loss")  # of steps 1 and 25
        np.testing.assert_array_equal(nb.read_run(tmp_path / "run").curves["train_loss"], [first, np.nan, later])

    def test_the_last_epoch_is_kept_where_the_best_is_loaded_in_the_end(self, tmp_path: Path) -> None:
        best = {"load_best_model_at_end": True, "metric_for_best_model": "eval_accuracy", "greater_is_better": False}
        self.trained(tmp_path / "run", eval_strategy="epoch", save_strategy="epoch", **best)
        run = nb.read_run(tmp_path / "run")
        assert not np.array_equal(run.weights[1]["network.0.weight"], run.weights[2]["network.0.weight"])


class TestKeras:
    @pytest.fixture(autouse=True)
    def _on_torch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("KERAS_BACKEND", "torch")
        keras = pytest.importorskip("keras")
        assert keras.backend.backend() == "torch"

    def trained(
        self, folder: Path, *, stop: nb.StopEarly | None = None, callback: dict[str, Any] | None = None, **options: Any
    ) -> tuple[Any, Any]:
        import keras

        from nndynbench.adapters.keras import RecordRun

        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [
                keras.layers.Input((8, 8, 1)),
                keras.layers.Conv2D(5, 3, activation="relu"),
                keras.layers.MaxPooling2D(2),
                keras.layers.Flatten(),
                keras.layers.Dense(10),
            ]
        )
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(0.01), loss=loss, metrics=["accuracy"])
        images, classes = (given.numpy() for given in digits())
        images = images.reshape(-1, 8, 8, 1)
        recording = RecordRun(folder, hyperparameters={"learning_rate": 0.01}, stop=stop, **(callback or {}))
        held_out = (images[1000:1400], classes[1000:1400])
        given = {"epochs": 2, "batch_size": 100, "verbose": 0, "validation_data": held_out, **options}
        model.fit(images[:1000], classes[:1000], callbacks=[recording], **given)
        return recording, model

    def test_a_training_is_recorded_in_torchs_layout(self, tmp_path: Path) -> None:
        recording, model = self.trained(tmp_path / "run")
        recording.recorder.finish(test_accuracy=80.0)
        run = nb.read_run(tmp_path / "run")
        assert (run.epochs, list(run.weights)) == (2, [0, 1, 2])
        assert run.columns == ["train_loss", "train_accuracy", "validation_accuracy"]
        conv, dense = run.architecture.weighted_layers
        weights = run.weights[2]
        # With these weights, torch computes what Keras computes with its own.
        network = torch.nn.Sequential(
            torch.nn.Conv2d(1, 5, 3), torch.nn.ReLU(), torch.nn.MaxPool2d(2), torch.nn.Flatten(), torch.nn.Linear(45, 10)
        )
        names = {"0": conv.name, "4": dense.name}
        state = {
            f"{place}.{part}": torch.tensor(weights[f"{n}.{part}"])
            for place, n in names.items()
            for part in ("weight", "bias")
        }
        network.load_state_dict(state)
        images = digits()[0][:20]
        expected = model.predict(images.numpy().reshape(-1, 8, 8, 1), verbose=0)
        np.testing.assert_allclose(network(images).detach().numpy(), expected, atol=1e-4)

    def test_a_rule_stops_it(self, tmp_path: Path) -> None:
        self.trained(tmp_path / "run", stop=Never())
        assert nb.read_run(tmp_path / "run").epochs == 1

    def test_a_curve_that_the_first_epoch_lacks_is_left_out_and_said(self, tmp_path: Path) -> None:
        with pytest.warns(
            CurvesWarning, match=r"validation_accuracy \(val_accuracy\): not logged in the first epoch.*validation_freq=1"
        ):
            self.trained(tmp_path / "run", epochs=4, validation_freq=2)
        run = nb.read_run(tmp_path / "run")
        assert (run.epochs, run.columns) == (4, ["train_loss", "train_accuracy"])

    def test_a_metric_of_another_name_is_said_to_be_missing_with_those_that_were_logged(self, tmp_path: Path) -> None:
        said = r"train_accuracy \(acc\): not logged in the first epoch, so left out of the run; logged were accuracy, loss"
        names = {"train_loss": "loss", "train_accuracy": "acc"}
        with pytest.warns(CurvesWarning, match=said):
            self.trained(tmp_path / "run", epochs=2, callback={"curves": names})
        with pytest.raises(UnknownNameError, match="unknown curve 'train_los'; did you mean 'train_loss'"):
            self.trained(tmp_path / "other", callback={"curves": {"train_los": "loss"}})

    def test_a_curve_that_a_later_epoch_lacks_is_nan_there(self, tmp_path: Path) -> None:
        with pytest.warns(CurvesWarning, match="not logged in epoch 2, so NaN there"):
            self.trained(tmp_path / "run", epochs=3, validation_freq=[1, 3])
        curves = nb.read_run(tmp_path / "run").curves
        assert np.isnan(curves["validation_accuracy"]).tolist() == [False, True, False]
        assert np.isfinite(curves["train_loss"]).all()

    @pytest.mark.parametrize("kind", ["LSTM", "DepthwiseConv2D"])
    def test_a_layer_that_no_graph_can_hold_leaves_no_graph_of_the_others(self, kind: str) -> None:
        import keras

        from nndynbench.adapters.keras import described

        layers = keras.layers
        first = {
            "LSTM": [layers.Input((8, 8)), layers.LSTM(6, name="middle")],
            "DepthwiseConv2D": [
                *(layers.Input((8, 8, 1)), layers.Conv2D(4, 3)),
                *(layers.DepthwiseConv2D(3, name="middle"), layers.Flatten()),
            ],
        }[kind]
        found = described(keras.Sequential([*first, layers.Dense(10)]))
        assert str(found.no_graph).startswith(f"'middle' is a {kind}: ")

    def test_a_callback_records_one_training(self, tmp_path: Path) -> None:
        recording, model = self.trained(tmp_path / "run")
        recording.recorder.finish(test_accuracy=80.0)
        images, classes = digits()
        with pytest.raises(RunError, match="make a new one, with another folder"):
            model.fit(images[:100].numpy().reshape(-1, 8, 8, 1), classes[:100].numpy(), verbose=0, callbacks=[recording])

    def test_layers_of_models_within_a_model_are_told_apart(self) -> None:
        import keras

        from nndynbench.adapters.keras import weights_of

        first, second = (keras.Sequential([keras.layers.Conv2D(4, 3, name="conv")], name=name) for name in ("one", "two"))
        inputs, out = keras.layers.Input((8, 8, 1)), keras.layers.Dense(10, name="out")
        weights = weights_of(keras.Sequential([inputs, first, second, keras.layers.Flatten(), out]))
        shapes = {name: values.shape for name, values in weights.items() if name.endswith("weight")}
        assert shapes == {"one.conv.weight": (4, 1, 3, 3), "two.conv.weight": (4, 4, 3, 3), "out.weight": (10, 64)}


def keras_models() -> dict[str, tuple[Any, str | None]]:
    """Functional Keras models, and how their having no graph is explained; None if they have one."""
    keras = pytest.importorskip("keras")
    layers = keras.layers
    flat, image = keras.Input((16,)), keras.Input((8, 8, 4))
    hidden = layers.Dense(16, name="first")(flat)
    twice = layers.Dense(16, name="twice")
    late, early = layers.Dense(16, name="late"), layers.Dense(16, name="early")

    class Subclassed(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.late, self.early = late, early

        def call(self, x: Any) -> Any:
            return self.late(self.early(x))

    subclassed = Subclassed()
    subclassed(np.zeros((1, 16), np.float32))
    left, right = (layers.Dense(16, name=name)(flat) for name in ("left", "right"))
    moved = layers.Flatten()(layers.Permute((3, 1, 2), name="moved")(layers.Conv2D(4, 3, name="conv")(image)))
    grouped = layers.Flatten()(layers.Conv2D(4, 3, groups=2, name="conv")(image))
    shortcut = layers.Add()([layers.Dense(16, name="second")(layers.ReLU()(hidden)), hidden])
    return {
        "a chain": (keras.Model(flat, layers.Dense(3)(layers.ReLU()(hidden))), None),
        "a shortcut": (keras.Model(flat, layers.Dense(3)(shortcut)), None),
        "two branches": (
            keras.Model(flat, layers.Add(name="sum")([left, right])),
            "'sum' adds a branch with a layer of its own",
        ),
        "a gate": (keras.Model(flat, layers.Multiply(name="gate")([left, right])), "'gate' joins 2 branches by Multiply"),
        "used twice": (keras.Model(flat, twice(twice(flat))), "'twice' is used twice"),
        "groups": (keras.Model(image, layers.Dense(3)(grouped)), "'conv' is a conv of 2 groups"),
        "moved": (keras.Model(image, layers.Dense(3)(moved)), "'moved' is a Permute"),
        "subclassed": (subclassed, "the order in which a subclassed model calls its layers is not known"),
    }


@pytest.mark.parametrize(
    "name", ["a chain", "a shortcut", "two branches", "a gate", "used twice", "groups", "moved", "subclassed"]
)
def test_keras_layers_that_do_not_follow_each_other_have_no_graph(name: str) -> None:
    model, reason = keras_models()[name]
    from nndynbench.adapters.keras import described

    found = described(model)
    said = found.no_graph
    assert (found.classes > 0) == (said is None)
    assert (said is None) if reason is None else (said is not None and said.startswith(reason))


def test_keras_layers_of_one_shape_keep_the_models_order_whatever_their_names() -> None:
    keras = pytest.importorskip("keras")
    from nndynbench.adapters.keras import described

    layers = [keras.layers.Dense(4, name=name) for name in ("body", "head", "stem")]
    found = described(keras.Sequential([keras.Input((4,)), *layers]))
    assert (found.no_graph, list(found.layer_sizes)[1:]) == (None, ["body", "head", "stem"])


def test_a_dense_layer_behind_a_conv_is_reordered_by_channel() -> None:
    rng = np.random.default_rng(0)
    maps, kernel = rng.normal(size=(2, 3, 4)), rng.normal(size=(2 * 3 * 4, 5))  # (height, width, channels)
    conv = (np.zeros((1, 1, 2, 4)), None)
    weights = from_channels_last({"conv": conv, "dense": (kernel, None)})
    ours = weights["dense.weight"] @ maps.transpose(2, 0, 1).ravel()
    np.testing.assert_allclose(ours, maps.ravel() @ kernel, rtol=1e-5)
