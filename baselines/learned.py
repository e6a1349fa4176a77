"""Neural networks that learn what to look for in a network: a graph neural network, node sets as its control, and probes.

A small graph neural network sees the rolled graph after the last epoch, and what training has changed of it, in the manner
of Kofinas et al. 2024. Its control, DeepSets (Zaheer et al. 2017), sees the same nodes without messages between them. Probes
are learned inputs that are run through a network: its outputs tell what it has learned (Kahana et al. 2024). None of these
methods can tell a hidden layer's nodes apart, so all predict the same for a network whose hidden units are renamed. They
need torch, and a minute or two per budget. Some hundred networks are few for them, so all are small, penalised, and trained
for a fixed number of steps.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

import nndynbench as nb

WIDTH = 16
SEEDS = 2
BATCH = 32
PROBES = 16
ROUNDS = {"messages": 2, "sets": 0}
STEPS = {"messages": 600, "sets": 600, "probes": 100}  # probes fit 192 networks sooner, and predict worse from then on
PROBE_FACTORS = 8  # a probe is a linear function of so many numbers: fewer than pixels, so that neighbours move together


def blocks_of(histories: Sequence[nb.History]) -> list[np.ndarray]:
    """For each layer (networks, 2, outputs, inputs): the block after the last epoch, and what training has changed of it."""
    found = []
    for history in histories:
        before, after = (history.graph(epoch).blocks for epoch in (0, history.epochs))
        # Blocks of rolled graphs are arrays, those of unrolled ones may be operators.
        found.append([np.stack([late, late - early]) for early, late in zip(before, after, strict=True)])  # type: ignore[list-item, operator]
    return [np.stack(layer).astype(np.float32) for layer in zip(*found, strict=True)]


def graph_network(layers: int, rounds: int) -> Any:
    """A module that takes the blocks of a batch of networks to a number for each network."""
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
            """What nodes send along the two kinds of edges, as the mean over the senders."""
            sent = torch.einsum("ncoi,nid->nocd", block, nodes) / block.shape[3]
            return sent.flatten(2)

        @staticmethod
        def _nodes(blocks: list[torch.Tensor]) -> list[torch.Tensor]:
            """For each node: mean and deviation of its edges of both kinds, from below and from above, and its layer."""
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


def weights_of(histories: Sequence[nb.History]) -> list[np.ndarray]:
    """For each layer its weights after the last epoch (networks, …), then its biases (networks, outputs)."""
    snapshots = [history.weights(history.epochs) for history in histories]
    names = [name.removesuffix(".weight") for name in snapshots[0] if name.endswith(".weight")]
    order = [layer for layer in histories[0].layer_sizes if layer in names]
    if len(order) != len(names):
        raise ValueError(f"probes are run through LeNets alone, which have no layers such as {min(set(names) - set(order))}")
    return [
        np.stack([weights[f"{layer}.{part}"] for weights in snapshots]) for layer in order for part in ("weight", "bias")
    ]


def side_of(convs: Sequence[np.ndarray], first_fc: np.ndarray) -> int:
    """The side of a LeNet's input in pixels: convs of 3×3 keep the size, those of 5×5 have no padding, pools halve it."""
    side = round((first_fc.shape[2] / convs[-1].shape[1]) ** 0.5)
    for conv in reversed(convs):
        side = 2 * side + conv.shape[3] - 1 - 2 * padding_of(conv)
    return side


def padding_of(conv: Any) -> int:
    """A conv's padding in pixels."""
    return 1 if conv.shape[3] == 3 else 0


