"""The tables of the ``networks`` tier: Parquet files as data frames, with their keys as the index."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pandas as pd

from nndynbench.storage.files import DamagedFileError, write_whole

if TYPE_CHECKING:
    from nndynbench.storage.manifest import Manifest

# The fixed splits, as network ids, lie beside the tables.
SPLITS_FILE = "splits.json"

TableName = Literal["networks", "curves", "signatures", "features"]

# The columns that identify a row.
KEYS: dict[TableName, list[str]] = {
    "networks": ["network"],
    "curves": ["network", "epoch"],
    "signatures": ["network", "epoch", "representation", "sign", "centrality"],
    "features": ["network", "epoch", "layer"],
}

# Limits on what a file holds: it may come from anywhere, and a small one may unpack to more than the memory.
MOST_ROWS = 100_000_000
MOST_ROWS_OF_AN_EPOCH: dict[TableName, int] = {"curves": 1, "signatures": 100, "features": 10_000}  # of one network


def table_file(table: TableName) -> str:
    return f"{table}.parquet"


def write_table(folder: Path, table: TableName, frame: pd.DataFrame) -> None:
    """Write a frame that is indexed by the table's keys."""
    flat = frame.reset_index()
    numbers = [column for column in flat if pd.api.types.is_float_dtype(flat[column].dtype)]
    # pyarrow takes no path that is not UTF-8, and pandas gives it the path of an open file. Below, open files are read.
    content = io.BytesIO()
    flat.to_parquet(
        content,
        index=False,
        compression="zstd",
        compression_level=15,
        use_dictionary=[column for column in flat if column not in numbers],
        use_byte_stream_split=numbers,
    )
    write_whole(folder / table_file(table), content.getvalue())


def read_table(path: Path, table: TableName, *, of: Manifest | None = None) -> pd.DataFrame:
    """Read one table, indexed by its keys.

    Raises
    ------
    DamagedFileError
        For more rows, or other epochs, than the networks of a manifest can have. Too many rows are never read.
    """
    if of is not None:
        _check_rows(path, table, of)
    with path.open("rb") as file:
        frame = pd.read_parquet(file)
    if of is not None and "epoch" in KEYS[table] and len(frame):
        _check_epochs(path, frame, of)
    return frame.set_index(KEYS[table])


def _check_rows(path: Path, table: TableName, of: Manifest) -> None:
    from pyarrow import parquet

    with path.open("rb") as file:
        found = parquet.read_metadata(file)
    rows = sum(found.row_group(group).num_rows for group in range(found.num_row_groups))
    most = of.networks * (of.epochs + 1) * MOST_ROWS_OF_AN_EPOCH[table] if "epoch" in KEYS[table] else of.networks
    if rows > min(most, MOST_ROWS):
        raise DamagedFileError(
            f"{path} is damaged: it has {rows} rows, but {of.networks} networks of up to {of.epochs} epochs have at most "
            f"{min(most, MOST_ROWS)}"
        )


def _check_epochs(path: Path, frame: pd.DataFrame, of: Manifest) -> None:
    epochs = frame["epoch"]
    if not pd.api.types.is_integer_dtype(epochs.dtype):
        raise DamagedFileError(f"{path} is damaged: its epochs are no whole numbers, but {epochs.dtype}")
    for epoch in (epochs.min(), epochs.max()):
        if not 0 <= epoch <= of.epochs:
            raise DamagedFileError(f"{path} is damaged: it has epoch {epoch}, but its networks have epochs 0 to {of.epochs}")
