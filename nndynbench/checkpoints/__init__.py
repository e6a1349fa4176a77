"""Checkpoints in anybody's files and naming: which files they are, which epochs they are of, and what they hold."""

from nndynbench.checkpoints.content import CheckpointError, StoredTensor, read_content
from nndynbench.checkpoints.epochs import CheckpointFolder, EpochOptions, Reading, read_folder

__all__ = ["CheckpointError", "CheckpointFolder", "EpochOptions", "Reading", "StoredTensor", "read_content", "read_folder"]
