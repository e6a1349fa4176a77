"""Training: one network on a CPU, epoch by epoch, or many side by side on the same batches."""

from generation.record import FinishedRecord, Record
from generation.training.network import train_network
from generation.training.plan import NetworkPlan

__all__ = ["FinishedRecord", "NetworkPlan", "Record", "train_network"]
