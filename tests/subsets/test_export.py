"""Exports give the same table, in the format that was asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import nndynbench as nb
from nndynbench.cli import app
from nndynbench.names import UnknownNameError
from nndynbench.storage.tables import KEYS


def read(path: Path) -> pd.DataFrame:
    """Read an export as a stranger would."""
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as columns:
            return pd.DataFrame(dict(columns))
    if path.suffix == ".csv":
        return pd.read_csv(path, keep_default_na=False, na_values=[""], float_precision="round_trip")
    return pd.read_parquet(path)


@pytest.mark.parametrize("file_format", ["csv", "parquet", "npz"])
@pytest.mark.parametrize("table", list(KEYS))
def test_every_table_survives_every_format(table: str, file_format: str, digits: nb.Subset, tmp_path: Path) -> None:
    path = nb.export(digits, table, tmp_path / f"table.{file_format}")  # type: ignore[arg-type]
    ours, theirs = getattr(digits, table).reset_index(), read(path)
    assert list(theirs.columns) == list(ours.columns)
    for column in ours:
        if pd.api.types.is_numeric_dtype(ours[column].dtype):
            here, there = (frame[column].to_numpy(dtype=float, na_value=np.nan) for frame in (ours, theirs))
            # A CSV holds the shortest decimals that read back as the same float of the column's kind.
            single = ours[column].dtype == np.float32
            np.testing.assert_array_equal(*(values.astype(np.float32) if single else values for values in (there, here)))
        else:
            assert list(theirs[column].astype(object).fillna("").astype(str)) == list(ours[column].astype(str))


@pytest.mark.parametrize("file_format", ["csv", "parquet", "npz"])
def test_hyperparameters_of_any_name_are_exported(file_format: str, tmp_path: Path) -> None:
    names = ("file", "allow_pickle", "args", "kwds")
    for rate in (0.1, 0.2):
        recorder = nb.Recorder(tmp_path / "runs" / str(rate), hyperparameters=dict.fromkeys(names, rate))
        recorder.epoch(validation_accuracy=50.0)
        recorder.finish(test_accuracy=60.0)
    packed = nb.pack(tmp_path / "runs", name="my-zoo", out=tmp_path / "zoo")
    table = read(nb.export(packed, "networks", tmp_path / f"table.{file_format}"))
    assert [table[name].tolist() for name in names] == [[0.1, 0.2]] * 4


def test_the_command_writes_the_file_it_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["export", "digits-lenet", "--what", "signatures", "--format", "parquet"])
    assert done.exit_code == 0, done.output
    assert "digits-lenet-signatures.parquet" in done.output
    assert len(read(tmp_path / "digits-lenet-signatures.parquet")) == len(nb.load("digits-lenet").signatures)


def test_unknown_tables_and_formats_are_named_with_the_valid_ones(digits: nb.Subset, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown table 'curve'; did you mean 'curves'"):
        nb.export(digits, "curve", tmp_path / "x.csv")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match=r"unknown format 'xlsx' \(valid: csv, parquet, npz\)"):
        nb.export(digits, "curves", tmp_path / "x.xlsx")
    assert list(tmp_path.iterdir()) == []


def test_a_subset_is_named_or_given(digits: nb.Subset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert nb.export("digits-lenet", "networks") == Path("digits-lenet-networks.csv")
    given = nb.export(digits, "networks", "B.CSV")
    assert given.read_bytes() == (tmp_path / "digits-lenet-networks.csv").read_bytes()
    with pytest.raises(UnknownNameError, match="unknown subset 'digit-lenet'; did you mean 'digits-lenet'"):
        nb.export("digit-lenet", "networks")
    with pytest.raises(ValueError, match=r"a subset must be a name or what nndynbench\.load returns, not None"):
        nb.export(None, "networks")  # type: ignore[arg-type]
