"""Engines: where units of work are done. Each module has one function that does a `Job`: on this machine, or with Ray."""

from generation.engines.job import Job, Outcome, Report, TrainingFailedError, shard

__all__ = ["Job", "Outcome", "Report", "TrainingFailedError", "shard"]
