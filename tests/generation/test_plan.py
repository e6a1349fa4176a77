"""A folder's plan binds: nothing can be trained there that would make another zoo."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from generation import plan as plans
from generation.grids import DEFAULTS, GridError, grid_names, read_grid
from generation.images import Images
from generation.plan import NoRunsError, PlanMismatchError, begun_plan, subset_plan
from generation.training import train_network
from nndynbench.names import UnknownNameError
from nndynbench.storage.manifest import FULL_PRECISION, REDUCED_PRECISION
from nndynbench.subsets.catalogue import catalogue_entry
from nndynbench.subsets.splits import draw_splits
from tests.generation.small_runs import begin, write_grid


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"zoo_seed": 1}, "zoo_seed 0, but it is now 1; choose another --out, or the same --seed"),
        ({"kept_epochs": (0, 1)}, "kept_epochs .* or the same --keep"),
        ({"trainer": "side by side"}, "trainer 'one by one'.* or the same --side-by-side"),
        ({"precision": "bfloat16"}, "settings .* or the same --grid and --precision"),
        ({"grid": "digits"}, "grid 'small', but it is now 'digits'"),
    ],
)
def test_other_settings_are_refused(tmp_path: Path, digit_images: Images, changed: dict[str, object], named: str) -> None:
    begin(tmp_path, digit_images)
    other = subset_plan("digits-lenet", tmp_path, **{"grid": str(tmp_path / "small.toml")} | changed)  # type: ignore[arg-type]
    with pytest.raises(PlanMismatchError, match=named):
        other.bind(digit_images)


@pytest.mark.parametrize(
    ("device", "precision", "named"),
    [("cpu", "tf32", "unknown precision on cpu 'tf32'"), ("cuda", "float8", "precision"), ("tpu", None, "device 'tpu'")],
)
def test_a_precision_that_a_device_has_not_is_refused(
    tmp_path: Path, device: str, precision: str | None, named: str
) -> None:
    with pytest.raises(UnknownNameError, match=named):
        subset_plan("digits-lenet", tmp_path, device=device, precision=precision)


def varying(path: Path, setting: str, values: str) -> str:
    """Write a grid in which one more setting varies; returns its path."""
    lines = [line for line in Path(write_grid(path)).read_text().splitlines() if not line.startswith(f"{setting} =")]
    path.write_text("\n".join([*lines, f"{setting} = {values}", ""]))
    return str(path)


@pytest.mark.parametrize(
    ("setting", "values", "why"),
    [
        ("training_images", "[1000, 1298]", "training_images of grid 'odd' must be at most 1297 on digits, not 1298"),
        ("validation_images", "[250, 251]", "validation_images of grid 'odd' must be at most 250 on digits, not 251"),
        ("precision", '["float32", "tf32"]', "unknown precision on cpu 'tf32'"),
    ],
)
def test_a_setting_of_any_network_that_would_have_no_effect_is_refused(
    tmp_path: Path, setting: str, values: str, why: str
) -> None:
    grid = varying(tmp_path / "odd.toml", setting, values)
    with pytest.raises(ValueError, match=why):
        subset_plan("digits-lenet", tmp_path, grid=grid)


def test_visits_may_be_more_than_the_images(tmp_path: Path) -> None:
    made = subset_plan("digits-lenet", tmp_path, grid=varying(tmp_path / "odd.toml", "visits", "[2000]"))
    assert made.network(0).recipe["visits"] == 2000


def test_another_precision_than_those_of_a_grid_in_which_it_varies_is_refused(tmp_path: Path) -> None:
    grid = varying(tmp_path / "odd.toml", "precision", '["float32", "bfloat16"]')
    with pytest.raises(GridError, match="precision varies in grid 'odd': leave out --precision float32"):
        subset_plan("digits-lenet", tmp_path, grid=grid, precision="float32")


def test_dropout_without_a_layer_for_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "plain.toml").write_text(
        '[plain]\ninput_shape = [1, 8, 8]\nlayers = [{ kind = "fc", name = "fc", units = 10 }]\n'
    )
    entry = replace(catalogue_entry("digits-lenet"), name="mine", architecture=str(tmp_path / "plain.toml"))
    with pytest.raises(GridError, match=r"dropout of grid 'small' must be 0, not 0\.5: plain has no dropout layer"):
        subset_plan("mine", tmp_path, grid=write_grid(tmp_path / "small.toml"), entry=entry)
    grid = write_grid(tmp_path / "small.toml", dropouts=(0.0,))
    assert subset_plan("mine", tmp_path, grid=grid, entry=entry).order == [0]


def test_other_rows_under_the_same_name_are_refused(tmp_path: Path, digit_images: Images) -> None:
    begin(tmp_path, digit_images)
    with pytest.raises(PlanMismatchError, match="networks other than the grid's"):
        begin(tmp_path, digit_images, rates=(0.03,))


def test_a_grid_may_get_further_networks_at_its_end(tmp_path: Path, digit_images: Images) -> None:
    made = begin(tmp_path, digit_images)
    grown = begin(tmp_path, digit_images, rates=(0.02, 0.03))
    assert len(grown.order) == len(begun_plan("digits-lenet", tmp_path).order) == 4
    assert [grown.network(network) for network in (0, 1)] == [made.network(network) for network in (0, 1)]
    grown.check_device(digit_images)
    with pytest.raises(PlanMismatchError, match="networks other than the grid's"):
        begin(tmp_path, digit_images)


@pytest.mark.parametrize("changed", [{"rates": (0.03, 0.02)}, {"rates": (0.02, 0.03), "epochs": 5}])
def test_a_grid_whose_first_networks_differ_does_not_grow(
    tmp_path: Path, digit_images: Images, changed: dict[str, Any]
) -> None:
    made = begin(tmp_path, digit_images)
    with pytest.raises(PlanMismatchError, match=r"networks other than the grid's|settings"):
        begin(tmp_path, digit_images, **changed)
    assert begun_plan("digits-lenet", tmp_path).order == made.order


def test_other_images_are_refused(tmp_path: Path, digit_images: Images) -> None:
    made = begin(tmp_path, digit_images)
    other = replace(digit_images, digest="0" * 64)
    with pytest.raises(PlanMismatchError, match=r"images .*, but it is now .*0000"):
        made.bind(other)
    with pytest.raises(PlanMismatchError, match="images"):
        made.check_device(other)


def test_other_libraries_are_refused(tmp_path: Path, digit_images: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    made = begin(tmp_path, digit_images)
    monkeypatch.setattr(plans, "version", lambda library: "0.0")
    with pytest.raises(PlanMismatchError, match="libraries"):
        made.bind(digit_images)


def test_the_build_of_torch_without_gpus_binds_as_the_usual_one(
    tmp_path: Path, digit_images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    for build in ("2.13.0+cpu", "2.13.0", "2.13.0+cpu"):
        monkeypatch.setattr(plans, "version", lambda library, build=build: build)
        begin(tmp_path, digit_images)
    monkeypatch.setattr(plans, "version", lambda library: "2.13.1+cpu")
    with pytest.raises(PlanMismatchError, match="libraries"):
        begin(tmp_path, digit_images)


def test_another_kind_of_device_is_refused(tmp_path: Path, digit_images: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    made = begin(tmp_path, digit_images)
    monkeypatch.setattr(plans, "device_kind", lambda device: "an abacus")
    with pytest.raises(PlanMismatchError, match=r"device_kind 'cpu', but it is now 'an abacus'"):
        made.check_device(digit_images)


def test_another_model_of_cpu_goes_on(tmp_path: Path, digit_images: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    made = begin(tmp_path, digit_images)
    monkeypatch.setattr("generation.device.device_name", lambda device: "another CPU")
    made.bind(digit_images)
    made.check_device(digit_images)


def test_a_folder_tells_its_own_plan(tmp_path: Path, digit_images: Images) -> None:
    made = begin(tmp_path, digit_images, rates=(0.1 + 0.2, 1e-5 / 3))
    (tmp_path / "small.toml").unlink()
    read = begun_plan("digits-lenet", tmp_path)
    assert read.order == made.order
    for network in made.order:
        assert read.network(network) == made.network(network)


def test_a_plan_that_names_no_device_still_binds(tmp_path: Path, digit_images: Images) -> None:
    made = subset_plan("digits-lenet", tmp_path)
    made.bind(digit_images)
    path = made.folder / "plan.json"
    facts = json.loads(path.read_text())
    del facts["device_kind"]
    path.write_text(json.dumps(facts))
    made.bind(digit_images)
    assert begun_plan("digits-lenet", tmp_path).network(17) == made.network(17)


def test_runs_are_where_the_command_was_given_whatever_folder_a_worker_is_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert subset_plan("digits-lenet", Path("zoo")).run(3).folder == tmp_path / "zoo" / "digits-lenet" / "runs" / "0003"


def test_nothing_begun_says_how_to_begin(tmp_path: Path) -> None:
    with pytest.raises(NoRunsError, match="python -m generation train digits-lenet"):
        begun_plan("digits-lenet", tmp_path)


def test_the_papers_grid_is_its_48_rates_by_10_dropouts() -> None:
    networks = read_grid("paper").networks
    assert len(networks) == 480
    rates = sorted(networks["learning_rate"].unique())
    assert (len(rates), rates[0], rates[-1]) == (48, 1e-6, 0.45)
    assert sorted(networks["dropout"].unique()) == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    assert read_grid("paper-resnet").settings["epochs"] == 120


def test_the_reduced_vgg_grid_is_a_part_of_the_papers() -> None:
    reduced, paper = read_grid("reduced-vgg"), read_grid("paper").networks
    for column in ("learning_rate", "dropout"):
        assert set(reduced.networks[column]) <= set(paper[column])
    recipe = reduced.recipe(0)
    expected = {"training_images": 20_000, "batch_size": 32, "precision": "bfloat16", "epochs": 25}
    assert {setting: recipe[setting] for setting in expected} == expected
    assert reduced.regime == "reduced"


def test_a_part_of_a_grid_is_trained_in_the_order_of_the_whole() -> None:
    made = subset_plan("cifar10-vgg", Path())
    useful = made.first(where="0.001 <= learning_rate < 0.1 and dropout < 0.9")
    chosen = made.grid.networks.loc[useful]
    assert len(useful) == 16 * 9
    assert chosen["learning_rate"].between(0.001, 0.045).all()
    assert useful == [network for network in made.order if network in set(useful)]
    assert made.first(10, where="learning_rate < 0.1 and learning_rate >= 0.001 and dropout < 0.9") == useful[:10]
    assert made.first() == made.order


@pytest.mark.parametrize(
    ("where", "why"),
    [
        ("rate < 0.1", "not a condition on learning_rate, dropout: name 'rate' is not defined"),
        ("learning_rate <", "not a condition on learning_rate, dropout"),
        ("learning_rate", "not a condition on learning_rate, dropout"),
        ("dropout > 1", "no network of grid 'paper' satisfies dropout > 1"),
    ],
)
def test_what_is_no_part_of_a_grid_says_why(where: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        subset_plan("cifar10-lenet", Path()).first(where=where)


def test_the_precision_that_a_command_leaves_out_is_that_of_every_grid() -> None:
    for name in grid_names():
        grid = read_grid(name)
        usual = REDUCED_PRECISION if grid.regime == "reduced" else FULL_PRECISION
        assert {grid.recipe(network)["precision"] for network in grid.networks.index} == {usual}, name


def test_an_unknown_setting_is_named(tmp_path: Path) -> None:
    path = tmp_path / "odd.toml"
    path.write_text(Path(write_grid(path)).read_text().replace("batch_size", "batchsize"))
    with pytest.raises(UnknownNameError, match="batch_size"):
        read_grid(str(path))


@pytest.mark.parametrize(
    ("replaced", "by", "error", "why"),
    [
        (
            '"momentum"',
            '"rmsprop"',
            UnknownNameError,
            "unknown optimiser of grid 'odd' 'rmsprop'.*valid: sgd, momentum, adam",
        ),
        ("[settings]", '[settings]\nbatches = "shard"', UnknownNameError, "unknown batches of grid 'odd' 'shard'"),
        ("dropout =", 'precision = ["float23"]\ndropout =', UnknownNameError, "unknown precision .* did you mean 'float32'"),
        ("regime", "regyme", UnknownNameError, "unknown part of grid 'odd' 'regyme'; did you mean 'regime'"),
        ('"reduced"', '"mine"', UnknownNameError, "unknown regime of grid 'odd' 'mine'.*valid: full, reduced, diverse, own"),
        ("[product]", "[produkt]", UnknownNameError, "unknown part of grid 'odd' 'produkt'; did you mean 'product'"),
    ],
)
def test_what_a_grid_cannot_say_is_refused_before_anything_is_trained(
    tmp_path: Path, replaced: str, by: str, error: type[Exception], why: str
) -> None:
    path = tmp_path / "odd.toml"
    text = Path(write_grid(path)).read_text()
    assert replaced in text
    path.write_text(text.replace(replaced, by, 1))
    with pytest.raises(error, match=why):
        read_grid(str(path))


EMPTY = {
    "seeds of a product": ("seeds = 3\n[product]\nlearning_rate = [0.1]\ndropout = [0.0]\n", "seeds need a CSV file"),
    "nothing": ("", r"must give what varies either in a \[product\] section or in a CSV file"),
    "no axis": ("[product]\n", r"\[product\] is empty; give learning_rate and dropout a list such as \[0.1, 0.2\]"),
    "an axis without a value": (
        "[product]\nlearning_rate = []\ndropout = [0.0]\n",
        r"\[product\] has no values for learning_rate; give learning_rate a list",
    ),
    "a count of none": (
        "[product]\nlearning_rate = { from = 0.1, to = 1.0, count = 0 }\ndropout = [0.0]\n",
        r"\[product\] has no values for learning_rate; give learning_rate a list",
    ),
    "no mantissa": (
        "[product]\nlearning_rate = { mantissas = [], exponents = [1] }\ndropout = [0.0]\n",
        r"\[product\] has no values for learning_rate; give learning_rate a list",
    ),
    "an axis that says nothing": ("[product]\nlearning_rate = {}\n", "must be a list such as .*, not {}"),
    "a table without a byte": ('rows = "empty.csv"\n', "empty.csv has no rows; write one for each network"),
    "a table of names": ('rows = "names.csv"\n', "names.csv has no rows"),
    "no table": ('rows = ""\n', "rows must name a CSV file in the folder of the grid, not ''"),
    "none of the rows": ('rows = "one.csv"\nfirst_rows = 0\n', "first_rows must be a whole number of at least 1, not 0"),
    "no seed": ('rows = "one.csv"\nseeds = 0\n', "seeds must be a whole number of at least 1, not 0"),
    "a row with a hole": (
        'rows = "hole.csv"\n',
        "dropout of grid 'odd' must be a number of at least 0 .*, not nan",
    ),
    "no epoch": (
        "[product]\nlearning_rate = [0.1]\ndropout = [0.0]\nepochs = [0]\n",
        "epochs .* whole number of at least 1, not 0",
    ),
    "no dropout": ("[product]\nlearning_rate = [0.1]\n", "lacks dropout"),
}


@pytest.mark.parametrize(("text", "why"), EMPTY.values(), ids=EMPTY)
def test_a_grid_without_a_network_says_in_one_line_what_it_needs(tmp_path: Path, text: str, why: str) -> None:
    for name, content in {"empty": "", "names": "learning_rate,dropout\n", "one": "learning_rate,dropout\n0.1,0\n"}.items():
        (tmp_path / f"{name}.csv").write_text(content)
    (tmp_path / "hole.csv").write_text("learning_rate,dropout\n0.1,\n")
    path = tmp_path / "odd.toml"
    path.write_text(f'regime = "full"\n{text}')
    with pytest.raises(GridError, match=why) as error:
        subset_plan("digits-lenet", tmp_path, grid=str(path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("setting", "value", "why"),
    [
        ("batch_size", "0", "a whole number of at least 1, not 0"),
        ("batch_size", "8.5", "a whole number of at least 1, not 8.5"),
        ("learning_rate", "[0.1, inf]", "a number above 0, not inf"),
        ("learning_rate", '["fast"]', "a number above 0, not 'fast'"),
        ("weight_decay", "-1e-4", "a number of at least 0, not -0.0001"),
        ("augmentation", '"no"', "true or false, not 'no'"),
        ("patience", "true", "a whole number of at least 0, not True"),
    ],
)
def test_a_value_that_cannot_be_trained_with_is_named_with_what_can(
    tmp_path: Path, setting: str, value: str, why: str
) -> None:
    product = {"learning_rate": "[0.1]", "dropout": "[0.0]"}
    settings = {} if setting in product else {setting: value}
    product |= {setting: value} if setting in product else {}
    lines = ['regime = "full"', "[settings]", *(f"{k} = {v}" for k, v in settings.items())]
    path = tmp_path / "odd.toml"
    path.write_text("\n".join([*lines, "[product]", *(f"{k} = {v}" for k, v in product.items())]))
    with pytest.raises(GridError, match=f"{setting} of grid 'odd' must be {why}"):
        read_grid(str(path))


@pytest.mark.parametrize("grid", ["", "nowhere.toml"])
def test_a_grid_that_is_not_there_is_not_replaced_by_the_usual_one(tmp_path: Path, grid: str) -> None:
    with pytest.raises(ValueError, match=f"(unknown grid '|no grid found at ){grid}.*paper"):
        subset_plan("digits-lenet", tmp_path, grid=grid)


def test_epochs_may_vary_or_be_left_at_their_default(tmp_path: Path) -> None:
    path = tmp_path / "odd.toml"
    text = Path(write_grid(path, epochs=7)).read_text()
    assert read_grid(str(path)).longest == 7
    path.write_text(text.replace("epochs = 7\n", ""))
    assert read_grid(str(path)).longest == DEFAULTS["epochs"]
    path.write_text(text.replace("epochs = 7\n", "").replace("dropout =", "epochs = [2, 3]\ndropout ="))
    assert read_grid(str(path)).longest == 3


def test_whole_numbers_stay_whole_where_nothing_but_numbers_varies(tmp_path: Path, digit_images: Images) -> None:
    path = tmp_path / "odd.toml"
    text = Path(write_grid(path, epochs=1)).read_text()
    text = text.replace("batch_size = 16\n", "").replace("training_images = 320\n", "")
    path.write_text(text + "batch_size = { from = 8, to = 32, count = 3 }\ntraining_images = [320]\n")
    made = subset_plan("digits-lenet", tmp_path, grid=str(path))
    made.bind(digit_images)
    recipe = made.network(0).recipe
    assert [type(recipe[name]) for name in ("batch_size", "training_images", "epochs")] == [int] * 3
    with made.run(0).locked():
        assert train_network(made.network(0), digit_images, made.run(0))


def test_seeds_of_a_row_are_on_one_side_of_every_fold(tmp_path: Path) -> None:
    rates = [0.001 * (i + 1) for i in range(20)]
    (tmp_path / "rows.csv").write_text("learning_rate,dropout\n" + "".join(f"{rate},0.1\n" for rate in rates))
    (tmp_path / "mine.toml").write_text('rows = "rows.csv"\nseeds = 4\n')
    networks = read_grid(str(tmp_path / "mine.toml")).networks
    labelled = networks.assign(label=(networks["learning_rate"] > 0.01).astype(int))
    for train, test in draw_splits(labelled, subset="mine").folds["folds"]:
        assert set(networks["learning_rate"][train]).isdisjoint(networks["learning_rate"][test])


def test_a_plan_begun_where_no_gpu_is_is_bound_by_the_first_that_trains(
    tmp_path: Path, digit_images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = subset_plan("digits-lenet", tmp_path, trainer="side by side", device="cuda")
    monkeypatch.setattr(plans, "device_kind", lambda device: None)
    made.bind(digit_images)
    monkeypatch.setattr(plans, "device_kind", lambda device: "an abacus")
    made.check_device(digit_images)
    assert made.facts().device_kind == "an abacus"
    monkeypatch.setattr(plans, "device_kind", lambda device: "a slide rule")
    with pytest.raises(PlanMismatchError, match="device_kind 'an abacus', but it is now 'a slide rule'"):
        made.check_device(digit_images)
    monkeypatch.setattr(plans, "device_kind", lambda device: None)
    made.bind(digit_images)
