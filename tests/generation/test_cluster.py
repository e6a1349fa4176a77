"""Many machines: units of work on Ray, on a local cluster of two nodes."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("ray")

import ray

from generation.engines import Job
from generation.engines.here import train_here
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
    ended = train_with_ray(made, address=None, time_limit=PATIENCE_SECONDS)
    assert (ended.finished, ended.stopped) == (len(made.networks), False)
