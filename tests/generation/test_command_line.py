"""``python -m generation``: train, watch, pack and repeat a subset, as a user would."""

from __future__ import annotations

import os
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("torch")

from typer.testing import CliRunner

import nndynbench as nb
from generation.cli import app, options
from generation.device import computes_bfloat16, device_name
from generation.engines import shard
from generation.plan import begun_plan
from nndynbench.names import UnknownNameError
from nndynbench.storage.places import NotAtHandError
from tests.generation.small_runs import outcome, write_grid
from tests.patience import PATIENCE_SECONDS

REPOSITORY = Path(__file__).parents[2]


def generation(*arguments: object, status: int = 0) -> str:
    done = CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)
    assert done.exit_code == status, done.stdout
    return " ".join(done.stdout.split())


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "generation", *map(str, arguments)]


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(REPOSITORY)}


def test_shards_train_every_network_once_and_the_last_one_packs(tmp_path: Path) -> None:
    grid = write_grid(tmp_path / "small.toml", epochs=1)
    train = ("train", "digits-lenet", "--out", tmp_path, "--grid", grid, "--workers", 1, "--keep", 0)
    assert "networks of other shards that are not finished: 1; the shard that ends last packs" in generation(
        *train, "--shard", "1/2"
    )
    assert "1 of 2 networks trained, 0 begun" in generation("status", "digits-lenet", "--out", tmp_path)
    # Packing an unfinished folder works and says what is missing.
    assert "1 of 2 networks" in generation("pack", "digits-lenet", "--out", tmp_path, "--version", "0.0.1")
    assert "packed: 0 of 2" in generation("status", "digits-lenet", "--out", tmp_path)
    told = generation(*train, "--shard", "2/2")
    assert "2 of 2 networks" in told
    assert "packed: 2 of 2" in generation("status", "digits-lenet", "--out", tmp_path)
    assert "the split folds is left out: 2 networks" in told
    subset = nb.load("digits-lenet", root=tmp_path)
    assert subset.version == "1.0.0"
    assert subset.manifest.settings["trainer"] == "one by one"
    # The folder's own plan counts, not the options' defaults.
    assert subset.manifest.tiers["weights"].epochs == [0, "last"]
    assert subset.manifest.grid == "small"
    assert nb.load("digits-lenet", root=tmp_path, version="0.0.1").manifest.networks == 1


def test_training_packs_under_the_version_that_it_is_given_and_refuses_what_is_none_at_once(tmp_path: Path) -> None:
    train = ("train", "digits-lenet", "--out", tmp_path, "--grid", write_grid(tmp_path / "small.toml", epochs=1))
    generation(*train, "--version", "two", status=2)
    assert not (tmp_path / "digits-lenet").exists()
    generation(*train, "--version", "0.3.0", "--networks", 1, "--workers", 1, "--keep", 0)
    assert nb.load("digits-lenet", root=tmp_path).version == "0.3.0"


@pytest.mark.parametrize("part", ["0/2", "3/2", "1", "a/b", "1/0"])
def test_what_is_no_shard_says_so(part: str) -> None:
    with pytest.raises(ValueError, match="is not a shard"):
        shard([1, 2, 3], part)


def test_shards_are_a_partition() -> None:
    networks = list(range(17))
    for parts in (1, 2, 5, 17, 20):
        shards = [shard(networks, f"{i}/{parts}") for i in range(1, parts + 1)]
        assert sorted(network for part in shards for network in part) == networks
        assert max(map(len, shards)) - min(map(len, shards)) <= 1


@pytest.mark.parametrize("allowed", [1, 3])
def test_workers_are_as_many_as_a_container_or_a_user_allows(allowed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 200)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(100)))
    monkeypatch.setattr("joblib.externals.loky.backend.context._cpu_count_cgroup", lambda most: allowed)
    assert runpy.run_path(options.__file__)["CORES"] == allowed


