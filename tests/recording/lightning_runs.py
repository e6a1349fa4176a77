"""A small CNN on scikit-learn's digits, trained by PyTorch Lightning."""

from __future__ import annotations

import logging
import warnings
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from torch.utils.data import DataLoader, TensorDataset

from nndynbench.adapters.metrics import CurvesWarning
from tests.recording.loops import digits, small_cnn


class Classifier(LightningModule):
    def __init__(self, learning_rate: float, seed: int) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.network = small_cnn(seed)

    def forward(self, images: torch.Tensor) -> Any:
        return self.network(images)

    def _step(self, part: str, batch: Any) -> torch.Tensor:
        images, classes = batch
        logits = self(images)
        loss = torch.nn.functional.cross_entropy(logits, classes)
        accuracy = (logits.argmax(1) == classes).float().mean()
        self.log_dict({f"{part}_loss": loss, f"{part}_accuracy": accuracy}, on_step=False, on_epoch=True)
        return loss

    def training_step(self, batch: Any) -> torch.Tensor:
        return self._step("train", batch)

    def validation_step(self, batch: Any) -> torch.Tensor:
        return self._step("validation", batch)

    def test_step(self, batch: Any) -> torch.Tensor:
        return self._step("test", batch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), self.hparams["learning_rate"])


class Rarely(Classifier):
    """Logs the accuracies of its training in epochs 1, 3, 5 and so on."""

    def training_step(self, batch: Any) -> torch.Tensor:
        if self.current_epoch % 2 == 0:
            return super().training_step(batch)
        images, classes = batch
        loss = torch.nn.functional.cross_entropy(self(images), classes)
        self.log("train_loss", loss, on_step=False, on_epoch=True)
        return loss


class Late(Classifier):
    """Logs the accuracy of its training in ``on_train_epoch_end``, as metrics are that are computed over an epoch."""

    def on_train_epoch_start(self) -> None:
        self.right: list[torch.Tensor] = []

    def training_step(self, batch: Any) -> torch.Tensor:
        images, classes = batch
        logits = self(images)
        self.right.append((logits.argmax(1) == classes).float().mean())
        loss = torch.nn.functional.cross_entropy(logits, classes)
        self.log("train_loss", loss, on_step=False, on_epoch=True)
        return loss

    def on_train_epoch_end(self) -> None:
        self.log("train_accuracy", torch.stack(self.right).mean())


def trained(
    *callbacks: Any,
    learning_rate: float,
    seed: int,
    epochs: int = 3,
    kind: type[Classifier] = Classifier,
    check_val_every_n_epoch: int = 1,
) -> Classifier:
    """Train on 1,000 digits, with 400 to validate and the rest to test."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    images, classes = digits()
    parts = [TensorDataset(images[a:b], classes[a:b]) for a, b in ((0, 1000), (1000, 1400), (1400, 1797))]
    train, validation, test = (DataLoader(part, batch_size=100 if part is parts[0] else 400) for part in parts)
    quiet: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    options = {
        "max_epochs": epochs,
        "check_val_every_n_epoch": check_val_every_n_epoch,
        "accelerator": "cpu",
        "enable_checkpointing": False,
        "num_sanity_val_steps": 0,
    }
    trainer = Trainer(callbacks=list(callbacks), **options, **quiet)
    model = kind(learning_rate, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", CurvesWarning)
        trainer.fit(model, train, validation)
        trainer.test(model, test, verbose=False)
    return model
