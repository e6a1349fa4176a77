"""Writes checkpoints as other people's training code does."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Unpack

import numpy as np
from safetensors.numpy import save_file

from nndynbench.checkpoints import EpochOptions, read_folder

WEIGHTS = {"conv1.weight": np.ones((2, 1, 3, 3), np.float32)}


def named(folder: Path, *names: str) -> Path:
    """Safetensors files without metadata, whatever their names end in."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(WEIGHTS, path)
    return folder


def saying(folder: Path, **contents: dict[str, Any]) -> Path:
    """Safetensors files with metadata such as ``{"epoch": 3}``, given by file name without its ending."""
    folder.mkdir(exist_ok=True)
    for name, content in contents.items():
        metadata = {key: str(value) for key, value in content.items()}
        save_file(WEIGHTS, folder / f"{name}.safetensors", metadata=metadata)
    return folder


def checkpoint_files(folder: Path, **options: Unpack[EpochOptions]) -> dict[int, Path]:
    return read_folder(folder, **options).by_epoch()
