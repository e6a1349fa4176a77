"""Export of a subset's tables to formats that other tools read: CSV, Parquet, NumPy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
import numpy.typing as npt
import pandas as pd

from nndynbench.names import check_name
from nndynbench.storage.files import user_path, written_whole
from nndynbench.storage.tables import KEYS, TableName
from nndynbench.subsets.loading import as_subset

if TYPE_CHECKING:
    from nndynbench.subsets.subset import Subset

FormatName = Literal["csv", "parquet", "npz"]
FORMATS: tuple[FormatName, ...] = ("csv", "parquet", "npz")


def export(
    subset: str | Subset, what: TableName, path: str | Path | None = None, *, file_format: FormatName | None = None
) -> Path:
    """Write one of a subset's tables to a file, with its keys as the first columns, and return the path of the file.

    ``subset`` is a name or a loaded subset. ``what`` is "networks", "curves", "signatures" or "features".
    ``file_format`` is "csv", "parquet" or "npz" (one array per column, readable without pickle). By default it is the
    ending of ``path``, or "csv" without a path. The default ``path`` is ``<subset>-<what>.<file_format>`` in the current
    folder.

    Raises
    ------
    UnknownNameError
        For a table or a format that does not exist.

    Examples
    --------
    >>> import nndynbench
    >>> nndynbench.export("digits-lenet", "curves", "curves.csv").name
    'curves.csv'
    """
    table = cast(TableName, check_name(what, KEYS, what="table"))
    named = user_path(path) if path is not None else None
    ending = named.suffix.lstrip(".").lower() if named is not None else "csv"
    chosen = check_name(ending if file_format is None else file_format, FORMATS, what="format")
    loaded = as_subset(subset)
    target = named or Path(f"{loaded.name}-{table}.{chosen}")
    frame = cast(pd.DataFrame, getattr(loaded, table)).reset_index()
    with written_whole(target) as partial:
        if chosen == "csv":
            frame.to_csv(partial, index=False, lineterminator="\n")
        elif chosen == "parquet":
            frame.to_parquet(partial, index=False)
        else:
            _write_npz({str(column): _plain(frame[column]) for column in frame}, partial)
    return target


def _write_npz(columns: dict[str, npt.NDArray[Any]], path: Path) -> None:
    """Like ``np.savez_compressed``, whose own arguments clash with names of columns, such as ``file``."""
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        for name, values in columns.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, values, allow_pickle=False)


def _plain(column: pd.Series) -> npt.NDArray[Any]:
    """Numbers as they are, anything else as text, since NumPy would pickle objects."""
    if pd.api.types.is_numeric_dtype(column.dtype):
        return column.to_numpy(dtype=np.float64 if column.isna().any() else None)
    return column.astype(str).to_numpy(dtype=np.str_)
