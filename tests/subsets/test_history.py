"""A history knows its network up to its budget, and nothing later."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kurtosis, skew

import nndynbench as nb
from nndynbench.names import UnknownNameError
from nndynbench.storage import places
from nndynbench.storage.manifest import TierName
from nndynbench.storage.places import NotAtHandError
from nndynbench.subsets import BudgetError, packed


@pytest.mark.parametrize("budget", [1, 5, 10])
def test_everything_it_hands_out_ends_at_the_budget(digits: nb.Subset, budget: int) -> None:
    history = digits.history(100, budget)
    assert history.epochs == budget
    assert list(history.curves.index) == list(range(1, budget + 1))
    assert history.features.index.get_level_values("epoch").max() == budget
    assert history.signature("degree").shape == (budget, 5)
    assert history.signature("degree", representation="unrolled", sign="pos-neg").shape == (budget, 10)
    assert history.centrality("eigenvector").shape == (budget, 51)


def test_an_unrolled_graphs_sides_are_summarised_one_beside_the_other(digits: nb.Subset) -> None:
    """Oracle: scipy's moments of the row sums of the graph's matrix, of its edges above 0 and of those below."""
    history = digits.history(100, 2)
    sides = [history.signature("degree", representation="unrolled", sign=sign) for sign in ("positive", "negative")]
    both = history.signature("degree", representation="unrolled", sign="pos-neg")
    np.testing.assert_array_equal(both, np.hstack(sides))
    matrix = history.graph(2, "unrolled").to_scipy()
    for factor, own in zip((1, -1), sides, strict=True):
        degrees = (factor * matrix).maximum(0).sum(axis=1)
        expected = [np.median(degrees), np.mean(degrees), np.std(degrees), skew(degrees), kurtosis(degrees)]
        np.testing.assert_allclose(own[1], expected, rtol=0.01)  # stored weights are rounded to 12 bits of mantissa


@pytest.mark.parametrize("epoch", [-1, 6, 15])
def test_no_later_epoch_can_be_read(digits: nb.Subset, epoch: int) -> None:
    history = digits.history(100, 5)
    for read in (history.weights, history.graph):
        with pytest.raises(BudgetError, match=f"epoch {epoch} .*valid epochs are 0 to 5"):
            read(epoch)


@pytest.mark.parametrize("budget", [0, 99, -1, "five", 2.5, None, True])
def test_a_bad_budget_is_refused_with_the_valid_ones(digits: nb.Subset, budget: Any) -> None:
    for read in (lambda: digits.history(0, budget), lambda: digits.on_plateau(budget)):
        with pytest.raises(
            BudgetError, match="is not a budget of digits-lenet: valid budgets are whole numbers from 1 to 15"
        ):
            read()


@pytest.mark.parametrize("centrality", ["degree", lambda graph: graph.degree()])
@pytest.mark.parametrize("options", [{}, {"representation": "unrolled", "sign": "positive"}])
def test_a_signature_of_no_epochs_is_refused(digits: nb.Subset, centrality: Any, options: dict[str, str]) -> None:
    with pytest.raises(BudgetError, match="epochs must have at least one epoch, such as"):
        digits.history(0, 5).signature(centrality, epochs=[], **options)


def test_an_unknown_network_is_refused(digits: nb.Subset) -> None:
    for kind in (KeyError, nb.NndynbenchError):
        with pytest.raises(kind) as refused:
            digits.history(240, 1)
        assert str(refused.value) == f"digits-lenet {digits.version} has no network 240 (it has 240, from 0 to 239)"
    with pytest.raises(nb.NndynbenchError, match=r"has no networks 300, 500 \(it has 240, from 0 to 239\)"):
        digits.plot_curves(network_ids=[3, 500, 300])


def test_no_public_attribute_leads_to_the_zoo_the_id_the_label_or_the_future(digits: nb.Subset) -> None:
    network = 100
    facts = digits.networks.loc[network]
    history = digits.history(network, 3)
    public = {name for name in dir(history) if not name.startswith("_")}
    assert public == {
        "architecture",
        "centrality",
        "curves",
        "epochs",
        "features",
        "graph",
        "hyperparameters",
        "layer_sizes",
        "signature",
        "weights",
    }
    hidden = {"seed", "epochs_trained", "stopped_early", "diverged", "final_accuracy", "best_accuracy", "label", "network"}
    handed_out: list[Any] = [history.hyperparameters, history.curves, history.features]
    for part in handed_out:
        names = set(part) if isinstance(part, dict) else {*part.columns, *part.index.names}
        assert not names & hidden
    assert set(history.hyperparameters) == {"learning_rate", "dropout"}
    assert str(int(facts["seed"])) not in repr(history)
    with pytest.raises(AttributeError):
        history.label = 1  # type: ignore[attr-defined]


def test_a_network_that_stopped_early_repeats_its_last_epoch(digits: nb.Subset) -> None:
    stopped = digits.networks[digits.networks["stopped_early"]]
    network, last = int(stopped.index[0]), int(stopped["epochs_trained"].iloc[0])
    assert last < 15
    signatures = digits.history(network, 15).signature("degree")
    assert np.isfinite(signatures).all()
    assert (signatures[last:] == signatures[last - 1]).all()
    assert list(digits.history(network, 15).curves.index) == list(range(1, last + 1))


def test_what_is_read_is_noted_by_information_tier(digits: nb.Subset) -> None:
    read: set[str] = set()
    [history] = digits.histories([0], 2, read=read)
    assert read == set()
    _ = history.curves
    assert read == {"curves"}
    _ = history.hyperparameters
    history.signature("degree")
    assert read == {"curves", "hyperparameters", "weights"}


def test_a_snapshot_that_is_not_kept_says_where_to_get_it(digits: nb.Subset) -> None:
    longest = digits.networks["epochs_trained"].idxmax()
    with pytest.raises(
        NotAtHandError, match=r"graphs tier .* 1 to 10 and 15 of this network, not 12; .* \(--budgets 1-10\)"
    ) as no:
        digits.history(int(longest), 15).graph(12)
    assert "train digits-lenet --grid digits --keep 12 --out DIR" in str(no.value)  # it was trained with 10
    assert "nndynbench download" not in str(no.value)  # nothing is published


def test_a_download_is_named_where_there_is_a_hub(digits: nb.Subset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNDYNBENCH_HUB", "somebody/zoos")
    longest = digits.networks["epochs_trained"].idxmax()
    with pytest.raises(
        NotAtHandError, match=r"nndynbench download digits-lenet --tier graphs --version 1\.0\.0; or regenerate"
    ):
        digits.history(int(longest), 15).graph(12)


def test_epochs_that_are_not_in_a_row_are_named_with_what_reads_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in an installed package, without the clone's data/."""
    monkeypatch.setattr(places, "clone_folder", lambda: None)
    monkeypatch.setattr(packed, "clone_folder", lambda: None)
    zoo = nb.load("digits-lenet-seeds")
    with pytest.raises(NotAtHandError) as missing:
        zoo.history(zoo.network_ids[0], 2).graph(2)
    said = str(missing.value)
    assert "up to budget 1 (--budgets 1), Signature(…, epochs=[1, 3, 5]) reads these alone" in said
    assert "other subsets at hand with the graphs of every network at epoch 2: digits-lenet, cifar10-lenet-diverse;" in said
    assert "a clone has more in data/, weights of epochs 2 and 4" in said


