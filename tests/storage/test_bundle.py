"""What the package carries: its megabytes, the graphs of every network if it has them, and epoch 0, which it draws."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import nndynbench as nb
from nndynbench.graphs import architecture
from nndynbench.storage.arrays import SnapshotArrays
from nndynbench.storage.files import file_facts
from nndynbench.storage.manifest import MANIFEST_NAME, read_manifest
from nndynbench.storage.places import NotAtHandError, bundled_folder, clone_folder
from nndynbench.storage.tables import read_table, write_table
from nndynbench.subsets.catalogue import catalogue
from nndynbench.subsets.packed import OtherInitialWeightsError

# The most megabytes of the subsets in each key together; a wheel on PyPI may have 100.
SHARES = {
    ("cifar10-lenet",): 9,
    ("cifar10-lenet-diverse",): 46,
    ("digits-lenet",): 8,
    ("digits-lenet-half", "digits-lenet-double"): 4,
    ("digits-lenet-seeds",): 15,
    ("cifar10-lenet-seeds",): 5,
    (
        "cifar10-alexnet",
        "cifar10-vgg",
        "cifar10-resnet32",
        "cifar10-resnet44",
        "imagenet-lenet",
        "imagenet-alexnet",
        "imagenet-resnet50",
    ): 8,
}
WHOLE = 95

AT_HAND = [entry.name for entry in catalogue().values() if (bundled_folder() / entry.name).is_dir()]
FIRST_EPOCHS = range(1, 6)


def megabytes(*subsets: str) -> float:
    files = [path for name in subsets for path in (bundled_folder() / name).rglob("*") if path.is_file()]
    return sum(path.stat().st_size for path in files) / 1e6


@pytest.fixture(scope="module")
def diverse() -> nb.Subset:
    return nb.load("cifar10-lenet-diverse", root=bundled_folder())


@pytest.mark.parametrize("subsets", SHARES, ids=",".join)
def test_subsets_keep_to_their_share(subsets: tuple[str, ...]) -> None:
    assert megabytes(*subsets) <= SHARES[subsets]


def test_every_subset_has_a_share_and_all_together_keep_to_the_whole() -> None:
    assert {name for subsets in SHARES for name in subsets} == set(catalogue())
    assert sum(SHARES.values()) <= WHOLE
    assert megabytes(*AT_HAND) <= WHOLE


@pytest.mark.parametrize("name", [name for name in AT_HAND if catalogue()[name].beside])
def test_a_clone_has_beside_it_what_the_catalogue_says(name: str) -> None:
    folder = clone_folder()
    assert folder is not None
    manifest = read_manifest(folder / name / catalogue()[name].version)
    assert manifest.tiers.keys() - {"networks"} == catalogue()[name].beside.keys()
    for tier, part in catalogue()[name].beside.items():
        facts = manifest.tiers[tier]
        assert (facts.epochs, facts.mantissa_bits) == (list(part.epochs or ()), part.bits)
        assert facts.networks == (part.networks or 2 * (part.of_each_label or 0) or manifest.networks)
        for file in facts.files:
            assert file_facts(folder / name / manifest.version / file).same_content(manifest.files[file])


def test_a_clone_has_the_graphs_of_every_seed() -> None:
    zoo = nb.load("digits-lenet-seeds")
    for network in zoo.network_ids[::97]:
        history = zoo.history(network, budget=5)
        features = zoo.features.loc[network]
        for epoch in FIRST_EPOCHS:
            weights = np.asarray(history.weights(epoch)["fc1.weight"], np.float64)
            # Weights are rounded to 8 bits of mantissa; features were computed before rounding.
            assert np.linalg.norm(weights) == pytest.approx(features.loc[(epoch, "fc1"), "l2_norm"], rel=2**-9)
            assert len(history.graph(epoch).blocks) == 5


@pytest.mark.parametrize("name", AT_HAND)
def test_what_can_be_derived_is_not_bundled(name: str) -> None:
    manifest = read_manifest(next((bundled_folder() / name).glob("*")))
    assert manifest.tiers.keys() - {"networks"} == catalogue()[name].bundle.keys()
    for tier, facts in manifest.tiers.items():
        if tier != "networks":
            assert 0 not in facts.epochs
            assert facts.mantissa_bits == catalogue()[name].bundle[tier].bits
            for file in facts.files:
                assert not (
                    SnapshotArrays(bundled_folder() / name / manifest.version / file)._values.file["epochs"][:] == 0
                ).any()
    assert not {"weights", "graphs"} <= manifest.tiers.keys()
    graphs = manifest.tiers.get("graphs")
    if graphs and graphs.networks == manifest.networks and graphs.mantissa_bits >= 12:
        assert "centralities" not in manifest.tiers


def test_the_diverse_graphs_are_of_every_network_and_as_the_stored_signatures_to_their_bits(diverse: nb.Subset) -> None:
    """Rounded to b bits, an edge is within 2^-(b+1) of what it was, relative, and so is each degree, a sum of edges of which
    none is negative. So medians and means of degrees are as close to those that were stored before any rounding.
    """
    bits = diverse.manifest.tiers["graphs"].mantissa_bits
    assert diverse.networks_in("graphs") == len(diverse.networks) == 480
    for network in diverse.network_ids:
        history = diverse.history(network, 5)
        degrees = np.stack([history.graph(epoch).degree() for epoch in FIRST_EPOCHS])
        found = np.stack([np.median(degrees, axis=1), degrees.mean(axis=1)], axis=1)
        np.testing.assert_allclose(found, history.signature("degree")[:, :2], rtol=2.0 ** -(bits + 1) * 1.001)


def test_every_network_of_the_digits_has_the_graph_of_every_early_epoch(digits: nb.Subset) -> None:
    bits = digits.manifest.tiers["weights"].mantissa_bits
    for network in digits.network_ids:
        history = digits.history(network, 5)
        means = [history.graph(epoch).degree().mean() for epoch in FIRST_EPOCHS]
        np.testing.assert_allclose(means, history.signature("degree")[:, 1], rtol=2.0 ** -(bits + 1) * 1.001)


@pytest.mark.parametrize("name", AT_HAND)
def test_epoch_0_of_every_network_is_drawn_as_it_was_trained_from(name: str) -> None:
    zoo = nb.load(name, root=bundled_folder())
    networks = zoo.network_ids if "vgg" not in name else zoo.network_ids[::12]
    for network in networks:
        history = zoo.history(network, 1)
        drawn = nb.centralities.moments(history.graph(0).degree())
        np.testing.assert_allclose(drawn, history.signature("degree", epochs=[0])[0], rtol=1e-9)
    layers = architecture(zoo.manifest.architecture).weighted_layers
    assert history.weights(0).keys() >= {f"{layer.name}.weight" for layer in layers}


def copied(zoo: nb.Subset, folder: Path, *, seed: int | None = None, subset: str | None = None) -> nb.Subset:
    """A copy of a subset's tables, with another seed for its first network, or under another name."""
    manifest = zoo.manifest
    target = folder / (subset or manifest.subset) / manifest.version
    target.mkdir(parents=True)
    tables = manifest.tiers["networks"]
    for name in tables.files:
        (target / name).write_bytes((zoo.folder / name).read_bytes())
    if seed is not None:
        networks: pd.DataFrame = read_table(target / "networks.parquet", "networks")
        networks.loc[zoo.network_ids[0], "seed"] = seed
        write_table(target, "networks", networks)
    files = {name: file_facts(target / name) for name in tables.files}
    changed = {"tiers": {"networks": tables}, "files": files, "subset": subset or manifest.subset}
    (target / MANIFEST_NAME).write_text(manifest.model_copy(update=changed).model_dump_json())
    return nb.Subset(target)


def test_a_draw_that_is_not_what_a_network_was_trained_from_is_refused(digits: nb.Subset, tmp_path: Path) -> None:
    zoo = copied(digits, tmp_path, seed=1)
    first, second = zoo.network_ids[:2]
    with pytest.raises(OtherInitialWeightsError, match=f"network {first} of digits-lenet .*degree signatures differ"):
        zoo.history(first, 1).graph(0)
    assert zoo.history(second, 1).graph(0).number_of_nodes == 51


def test_nothing_is_drawn_for_a_pack_of_ones_own(digits: nb.Subset, tmp_path: Path) -> None:
    zoo = copied(digits, tmp_path, subset="my-runs")
    with pytest.raises(NotAtHandError, match="holds 0 of 240 networks"):
        zoo.history(zoo.network_ids[0], 1).weights(0)


def test_tables_alone_say_which_subsets_have_graphs() -> None:
    zoo = nb.load("digits-lenet-half", root=bundled_folder())
    with pytest.raises(
        NotAtHandError,
        match=r"holds 0 of 240 networks, not this one; .* of every network at epoch 1: digits-lenet, .*-diverse",
    ):
        zoo.history(zoo.network_ids[0], 1).graph(1)