def probe_network(shapes: Sequence[np.ndarray]) -> Any:
    """A module that takes the weights and biases of a batch of LeNets to a number for each network."""
    import torch
    from torch import nn

    convs = [weights for weights in shapes[::2] if weights.ndim == 5]
    channels, side, classes = convs[0].shape[2], side_of(convs, shapes[2 * len(convs)]), shapes[-1].shape[1]

    class ProbeNetwork(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.factors = nn.Parameter(torch.randn(PROBES, PROBE_FACTORS))
            self.pixels = nn.Linear(PROBE_FACTORS, channels * side**2)
            self.last = nn.Sequential(nn.Linear(PROBES * classes, 2 * WIDTH), nn.ReLU(), nn.Linear(2 * WIDTH, 1))

        def forward(self, arrays: list[torch.Tensor]) -> torch.Tensor:
            outputs = run_through(arrays, self.pixels(self.factors).reshape(PROBES, channels, side, side))
            return self.last(torch.asinh(torch.nan_to_num(outputs).clamp(-1e6, 1e6)).flatten(1))[:, 0]

    return ProbeNetwork()


def run_through(arrays: Sequence[Any], images: Any) -> Any:
    """The outputs (networks, images, classes) of LeNets, whose arrays have networks first, for images (images, channels,
    side, side).
    """
    import torch
    from torch.nn import functional

    networks = len(arrays[0])
    hidden = images.repeat(1, networks, 1, 1)
    for weights, biases in zip(arrays[::2], arrays[1::2], strict=True):
        if weights.ndim == 5:  # all networks side by side, as groups of one conv
            padding = padding_of(weights[0][None])
            hidden = functional.conv2d(hidden, weights.flatten(0, 1), biases.flatten(), padding=padding, groups=networks)
            hidden = functional.max_pool2d(torch.relu(hidden), 2)
            continue
        hidden = hidden.unflatten(1, (networks, -1)).transpose(0, 1).flatten(2) if hidden.ndim == 4 else torch.relu(hidden)
        hidden = torch.baddbmm(biases[:, None], hidden, weights.transpose(1, 2))
    return hidden


class Learned(BaseEstimator):
    """``sees`` is "messages", "sets" or "probes"; ``penalty`` is the penalty on the weights."""

    def __init__(self, sees: str = "messages", penalty: float = 1e-3, random_state: int | None = None) -> None:
        self.sees = sees
        self.penalty = penalty
        self.random_state = random_state

    def _fit(self, X: Sequence[nb.History], y: np.ndarray, *, binary: bool) -> None:
        import torch

        arrays = self._read(X)
        # Units are the training networks' medians. Far from them values count as logarithms: exploded networks span orders
        # of magnitude.
        self.units_ = [
            np.nanmedian(np.abs(block), axis=(0, *range(2, block.ndim)), keepdims=True) + 1e-12 for block in arrays
        ]
        prepared = self._prepared(arrays)
        target = torch.as_tensor(y, dtype=torch.float32)
        loss = torch.nn.functional.binary_cross_entropy_with_logits if binary else torch.nn.functional.mse_loss
        self.networks_, steps = [], STEPS[self.sees]
        for seed in range(SEEDS):
            torch.manual_seed((self.random_state or 0) + seed)
            model = self._network(arrays)
            optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=self.penalty)
            schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=5e-3, total_steps=steps)
            order = torch.randperm(len(target)).repeat(steps * BATCH // len(target) + 2)
            for step in range(steps):
                batch = order[step * BATCH : (step + 1) * BATCH]
                optimiser.zero_grad()
                loss(model([array[batch] for array in prepared]), target[batch]).backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimiser.step()
                schedule.step()
            self.networks_.append(model.eval())

    def _raw(self, X: Sequence[nb.History]) -> np.ndarray:
        import torch

        with torch.no_grad():
            prepared = self._prepared(self._read(X))
            return np.mean([model(prepared).numpy() for model in self.networks_], axis=0).astype(np.float64)

    def _read(self, X: Sequence[nb.History]) -> list[np.ndarray]:
        return weights_of(X) if self.sees == "probes" else blocks_of(X)

    def _network(self, arrays: list[np.ndarray]) -> Any:
        if self.sees == "probes":
            return probe_network(arrays)
        return graph_network(len(arrays), ROUNDS[self.sees])

    def _prepared(self, arrays: list[np.ndarray]) -> list[Any]:
        import torch

        if self.sees != "probes":  # probes are run through the network as it is
            arrays = [np.arcsinh(block / unit) for block, unit in zip(arrays, self.units_, strict=True)]
        return [
            torch.from_numpy(np.nan_to_num(array, nan=0.0, posinf=20, neginf=-20).astype(np.float32)) for array in arrays
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
        needs="torch",
        classifier=LearnedClassifier(),
        regressor=LearnedRegressor(),
    ),
    "node-sets": nb.Method(
        description="control: the same graph neural network without messages between nodes, DeepSets over each layer's",
        source="Zaheer et al. 2017, arXiv 1703.06114",
        role="control",
        control_of="graph-network",
        reads={"weights"},
        needs="torch",
        classifier=LearnedClassifier(sees="sets"),
        regressor=LearnedRegressor(sees="sets"),
    ),
    "learned-probes": nb.Method(
        description="outputs for 16 learned inputs that are run through the network after the last epoch, mean of two",
        source="Kahana et al. 2024, arXiv 2410.10811",
        reads={"weights"},
        needs="torch",
        classifier=LearnedClassifier(sees="probes"),
        regressor=LearnedRegressor(sees="probes"),
    ),
}
