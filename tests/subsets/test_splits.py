"""The fixed splits: drawn by one seeded rule, balanced where the paper's are, and closed to leaks."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from packaging.version import Version
from sklearn.model_selection import StratifiedGroupKFold

import nndynbench as nb
from nndynbench.names import UnknownNameError
from nndynbench.subsets.splits import FOLDS, RULES, SplitError, _choice, _fold_of_each, _whole_numbers, blocked, draw_splits


@pytest.mark.parametrize("split", sorted(RULES))
def test_no_network_is_on_both_sides(digits: nb.Subset, split: str) -> None:
    for train, test in digits.split(split):
        assert not set(train) & set(test)
        assert {*train, *test} <= set(digits.network_ids)


def test_the_sample_is_balanced_and_each_of_its_networks_tested_once(digits: nb.Subset) -> None:
    tested = [network for _, test in digits.split("sample_folds") for network in test]
    labels = digits.networks.loc[tested, "label"]
    assert len(tested) == len(set(tested))
    assert labels.sum() * 2 == len(labels) == 2 * min(125, digits.networks["label"].value_counts().min())


def test_folds_test_every_network_once_and_keep_the_share_of_high_ones(digits: nb.Subset) -> None:
    folds = digits.split("folds")
    assert sorted(network for _, test in folds for network in test) == digits.network_ids
    shares = [digits.networks.loc[test, "label"].mean() for _, test in folds]
    assert np.ptp(shares) < 0.05


def test_holdout_leaves_a_fifth_out(digits: nb.Subset) -> None:
    [(train, test)] = digits.split("holdout")
    assert len(test) == pytest.approx(len(digits.networks) / 5, abs=1)
    assert len(train) + len(test) == len(digits.networks)


def test_blocked_trains_on_no_rate_next_to_a_tested_one(digits: nb.Subset) -> None:
    rates = digits.networks["learning_rate"]
    position = {rate: i for i, rate in enumerate(sorted(rates.unique()))}
    folds = digits.split("blocked")
    assert len(folds) == 12
    for train, test in folds:
        tested = {position[rate] for rate in rates.loc[test]}
        trained = {position[rate] for rate in rates.loc[train]}
        assert len(tested) == 4
        assert min(abs(a - b) for a in tested for b in trained) == 2


def test_blocked_by_another_number_tests_ten_bands_of_its_values(digits: nb.Subset) -> None:
    values = np.random.default_rng(0).permutation(240) % 60
    folds = list(blocked(digits.networks.assign(width=values**2), "own", by="width"))
    assert sorted(network for _, tested in folds for network in tested) == digits.network_ids
    place = pd.Series(values, digits.networks.index)
    for band, (trained, tested) in enumerate(folds):
        assert set(place.loc[tested]) == set(range(6 * band, 6 * band + 6))
        assert set(place.loc[trained]) == set(range(60)) - set(range(6 * band - 1, 6 * band + 7))
    assert len(folds) == 10


def test_a_network_without_a_learning_rate_is_in_no_band(digits: nb.Subset) -> None:
    without, others = digits.network_ids[::10], [network for network in digits.network_ids if network % 10]
    rates = digits.networks["learning_rate"].where(~digits.networks.index.isin(without))
    folds = list(blocked(digits.networks.assign(learning_rate=rates), "own"))
    alone = list(blocked(digits.networks.loc[others], "own"))
    assert [tested for _, tested in folds] == [tested for _, tested in alone]
    assert [trained for trained, _ in folds] == [sorted([*trained, *without]) for trained, _ in alone]


@pytest.fixture(scope="module")
def diverse() -> nb.Subset:
    return nb.load("cifar10-lenet-diverse")


@pytest.mark.parametrize("split", ["folds", "sample_folds"])
def test_another_draw_divides_by_the_same_rule_and_the_same_way_every_time(diverse: nb.Subset, split: str) -> None:
    first, again = diverse.split(split), diverse.split(split, 2)
    assert again != first
    assert again != diverse.split(split, 3)
    assert again == nb.load(diverse.name).split(split, 2)
    networks = diverse.networks
    for train, test in again:
        assert not set(networks.loc[train, "configuration"]) & set(networks.loc[test, "configuration"])
        assert networks.loc[test, "label"].mean() == pytest.approx(networks.loc[first[0][1], "label"].mean(), abs=0.05)
    assert sum(len(test) for _, test in again) == sum(len(test) for _, test in first)


PUBLISHED = {
    "cifar10-lenet": "81355281d595397b98173135476deba57b9d524c0a7cb36bb78c4d6212e3d9fe",
    "cifar10-lenet-diverse": "a536258ac77a092594c0ea1325cc028bdce8b517fe41df1a1a8d327086ad2110",
    "digits-lenet": "5112c30c9533bf81ca1b0ddc385c7ecf71f65573d9fcb3d0f7b50726cef48f6b",
}


def test_a_further_draw_is_stored_in_no_file_and_changes_no_checksum() -> None:
    """The checksums are those of published versions from before there were further draws, and before there were seeds."""
    for name, checksum in PUBLISHED.items():
        subset = nb.load(name)
        before = {path: path.stat().st_mtime_ns for path in subset.folder.iterdir()}
        subset.split("folds", 4)
        assert {path: path.stat().st_mtime_ns for path in subset.folder.iterdir()} == before
        assert nb.load(name).checksum == checksum


@pytest.mark.parametrize("draw", [0, 2])
def test_a_split_is_its_callers_own(diverse: nb.Subset, draw: int) -> None:
    before = copy.deepcopy(diverse.split("folds", draw))
    diverse.split("folds", draw)[0][0].clear()
    diverse.split("folds", draw).pop()
    assert diverse.split("folds", draw) == before


@pytest.mark.parametrize(
    ("split", "draw"), [("holdout", 1), ("blocked", 3), ("folds", -1), ("folds", 1.5), ("folds", True), ("folds", "1")]
)
def test_a_draw_that_there_is_not_is_refused(digits: nb.Subset, split: str, draw: Any) -> None:
    with pytest.raises(SplitError, match=f"{split} has no draw {draw}"):
        digits.split(split, draw)


STORED = sorted(Path(nb.__file__).parent.glob("bundled/*/*/splits.json"))


@pytest.mark.parametrize("file", STORED, ids=lambda file: file.parts[-3])
def test_the_rule_draws_every_stored_split_again(file: Path) -> None:
    stored = json.loads(file.read_text(encoding="utf-8"))
    name, version = file.parts[-3:-1]
    subset = nb.load(name, version=version, root=file.parents[2])
    drawn = draw_splits(subset.networks, subset=name)
    assert drawn.left_out.keys() == stored["left_out"].keys()
    assert drawn.folds == {
        split: [(fold["train"], fold["test"]) for fold in folds] for split, folds in stored["folds"].items()
    }


@given(st.data())
@settings(deadline=None)
def test_folds_are_those_of_scikit_learn(data: st.DataObject) -> None:
    """The draw is the project's own code, so no version of scikit-learn changes it; 1.8 and later draw the same."""
    if Version(sklearn.__version__) < Version("1.8"):
        pytest.skip("scikit-learn below 1.8 shuffles groups differently")
    count = data.draw(st.integers(10, 120))
    labels = np.array(data.draw(st.lists(st.integers(0, 1), min_size=count, max_size=count)))
    groups = np.array(data.draw(st.lists(st.integers(0, count), min_size=count, max_size=count)))
    seed = data.draw(st.integers(0, 2**32 - 1))
    assume(np.bincount(labels, minlength=2).min() >= FOLDS)
    assume(len(set(groups)) >= FOLDS)
    theirs = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed).split(labels, labels, groups)
    ours = np.array(_fold_of_each(labels.tolist(), groups.tolist(), seed=seed))
    for fold, (_, test) in enumerate(theirs):
        assert np.flatnonzero(ours == fold).tolist() == test.tolist()


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(1, 600), min_size=1, max_size=4), st.data())
def test_the_balanced_sample_is_that_of_numpy(seed: int, sizes: list[int], data: st.DataObject) -> None:
    random, below = np.random.default_rng(seed), _whole_numbers(seed)
    for size in sizes:  # in sequence: each leaves the state that the next one starts from
        count = data.draw(st.integers(1, size))
        assert _choice(range(size), count, below) == random.choice(size, count, replace=False).tolist()


