"""The tables of the ``networks`` tier: Parquet files as data frames, with their keys as the index."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pandas as pd

from nndynbench.storage.files import written_whole

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


def table_file(table: TableName) -> str:
    return f"{table}.parquet"


def write_table(folder: Path, table: TableName, frame: pd.DataFrame) -> None:
    """Write a frame that is indexed by the table's keys."""
    flat = frame.reset_index()
    numbers = [column for column in flat if pd.api.types.is_float_dtype(flat[column].dtype)]
    with written_whole(folder / table_file(table)) as partial:
        flat.to_parquet(
            partial,
            index=False,
            compression="zstd",
            compression_level=15,
            use_dictionary=[column for column in flat if column not in numbers],
            use_byte_stream_split=numbers,
        )


def read_table(path: Path, table: TableName) -> pd.DataFrame:
    """Read one table, indexed by its keys."""
    return pd.read_parquet(path).set_index(KEYS[table])
