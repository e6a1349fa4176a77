"""A zoo of a grid of one's own, under a name and with an architecture that the catalogue does not have."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

import nndynbench as nb
from generation.grids import GridError
from generation.own import OwnZooError, own_entry, with_architecture_kept
from generation.plan import begun_plan
from nndynbench.graphs import architecture as described_architecture
from nndynbench.storage.places import NotAtHandError
from tests.generation.small_runs import write_grid

ARCHITECTURE = """
[tiny]
input_shape = [1, 8, 8]
layers = [
  { kind = "conv", name = "conv1", filters = 3, kernel = 3 },
  { kind = "max-pool", name = "pool1", kernel = 2, stride = 2 },
  { kind = "fc", name = "fc1", units = 8 },
  { kind = "dropout", name = "dropout1" },
  { kind = "fc", name = "fc2", units = 10 },
]
"""


@pytest.fixture
def grid(tmp_path: Path) -> str:
    path = write_grid(tmp_path / "mine.toml", epochs=1)
    Path(path).write_text('like = "digits-lenet"\n' + Path(path).read_text())
    return path


@pytest.fixture
def architecture(tmp_path: Path) -> str:
    (tmp_path / "tiny.toml").write_text(ARCHITECTURE)
    return str(tmp_path / "tiny.toml")


def test_a_grid_and_an_architecture_of_ones_own_become_a_pack(tmp_path: Path, grid: str, architecture: str) -> None:
    from generation.cli import app

    options = ["--out", str(tmp_path / "zoo"), "--workers", "1", "--keep", "1"]
    done = CliRunner().invoke(app, ["train", "--grid", grid, "--name", "my-zoo", "--architecture", architecture, *options])
    assert done.exit_code == 0, done.output
    Path(architecture).unlink()
    zoo = nb.load("my-zoo", root=tmp_path / "zoo")
    assert zoo.architecture.layer_sizes == {"input": 1, "conv1": 3, "fc1": 8, "fc2": 10}
    assert zoo.manifest.hyperparameters == ["learning_rate", "dropout"]
    assert zoo.history(0, 1).graph(1, "unrolled").number_of_nodes > 100
    assert begun_plan("my-zoo", tmp_path / "zoo").finished([0, 1]) == [0, 1]


@pytest.mark.parametrize("named", [True, False], ids=["a zoo of one's own", "a subset of the catalogue"])
def test_the_command_that_an_error_names_goes_on_with_the_same_zoo(
    tmp_path: Path, grid: str, architecture: str, named: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder refuses any other seed, grid, precision or kept epochs than those that it was begun with."""
    from generation.cli import app

    def generation(*words: str) -> None:
        done = CliRunner().invoke(app, [*words, "--workers", "1"], catch_exceptions=False)
        assert done.exit_code == 0, done.output

    Path(grid).write_text(Path(grid).read_text().replace('regime = "reduced"\n', ""))
    monkeypatch.setenv("NNDYNBENCH_HUB", "somebody/zoos")
    zoo, name = tmp_path / "zoo", "my-zoo" if named else "digits-lenet"
    own = ["--name", name, "--architecture", architecture] if named else [name]
    options = ["--grid", grid, "--seed", "5", "--precision", "bfloat16", "--keep", "1", "--out", str(zoo)]
    generation("train", *own, *options, "--networks", "1")
    [folder] = (zoo / name).glob("*.*.*")
    (folder / "weights.h5").unlink()
    manifest = json.loads((folder / "subset.json").read_text())
    manifest["tiers"] = {"networks": manifest["tiers"]["networks"]}
    (folder / "subset.json").write_text(json.dumps(manifest))
    packed = nb.load(name, root=zoo)
    with pytest.raises(NotAtHandError) as missing:
        packed.history(packed.network_ids[0], 1).weights(1)
    assert ("nndynbench download" in str(missing.value)) != named  # the hub has no zoo of one's own
    [command] = re.findall(r"python -m generation (train .*? --out DIR)", str(missing.value))
    files = {"--grid": grid, "--architecture": architecture, "--out": str(zoo)}
    words = command.split()
    generation(*[files.get(before, word) for before, word in zip(["", *words], words, strict=False)])
    assert len(nb.load(name, root=zoo).networks) == 2


def test_it_needs_a_grid_images_and_a_name_of_its_own(tmp_path: Path, grid: str) -> None:
    with pytest.raises(OwnZooError, match=r"needs a grid of its own: --grid FILE\.toml"):
        own_entry("my-zoo", tmp_path, grid="paper", like=None, described=None)
    with pytest.raises(nb.PackError, match="is a subset of the catalogue"):
        own_entry("digits-lenet", tmp_path, grid=grid, like=None, described=None)
    silent = write_grid(tmp_path / "silent.toml")
    with pytest.raises(OwnZooError, match='like = "digits-lenet"'):
        own_entry("my-zoo", tmp_path, grid=silent, like=None, described=None)
    assert own_entry("my-zoo", tmp_path, grid=silent, like="cifar10-vgg", described=None).architecture == "cifar10-vgg"


@pytest.mark.parametrize("content", [b"\xff\xfel\x00", b"\xef\xbb\xbflike = 'digits-lenet'", b"like ="])
def test_a_grid_that_is_no_toml_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "odd.toml").write_bytes(content)
    with pytest.raises(GridError, match=r"odd\.toml is not a TOML file: "):
        own_entry("my-zoo", tmp_path / "runs", grid=str(tmp_path / "odd.toml"), like=None, described=None)