def test_twins_are_never_split_and_optimisers_are_the_blocks() -> None:
    random = np.random.default_rng(0)
    configuration = np.r_[np.arange(100), np.arange(40)]
    networks = pd.DataFrame(
        {
            "configuration": configuration,
            "optimiser": np.array(["adam", "momentum", "sgd"])[configuration % 3],
            "learning_rate": random.random(100)[configuration],
            "label": (random.random(100)[configuration] > 0.5).astype(int),
        }
    )
    drawn = draw_splits(networks, subset="twins")
    assert drawn.left_out == {}
    for folds in drawn.folds.values():
        for train, test in folds:
            assert not set(configuration[train]) & set(configuration[test])
    assert len(drawn.folds["blocked"]) == 3


def test_a_split_that_cannot_be_filled_says_why() -> None:
    few = pd.DataFrame({"learning_rate": [0.1, 0.2, 0.3, 0.4], "label": [0, 0, 1, 1]})
    drawn = draw_splits(few, subset="few")
    assert drawn.folds == {}
    assert (
        drawn.left_out["folds"] == "4 networks with 2 in the smaller class: 5 folds need 5 of each, so at least 10 networks"
    )
    assert drawn.left_out["sample_folds"] == "2 high and 2 low networks: a class needs at least 15"
    assert "learning rates" in drawn.left_out["blocked"]


def test_a_class_without_networks_counts_as_0_and_the_threshold_is_named() -> None:
    high = pd.DataFrame({"learning_rate": np.geomspace(0.001, 0.1, 30), "label": 1})
    why = "30 networks with 0 in the smaller class: 5 folds need 5 of each; another threshold= cuts the labels elsewhere"
    assert draw_splits(high, subset="high").left_out["folds"] == why


def test_an_unknown_split_is_refused(digits: nb.Subset) -> None:
    with pytest.raises(UnknownNameError, match="unknown split 'fold'; did you mean 'folds'"):
        digits.split("fold")
