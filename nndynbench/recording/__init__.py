"""Runs of one's own: any training loop can record them into a folder, and they can be read back."""

from nndynbench.recording.recorder import Recorder
from nndynbench.recording.run import Run, RunError, read_run, read_runs

__all__ = ["Recorder", "Run", "RunError", "read_run", "read_runs"]
