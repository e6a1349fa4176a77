"""How a pack grows: opening it, its signature matrix, and a linear method's score, for 1,000 to 30,000 networks.

    python tests/benchmarks/scaling.py

Networks are copies of digits-lenet's with noise of 1% on their signatures. Each size is measured in a process of its own, so
that the peak of memory is its own. Times are processor times, since other programs may be at work. What it prints is the
table of docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

import nndynbench as nb
from nndynbench.protocols import find_method
from nndynbench.storage.files import file_facts
from nndynbench.storage.manifest import OWN_RUNS, TierFacts
from nndynbench.storage.tables import KEYS, SPLITS_FILE, TableName, table_file, write_table
from nndynbench.storage.writing import write_manifest, write_splits
from nndynbench.subsets.splits import draw_splits, fold_columns

SIZES = (1_000, 10_000, 30_000)
EPOCHS = 5
NOISE = 0.01
METHOD = "degree-linear"
NAME = "copies"
TABLES: tuple[TableName, ...] = ("networks", "curves", "signatures", "features")


def write_copies(root: Path, networks: int) -> Path:
    """A pack of the first epochs of copies of digits-lenet's networks, with noise."""
    zoo = nb.load("digits-lenet")
    rng = np.random.default_rng(0)
    originals = np.resize(zoo.networks.index.to_numpy(), networks)
    folder = root / NAME / "1.0.0"
    folder.mkdir(parents=True)
    facts = zoo.networks.loc[originals].drop(columns=["sample_fold", "fold", "blocked_fold", "holdout"])
    facts["learning_rate"] *= np.exp(NOISE * rng.normal(size=networks))
    facts.index = pd.RangeIndex(networks, name="network")
    facts["configuration"] = facts.index
    splits = draw_splits(facts, subset=NAME, blocked_by="learning_rate")
    write_table(folder, "networks", facts.join(fold_columns(splits, list(facts.index))))
    for name in TABLES[1:]:
        write_table(folder, name, _copied(getattr(zoo, name), originals, rng))
    write_splits(folder, splits.folds, splits.left_out)
    files = [*map(table_file, TABLES), SPLITS_FILE]
    manifest = zoo.manifest.model_copy(
        update={
            "subset": NAME,
            "version": "1.0.0",
            "grid": OWN_RUNS,
            "hyperparameters": ["learning_rate", "dropout"],
            "networks": networks,
            "networks_planned": networks,
            "tiers": {"networks": TierFacts(files=files, networks=networks)},
            "files": {file: file_facts(folder / file) for file in files},
        }
    )
    write_manifest(folder, manifest)
    return folder


def _copied(table: pd.DataFrame, originals: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
    """For each network the rows of its original's first epochs, with noise on signatures."""
    early = table[table.index.get_level_values("epoch") <= EPOCHS].reset_index()
    places = early.groupby("network").indices
    taken = [places.get(network, np.empty(0, dtype=np.intp)) for network in originals]
    rows = early.take(np.concatenate(taken)).reset_index(drop=True)
    rows["network"] = np.repeat(np.arange(len(originals)), [len(part) for part in taken])
    numbers = [column for column in rows if pd.api.types.is_float_dtype(rows[column].dtype)]
    if "moment" not in rows and "centrality" in rows:
        rows[numbers] *= 1 + NOISE * rng.normal(size=(len(rows), 1))
    name: TableName = "signatures" if "centrality" in rows else "features" if "layer" in rows else "curves"
    return rows.set_index(KEYS[name])


def measured(root: Path) -> dict[str, float]:
    """Processor seconds and peak memory (MB) of what is done with a pack, each done once."""
    nb.Signature("degree")  # libraries are imported before anything is timed
    before = _memory()
    found = {}
    start = time.process_time()
    zoo = nb.load(NAME, root=root)
    found["open"] = time.process_time() - start
    start = time.process_time()
    matrix = nb.Signature("degree").fit_transform(zoo.histories(zoo.network_ids, EPOCHS))
    found["signature matrix"] = time.process_time() - start
    assert matrix.shape == (len(zoo.networks), 5 * EPOCHS)
    found["memory"] = _memory() - before
    start = time.process_time()
    nb.evaluate(find_method(METHOD), zoo, protocol="regression-folds", budgets=EPOCHS, sealed=False)
    found["evaluate"] = time.process_time() - start
    found["memory with evaluate"] = _memory() - before
    found["files"] = sum(facts.bytes for facts in zoo.manifest.files.values()) / 1e6
    return found


def _memory() -> float:
    """The most memory that this process had so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def main(sizes: list[int]) -> None:
    print("| networks | files, MB | opening, s | signature matrix, s | memory of it, MB | evaluate, s | memory in all, MB |")
    print("|---|---|---|---|---|---|---|")
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            write_copies(Path(folder), size)
            command = [sys.executable, __file__, "--measure", folder]
            done = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ})
            found = json.loads(done.stdout.splitlines()[-1])
        print(
            f"| {size:,} | {found['files']:.0f} | {found['open']:.3f} | {found['signature matrix']:.2f} "
            f"| {found['memory']:.0f} | {found['evaluate']:.1f} | {found['memory with evaluate']:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--sizes", type=int, nargs="*", default=list(SIZES))
    arguments.add_argument("--measure", type=Path)
    given = arguments.parse_args()
    if given.measure is not None:
        print(json.dumps(measured(given.measure)))
    else:
        main(given.sizes)