def test_runs_of_another_architecture_are_left_alone(tmp_path: Path, grid: str, architecture: str) -> None:
    begun = own_entry("my-zoo", tmp_path / "runs", grid=grid, like=None, described=architecture)
    kept = with_architecture_kept(begun, tmp_path / "runs")
    Path(architecture).write_text(ARCHITECTURE.replace("units = 8", "units = 9"))
    with pytest.raises(OwnZooError, match=r"begun with another architecture: .* or remove .*runs$"):
        own_entry("my-zoo", tmp_path / "runs", grid=grid, like=None, described=architecture)
    assert described_architecture(kept.architecture).layer_sizes["fc1"] == 8


def test_what_fails_before_the_first_network_leaves_nothing(tmp_path: Path, grid: str, architecture: str) -> None:
    from generation.cli import app

    options = ["--grid", grid, "--name", "my-zoo", "--architecture", architecture, "--out", str(tmp_path / "zoo")]
    done = CliRunner().invoke(app, ["train", *options, "--where", "depth > 3"])
    assert done.exit_code != 0
    assert not (tmp_path / "zoo" / "my-zoo").exists()


def test_its_plan_says_what_it_costs_and_begins_nothing(
    tmp_path: Path, grid: str, architecture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from generation.cli import app

    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["plan", "--grid", grid, "--name", "my-zoo", "--architecture", architecture])
    assert done.exit_code == 0, done.output
    assert "my-zoo: tiny on the images of digits-lenet" in done.output
    assert re.search(r"training takes [\d.]+ core-hours on this machine", done.output)
    assert not Path("my-zoo").exists()
    refused = CliRunner().invoke(app, ["plan"])
    assert refused.exit_code == 2
    assert "name a subset of the catalogue" in refused.output


def test_the_grid_and_the_architecture_of_the_documents_are_trained_as_they_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from generation.cli import app

    guide = (Path(__file__).parents[2] / "generation" / "README.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for name, text in zip(("my.toml", "my-net.toml"), re.findall(r"```toml\n(.*?)```", guide, flags=re.DOTALL), strict=True):
        Path(name).write_text(text, encoding="utf-8")
    [command] = re.findall(r"python -m generation (train --grid my\.toml .*)", guide)
    done = CliRunner().invoke(app, [*command.split(), "--networks", "1", "--workers", "1"])
    assert done.exit_code == 0, done.output
    zoo = nb.load("my-zoo", root="zoo")
    assert zoo.manifest.regime == "own"
    assert zoo.architecture.layer_sizes == {"input": 1, "conv1": 6, "fc1": 12, "fc2": 10}


@pytest.mark.parametrize(("said", "wrong"), [("[1, 8, 8]", "[3, 8, 8]"), ("units = 10", "units = 7")])
def test_an_architecture_that_does_not_fit_the_images_is_refused(
    tmp_path: Path, grid: str, architecture: str, said: str, wrong: str
) -> None:
    Path(architecture).write_text(ARCHITECTURE.replace(said, wrong))
    with pytest.raises(OwnZooError, match=r"but the images of digits-lenet have \[1, 8, 8\] and 10"):
        own_entry("my-zoo", tmp_path / "runs", grid=grid, like=None, described=architecture)


UNTRAINABLE = {
    "a dot in a name": ('name = "conv1"', 'name = "block.conv1"', r"can't contain \"\.\""),
    "a kind without a module": (
        '{ kind = "max-pool", name = "pool1", kernel = 2, stride = 2 }',
        '{ kind = "bottlenecks", name = "stage1", blocks = 1, filters = 2, stride = 1 }',
        "no torch module for a layer of kind 'bottlenecks'",
    ),
    "a pool at the end": (
        '{ kind = "fc", name = "fc1", units = 8 },\n  { kind = "dropout", name = "dropout1" },\n'
        '  { kind = "fc", name = "fc2", units = 10 },',
        '{ kind = "conv", name = "conv2", filters = 10, kernel = 2 }, { kind = "average-pool", name = "pool2" },',
        r"outputs of the shape \[2, 10, 1, 1\], not \[2, 10\]",
    ),
    "too few outputs": ("units = 10", "units = 7", r"outputs of the shape \[2, 7\], not \[2, 10\]"),
    "too many outputs": ("units = 10", "units = 12", r"outputs of the shape \[2, 12\], not \[2, 10\]; its last layer"),
}


@pytest.mark.parametrize(("said", "wrong", "why"), UNTRAINABLE.values(), ids=UNTRAINABLE)
def test_an_architecture_that_cannot_be_trained_is_refused_before_its_folder_is_begun(
    tmp_path: Path, grid: str, architecture: str, said: str, wrong: str, why: str
) -> None:
    text = ARCHITECTURE.replace("layers =", "classes = 10\nlayers =")
    assert said in text
    Path(architecture).write_text(text.replace(said, wrong))
    with pytest.raises(OwnZooError, match=f"tiny cannot be trained: .*{why}"):
        own_entry("my-zoo", tmp_path / "runs", grid=grid, like=None, described=architecture)
    assert not (tmp_path / "runs").exists()
