"""Reads public zoos in their published layouts as runs that `nndynbench.pack` packs. docs/zoos.md says what each is."""

from nndynbench.importing.checkpoint_zoos import model_zoo_runs
from nndynbench.importing.small_cnn_zoo import small_cnn_zoo_runs

__all__ = ["model_zoo_runs", "small_cnn_zoo_runs"]
