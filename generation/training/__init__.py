"""Training: one network on a CPU, epoch by epoch, or many side by side on the same batches."""

from generation.training.network import train_network
from generation.training.plan import NetworkPlan
from generation.training.record import Record

__all__ = ["NetworkPlan", "Record", "train_network"]