def test_what_only_some_networks_have_is_said_to_be_no_budget_for_all() -> None:
    zoo = nb.load("cifar10-lenet")
    with pytest.raises(NotAtHandError, match=r"epochs 1 to 5 of this network, not 6, and those of 29 of 479 others; other"):
        zoo.history(zoo.network_ids[0], 6).graph(6)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("digits-lenet-seeds", "a clone has more in data/, weights of epochs 2 and 4: install the package from there"),
        ("cifar10-resnet32", "a clone has more in data/, graphs of epochs 1 and 5 of some networks: install"),
        ("digits-lenet", ""),  # the package has all of it
    ],
)
def test_an_installed_package_names_what_a_clone_has_more(name: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tiers: tuple[TierName, ...] = ("graphs", "weights")
    epoch = 2 if name == "digits-lenet-seeds" else 5
    assert packed.in_a_clone(name, tiers, epoch) == ""  # the tests run in a clone
    monkeypatch.setattr(packed, "clone_folder", lambda: None)
    assert packed.in_a_clone(name, tiers, epoch).startswith(said)
    assert packed.in_a_clone(name, tiers, 8) == ""  # nor does a clone have it


def test_what_a_pack_lacks_is_regenerated_by_the_command_that_trained_it() -> None:
    zoo = nb.load("cifar10-vgg")
    command = (
        "python -m generation train cifar10-vgg --grid reduced-vgg "
        f"--device cuda --side-by-side {len(zoo.networks)} --precision bfloat16 --out DIR"
    )
    with pytest.raises(NotAtHandError, match=command):
        zoo.history(zoo.network_ids[0], budget=5).weights(5)


def test_unknown_representations_centralities_and_signs_are_refused(digits: nb.Subset) -> None:
    history = digits.history(0, 1)
    with pytest.raises(UnknownNameError, match="unknown representation 'roled'; did you mean 'rolled'"):
        history.graph(1, "roled")
    with pytest.raises(UnknownNameError, match="unknown centrality 'degre'; did you mean 'degree'"):
        history.signature("degre")
    with pytest.raises(ValueError, match="sign"):
        history.signature("degree", sign="positive")
    with pytest.raises(UnknownNameError, match="sign of the unrolled graph"):
        history.signature("degree", representation="unrolled")
    with pytest.raises(UnknownNameError, match="unknown sign of the unrolled graph 'negativ'; did you mean 'negative'"):
        history.centrality("degree", representation="unrolled", sign="negativ")
    with pytest.raises(ValueError, match="the rolled graph has no sign: leave sign='pos-neg' out"):
        history.signature("degree", sign="pos-neg")
    with pytest.raises(ValueError, match="the rolled graph has no sign"):
        history.centrality("degree", sign="negative")
    with pytest.raises(ValueError, match="the rolled graph has no sign"):
        history.signature(lambda graph: graph.degree(), sign="negative")
    with pytest.raises(BudgetError, match=r"epoch 0\.5 is not a whole number"):
        history.signature("degree", epochs=[0.5])


def test_an_unknown_representation_is_not_said_to_be_missing() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'rolled'"):
        nb.load("cifar10-lenet").history(0, budget=3).graph(3, "roled")


def test_weights_and_graphs_are_real_snapshots(digits: nb.Subset) -> None:
    history = digits.history(100, 5)
    assert {name: w.shape for name, w in history.weights(0).items()} == {
        "conv1.weight": (4, 1, 3, 3),
        "conv1.bias": (4,),
        "conv2.weight": (8, 4, 3, 3),
        "conv2.bias": (8,),
        "fc1.weight": (16, 32),
        "fc1.bias": (16,),
        "fc2.weight": (12, 16),
        "fc2.bias": (12,),
        "fc3.weight": (10, 12),
        "fc3.bias": (10,),
    }
    graph = history.graph(5)
    assert graph.number_of_nodes == 1 + 4 + 8 + 16 + 12 + 10
    drawn = nb.graphs.random_weights("digits-lenet", seed=int(digits.networks.loc[100, "seed"]))
    for name, weights in history.weights(0).items():
        np.testing.assert_allclose(weights, drawn[name], rtol=2**-12)
    assert not np.allclose(history.weights(5)["conv2.weight"], drawn["conv2.weight"], rtol=0.01)


def test_curves_are_those_of_the_table_without_what_an_epoch_took(digits: nb.Subset) -> None:
    # Seconds would tell the batch size, a hyperparameter.
    expected = digits.curves.loc[100].loc[1:4].drop(columns="seconds")
    pd.testing.assert_frame_equal(digits.history(100, 4).curves, expected)