def test_a_torch_without_mkldnn_has_no_fast_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS."""
    monkeypatch.setattr("torch.backends.mkldnn.is_available", lambda: False)
    monkeypatch.setattr("torch.ops.mkldnn", object())
    assert not computes_bfloat16()


@pytest.mark.parametrize("has_instructions", [True, False])
def test_a_cpu_without_bfloat16_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_instructions: bool
) -> None:
    monkeypatch.setattr("generation.cli.training.computes_bfloat16", lambda: has_instructions)
    nothing = ("train", "digits-lenet", "--out", tmp_path, "--networks", 1, "--time-limit", 0, "--no-pack")
    told = generation(*nothing, "--precision", "bfloat16", status=os.EX_TEMPFAIL)
    assert ("this CPU lacks the instructions for bfloat16" in told) == (not has_instructions)


def test_a_gpu_on_ray_needs_a_share_of_one_for_each_task(tmp_path: Path) -> None:
    asked = ("train", "digits-lenet", "--out", tmp_path, "--engine", "ray", "--device", "cuda", "--side-by-side", 2)
    refused = CliRunner(env={"COLUMNS": "200"}).invoke(app, list(map(str, asked)))
    assert refused.exit_code == 2
    assert "--device cuda needs a share of a GPU for each task" in refused.output
    assert not list(tmp_path.iterdir())


def test_retraining_compares_with_what_is_stored(digits: nb.Subset) -> None:
    # Five networks: on other processors a median must hold, and one of only two networks may well train differently.
    told = generation("retrain", "digits-lenet", "--sample", 5, "--workers", 1)
    if digits.devices == [device_name()]:
        assert "5 of 5 networks are identical" in told
    else:
        assert "5 on another processor" in told


def test_retraining_finds_what_is_not_the_same(digits: nb.Subset, tmp_path: Path) -> None:
    """Networks of another seed must not pass for the stored ones, on any processor."""
    from dataclasses import replace

    from generation.images import load_images
    from generation.retrain import compare_network, reproduced, stored_plan
    from generation.training import train_network

    made, images = replace(stored_plan(digits, tmp_path), zoo_seed=1), load_images("digits", cache=tmp_path)
    made.bind(images)
    with made.run(100).locked():
        assert train_network(made.network(100), images, made.run(100))
    comparison = compare_network(digits, made.run(100), 100)
    assert not reproduced([comparison])
    assert (comparison.initial_weights, comparison.curves, comparison.outcome) == (False, False, False)


def test_networks_trained_side_by_side_are_trained_again_so(tmp_path: Path) -> None:
    grid = write_grid(tmp_path / "small.toml", rates=(0.01, 0.03))
    generation("train", "digits-lenet", "--out", tmp_path, "--grid", grid, "--workers", 1, "--side-by-side", 4)
    told = generation("retrain", "digits-lenet", "--root", tmp_path, "--sample", 3, "--workers", 2)
    assert "3 on another processor, with other libraries or in another group" in told
    assert "not reproduced" not in told


def test_networks_that_were_not_trained_again_are_not_said_to_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from generation.cli import repeating
    from generation.engines.job import Outcome

    monkeypatch.setattr(repeating, "train_here", lambda *_, **__: Outcome(0, stopped=True))
    stopped = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["retrain", "digits-lenet", "--sample", "2"])
    assert stopped.exit_code == os.EX_TEMPFAIL, stopped.output
    assert "stopped: 2 of 2 networks were not compared" in stopped.output
    assert "not reproduced" not in stopped.output


@pytest.mark.parametrize("together", [1, 2], ids=["one by one", "side by side"])
@pytest.mark.parametrize("send", [os.kill, os.killpg], ids=["to the command", "to all of its processes"])
def test_training_stops_cleanly_at_a_signal_and_says_how_to_go_on(
    tmp_path: Path, send: Callable[[int, int], None], together: int
) -> None:
    grid = write_grid(tmp_path / "small.toml", epochs=60)
    options = ("--grid", grid, "--workers", 1, "--side-by-side", together, "--no-pack")
    stopped = subprocess.Popen(
        command("train", "digits-lenet", "--out", tmp_path, *options),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    until = time.monotonic() + PATIENCE_SECONDS
    while not list(tmp_path.rglob("state-*.safetensors")):
        assert time.monotonic() < until
        time.sleep(0.05)
        assert stopped.poll() is None
    send(stopped.pid, signal.SIGTERM)
    told = " ".join(stopped.communicate(timeout=PATIENCE_SECONDS)[0].split())
    assert stopped.returncode == os.EX_TEMPFAIL, told
    assert "run the same command again to continue" in told
    made = begun_plan("digits-lenet", tmp_path)
    assert any(made.run(network).latest_record() is not None for network in made.order)


@pytest.mark.parametrize(("doing", "interrupted"), [("packing", "write_pack"), ("decoding images", "load_images")])
def test_a_command_that_is_stopped_before_or_after_training_asks_to_be_run_again(
    tmp_path: Path, doing: str, interrupted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    train = ("train", "digits-lenet", "--out", tmp_path, "--workers", 1)
    grid = write_grid(tmp_path / "small.toml", epochs=1, dropouts=(0.0,))
    with monkeypatch.context() as interruption:
        interruption.setattr(f"generation.cli.training.{interrupted}", stopped)
        told = generation(*train, "--grid", grid, status=os.EX_TEMPFAIL)
    assert f"stopped while {doing}: run the same command again to continue" in told


@pytest.mark.slow
def test_ten_kills_of_the_whole_command_leave_no_trace(tmp_path: Path) -> None:
    grid = write_grid(tmp_path / "small.toml", epochs=80, rates=(0.005, 0.02))

    def train(folder: Path) -> subprocess.Popen[bytes]:
        arguments = command("train", "digits-lenet", "--out", folder, "--grid", grid, "--workers", 2)
        return subprocess.Popen(arguments, env=environment(), stdout=subprocess.DEVNULL)

    assert train(tmp_path / "quiet").wait(PATIENCE_SECONDS) == 0
    killed = tmp_path / "killed"
    until = time.monotonic() + PATIENCE_SECONDS
    for _ in range(10):
        child = train(killed)
        before = {path: path.stat().st_mtime_ns for path in killed.rglob("state-*")}
        while {path: path.stat().st_mtime_ns for path in killed.rglob("state-*") if path.exists()} == before:
            time.sleep(0.01)
            assert child.poll() is None, "the training ended before it could be killed"
            assert time.monotonic() < until
        child.kill()
        child.wait()
    assert train(killed).wait(PATIENCE_SECONDS) == 0
    assert outcome(begun_plan("digits-lenet", killed)) == outcome(begun_plan("digits-lenet", tmp_path / "quiet"))
    assert nb.load("digits-lenet", root=killed).manifest.networks == 4
    assert not list(killed.rglob("*.partial")), "no half file is left where files are written whole"


def test_a_system_without_affinity_niceness_and_names_of_statuses_has_the_command_line_too() -> None:
    """Such as Windows, and in part macOS."""
    lacking = "import os; del os.sched_getaffinity, os.nice, os.EX_TEMPFAIL; "
    begins = "from generation.cli import app; from generation.cli.options import CORES; assert CORES >= 1; "
    yields = "from generation.engines.job import _yield_to_others; _yield_to_others()"
    subprocess.run([sys.executable, "-c", lacking + begins + yields], env=environment(), check=True)


@pytest.mark.usefixtures("nothing_bundled")
def test_a_pack_that_is_not_there_is_neither_bundled_nor_described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNDYNBENCH_HOME", str(tmp_path))
    with pytest.raises(UnknownNameError, match="'nosuch'"):
        generation("bundle", "nosuch")
    with pytest.raises(NotAtHandError, match=f"digits-lenet is not in {tmp_path}"):
        generation("bundle", "digits-lenet", "--root", tmp_path)
    with pytest.raises(FileNotFoundError, match=f"{tmp_path} holds no packed subset"):
        generation("card", tmp_path)


def test_errors_that_a_user_can_mend_come_without_a_traceback(tmp_path: Path) -> None:
    done = subprocess.run(
        command("pack", "digits-lenet", "--out", tmp_path), env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: nothing was trained in")
    assert "Traceback" not in done.stderr


def test_a_catalogue_subset_whose_epochs_vary_gets_its_card(tmp_path: Path) -> None:
    grid = Path(write_grid(tmp_path / "small.toml", epochs=1))
    grid.write_text(grid.read_text().replace("epochs = 1\n", "") + "epochs = [1, 2]\n")
    generation("train", "digits-lenet", "--out", tmp_path, "--grid", grid, "--workers", 1, "--keep", 0)
    assert '"digits-lenet/epochs"' in (tmp_path / "croissant.json").read_text(encoding="utf-8")
