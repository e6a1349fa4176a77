"""Runs of one's own: recorded by any training loop into a folder, and read back."""

from nndynbench.recording.recorder import Recorder
from nndynbench.recording.run import Run, RunError, read_run, read_runs

__all__ = ["Recorder", "Run", "RunError", "read_run", "read_runs"]
