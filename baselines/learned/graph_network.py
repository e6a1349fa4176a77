"""Networks that learn what to look for in a snapshot's graph: messages between its layers, and sets of nodes without them.

A small graph neural network on the rolled graph after the last epoch, and on what training has changed of it, in the manner
of Kofinas et al. 2024; as its control DeepSets (Zaheer et al. 2017), the same nodes without messages. Neither is told a
layer's nodes apart, so both say the same of a network whose hidden units are renamed. They need torch, and a minute or two a
budget; some hundred networks are few for them, so both are small, penalised, and trained for a fixed number of steps.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

import nndynbench as nb

WIDTH = 16
SEEDS = 2
BATCH = 32


def blocks_of(histories: Sequence[nb.History]) -> list[np.ndarray]:
    """By layer (networks, 2, outputs, inputs): the block after the last epoch, and what training has changed of it."""
    found = []
    for history in histories:
        before, after = (history.graph(epoch).blocks for epoch in (0, history.epochs))
        # Blocks of rolled graphs are arrays, those of unrolled ones may be operators.
        found.append([np.stack([late, late - early]) for early, late in zip(before, after, strict=True)])  # type: ignore[list-item, operator]
    return [np.stack(layer).astype(np.float32) for layer in zip(*found, strict=True)]


def network(layers: int, rounds: int) -> Any:
    """From blocks to a number for each network of a batch."""
    import torch
    from torch import nn

    class GraphNetwork(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(8 + layers + 1, WIDTH)
            self.rounds = nn.ModuleList(nn.Linear(WIDTH + 4 * WIDTH, WIDTH) for _ in range(rounds))
            self.last = nn.Sequential(nn.Linear(2 * WIDTH * (layers + 1), WIDTH), nn.ReLU(), nn.Linear(WIDTH, 1))

        def forward(self, blocks: list[torch.Tensor]) -> torch.Tensor:
            hidden = [torch.relu(self.first(nodes)) for nodes in self._nodes(blocks)]
            for update in self.rounds:
                below = [torch.zeros_like(hidden[0]).repeat(1, 1, 2)]
                below += [self._sent(block, nodes) for block, nodes in zip(blocks, hidden[:-1], strict=True)]
                above = [self._sent(block.transpose(2, 3), nodes) for block, nodes in zip(blocks, hidden[1:], strict=True)]
                above += [torch.zeros_like(hidden[-1]).repeat(1, 1, 2)]
                told = [torch.cat(parts, dim=2) for parts in zip(hidden, below, above, strict=True)]
                hidden = [nodes + torch.relu(update(parts)) for nodes, parts in zip(hidden, told, strict=True)]
            pooled = [torch.cat([nodes.mean(dim=1), nodes.amax(dim=1)], dim=1) for nodes in hidden]
            return self.last(torch.cat(pooled, dim=1))[:, 0]

        @staticmethod
        def _sent(block: torch.Tensor, nodes: torch.Tensor) -> torch.Tensor:
            """What nodes send along the two kinds of edges, the mean over the senders."""
            sent = torch.einsum("ncoi,nid->nocd", block, nodes) / block.shape[3]
            return sent.flatten(2)

        @staticmethod
        def _nodes(blocks: list[torch.Tensor]) -> list[torch.Tensor]:
            """Mean and deviation of the edges of both kinds, from below and from above, and which layer it is."""
            ends = []
            for layer in range(layers + 1):
                size = blocks[layer].shape[3] if layer < layers else blocks[-1].shape[2]
                none = torch.zeros(len(blocks[0]), size, 4)
                sides = []
                for block in (
                    blocks[layer - 1] if layer > 0 else None,
                    blocks[layer].transpose(2, 3) if layer < layers else None,
                ):
                    if block is None:
                        sides.append(none)
                    else:
                        moments = torch.cat([block.mean(dim=3), block.std(dim=3, correction=0)], dim=1)
                        sides.append(moments.transpose(1, 2))
                which = torch.zeros(len(blocks[0]), size, layers + 1)
                which[:, :, layer] = 1
                ends.append(torch.cat([*sides, which], dim=2))
            return ends

    return GraphNetwork()


class Learned(BaseEstimator):
    """Parameters: ``rounds`` of messages, ``steps`` of Adam, ``penalty`` on the weights."""

    def __init__(self, rounds: int = 2, steps: int = 600, penalty: float = 1e-3, random_state: int | None = None) -> None:
        self.rounds = rounds
        self.steps = steps
        self.penalty = penalty
        self.random_state = random_state

    def _fit(self, X: Sequence[nb.History], y: np.ndarray, *, binary: bool) -> None:
        import torch

        blocks = blocks_of(X)
        # In units of what training networks have, signed logarithms far out: exploded ones span orders of magnitude.
        self.units_ = [np.nanmedian(np.abs(block), axis=(0, 2, 3), keepdims=True) + 1e-12 for block in blocks]
        prepared = self._prepared(blocks)
        target = torch.as_tensor(y, dtype=torch.float32)
        loss = torch.nn.functional.binary_cross_entropy_with_logits if binary else torch.nn.functional.mse_loss
        self.networks_ = []
        for seed in range(SEEDS):
            torch.manual_seed((self.random_state or 0) + seed)
            model = network(len(blocks), self.rounds)
            optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=self.penalty)
            schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=5e-3, total_steps=self.steps)
            order = torch.randperm(len(target)).repeat(self.steps * BATCH // len(target) + 2)
            for step in range(self.steps):
                batch = order[step * BATCH : (step + 1) * BATCH]
                optimiser.zero_grad()
                loss(model([block[batch] for block in prepared]), target[batch]).backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimiser.step()
                schedule.step()
            self.networks_.append(model.eval())

    def _raw(self, X: Sequence[nb.History]) -> np.ndarray:
        import torch

        with torch.no_grad():
            prepared = self._prepared(blocks_of(X))
            return np.mean([model(prepared).numpy() for model in self.networks_], axis=0).astype(np.float64)

    def _prepared(self, blocks: list[np.ndarray]) -> list[Any]:
        import torch

        scaled = (np.arcsinh(block / unit) for block, unit in zip(blocks, self.units_, strict=True))
        return [
            torch.from_numpy(np.nan_to_num(block, nan=0.0, posinf=20, neginf=-20).astype(np.float32)) for block in scaled
        ]


class LearnedRegressor(RegressorMixin, Learned):
    def fit(self, X: Sequence[nb.History], y: np.ndarray) -> "LearnedRegressor":
        self.middle_, self.spread_ = np.mean(y), np.std(y) or 1.0
        self._fit(X, (np.asarray(y) - self.middle_) / self.spread_, binary=False)
        return self

    def predict(self, X: Sequence[nb.History]) -> np.ndarray:
        return self.middle_ + self.spread_ * self._raw(X)


class LearnedClassifier(ClassifierMixin, Learned):
    def fit(self, X: Sequence[nb.History], y: np.ndarray) -> "LearnedClassifier":
        self.classes_ = np.unique(y)
        self._fit(X, np.asarray(y), binary=True)
        return self

    def decision_function(self, X: Sequence[nb.History]) -> np.ndarray:
        return self._raw(X)

    def predict(self, X: Sequence[nb.History]) -> np.ndarray:
        return (self._raw(X) > 0).astype(int)


METHODS = {
    "graph-network": nb.Method(
        description="the rolled graph and its change since epoch 0, graph neural network of two rounds, mean of two",
        source="Kofinas et al. 2024, arXiv 2403.12143, on rolled graphs",
        reads={"weights"},
        classifier=LearnedClassifier(),
        regressor=LearnedRegressor(),
    ),
    "node-sets": nb.Method(
        description="control: the same graph neural network without messages between nodes, DeepSets over each layer's",
        source="Zaheer et al. 2017, arXiv 1703.06114",
        role="control",
        control_of="graph-network",
        reads={"weights"},
        classifier=LearnedClassifier(rounds=0),
        regressor=LearnedRegressor(rounds=0),
    ),
}
