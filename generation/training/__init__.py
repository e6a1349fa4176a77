"""Training one network, epoch by epoch; many side by side are `generation.engines`' job."""

from generation.training.network import NetworkPlan, Record, train_network

__all__ = ["NetworkPlan", "Record", "train_network"]
