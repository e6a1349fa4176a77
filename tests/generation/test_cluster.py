"""Many machines: units of work on Ray, on a local cluster of two nodes."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("ray")

import ray

from generation.engines import Job, Report, TrainingFailedError
from generation.engines.here import train_here
from generation.engines.job import Stop, Unit
from generation.images import Images, load_images
from tests.generation.small_runs import begin, outcome
from tests.patience import PATIENCE_SECONDS


def job(folder: Path, images: Images, *, epochs: int = 25, rates: tuple[float, ...] = (0.005, 0.01, 0.02)) -> Job:
    made = begin(folder, images, epochs=epochs, rates=rates)
    load_images("digits", cache=folder / "images")
    return Job(made, made.order, folder / "images")


def test_a_node_that_dies_mid_run_changes_nothing(tmp_path: Path, digit_images: Images) -> None:
    from ray.cluster_utils import Cluster

    from generation.engines.cluster import train_with_ray

    here, there = job(tmp_path / "here", digit_images), job(tmp_path / "there", digit_images)
    train_here(here, workers=2)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    doomed = cluster.add_node(num_cpus=1)
    ended: list[Any] = []

    def train() -> None:
        ended.append(train_with_ray(there, address=cluster.address))

    training = threading.Thread(target=train)
    try:
        training.start()
        # Two networks are being trained: one on each node.
        until = time.monotonic() + PATIENCE_SECONDS
        while sum(there.plan.run(n).latest_record() is not None for n in there.networks) < 2:
            assert training.is_alive(), "it ended before two networks were under way"
            assert time.monotonic() < until
            time.sleep(0.1)
        assert there.unfinished()
        cluster.remove_node(doomed, allow_graceful=False)
        training.join(PATIENCE_SECONDS)
        assert not training.is_alive()
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert ended[0].finished == len(there.networks)
    assert outcome(there.plan) == outcome(here.plan)


@pytest.fixture
def own_cluster() -> Iterator[None]:
    """For what is trained on a cluster that it starts itself."""
    yield
    ray.shutdown()


@pytest.mark.usefixtures("own_cluster")
def test_a_stop_file_that_a_killed_run_left_stops_nobody(tmp_path: Path, digit_images: Images) -> None:
    from generation.engines.cluster import train_with_ray

    made = job(tmp_path, digit_images, epochs=1, rates=(0.01,))
    (made.plan.folder / f"stop-{os.getpid()}").touch()
    at_terminate = signal.getsignal(signal.SIGTERM)
    ended = train_with_ray(made, address=None, time_limit=PATIENCE_SECONDS)
    assert (ended.finished, ended.stopped) == (len(made.networks), False)
    # A scheduler's request to end works as before: Ray's own handler would end the process in mid-epoch.
    assert signal.getsignal(signal.SIGTERM) == at_terminate


class Deadly(Job):
    """A job whose first network kills its process, while the others train until they are told to stop."""

    def train(self, unit: Unit, images: Images, *, stop: Stop, report: Report) -> None:
        if unit == self.networks[:1]:
            os.kill(os.getpid(), signal.SIGKILL)
        until = time.monotonic() + PATIENCE_SECONDS
        while not stop():
            assert time.monotonic() < until
            time.sleep(0.1)
        (self.plan.folder / f"told-{unit[0]}").touch()


@pytest.mark.usefixtures("own_cluster")
def test_a_unit_that_always_kills_its_process_fails_and_the_others_end_their_epoch(
    tmp_path: Path, digit_images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    from generation.engines import cluster

    monkeypatch.setattr(cluster, "RETRIES", 1)
    made = job(tmp_path, digit_images, rates=(0.01,))
    deadly = Deadly(made.plan, made.networks, made.image_cache)
    with pytest.raises(TrainingFailedError, match=r"killed 2 times \(out of memory\?\): run the command again"):
        cluster.train_with_ray(deadly, address=None)
    assert [path.name for path in made.plan.folder.glob("told-*")] == [f"told-{network}" for network in made.networks[1:]]
    assert not list(made.plan.folder.glob("stop-*"))
