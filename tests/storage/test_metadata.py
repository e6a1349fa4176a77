"""The machine-readable metadata: current, valid by their own schemas and readers, and from one source."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

pytest.importorskip("jinja2")

import nndynbench as nb
from generation.card import configuration_name, packed_subsets
from generation.card.croissant import CROISSANT_NAME, croissant, croissant_json
from generation.card.repository import repository_files
from nndynbench.citing import citation
from nndynbench.storage.places import bundled_folder
from nndynbench.storage.tables import KEYS, TableName

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

# What the NeurIPS 2026 Evaluations & Datasets track asks of every data set in addition to the core of Croissant.
ASKED_FOR = {
    "rai:dataLimitations",
    "rai:dataBiases",
    "rai:personalSensitiveInformation",
    "rai:dataUseCases",
    "rai:dataSocialImpact",
    "rai:hasSyntheticData",
    "prov:wasDerivedFrom",
    "prov:wasGeneratedBy",
}


@pytest.fixture(scope="module")
def bundled() -> list[nb.Subset]:
    return packed_subsets(bundled_folder())


@pytest.fixture(scope="module")
def dataset() -> Iterator[Any]:
    croissant_reader = pytest.importorskip("mlcroissant")
    return croissant_reader.Dataset(jsonld=str(bundled_folder() / CROISSANT_NAME))


def test_the_croissant_file_says_what_is_bundled(bundled: list[nb.Subset]) -> None:
    written = (bundled_folder() / CROISSANT_NAME).read_text(encoding="utf-8")
    assert written == croissant_json(bundled), "stale: run python -m generation card"


def test_mlcroissant_finds_nothing_to_complain_of(dataset: Any) -> None:
    issues = dataset.metadata.ctx.issues
    assert (issues.errors, issues.warnings) == (set(), set())


def test_it_has_every_field_for_responsible_ai_that_is_asked_for(bundled: list[nb.Subset], dataset: Any) -> None:
    made = croissant(bundled)
    assert all(made[field] not in ("", []) for field in ASKED_FOR)
    assert dataset.metadata.data_biases == made["rai:dataBiases"]
    assert dataset.metadata.data_limitations == made["rai:dataLimitations"]
    assert dataset.metadata.data_social_impact == made["rai:dataSocialImpact"]


@pytest.mark.parametrize("table", list(KEYS))
def test_mlcroissant_reads_the_records_of_every_subset(table: TableName, bundled: list[nb.Subset], dataset: Any) -> None:
    for subset in bundled:
        name = configuration_name(subset.name, table)
        ours = getattr(subset, table).reset_index()
        # mlcroissant reads row by row, so of the long tables only the first rows are read.
        read = subset.manifest.networks if table == "networks" else 20
        rows = list(islice(dataset.records(name), None if table == "networks" else read))
        for row, (_, expected) in zip(rows, ours.iloc[:read].iterrows(), strict=True):
            assert set(row) == {f"{name}/{column}" for column in ours}
            for column in ours:
                assert same(row[f"{name}/{column}"], expected[column]), (name, column)


def same(read: object, expected: Any) -> bool:
    if isinstance(read, bytes):
        return read.decode() == expected
    return bool(pd.isna(read) if pd.isna(expected) else read == expected)


@pytest.mark.parametrize("name", ["CITATION.cff", ".zenodo.json"])
def test_the_repositorys_metadata_is_current(name: str) -> None:
    written = (ROOT / name).read_text(encoding="utf-8")
    assert written == repository_files()[name], "stale: run python -m generation card"


def test_the_citation_is_valid_by_its_schema() -> None:
    pytest.importorskip("check_jsonschema")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.citation-file-format"]
    done = subprocess.run([*command, str(ROOT / "CITATION.cff")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_version_and_date_are_said_once_and_carried_everywhere(bundled: list[nb.Subset]) -> None:
    cff = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    zenodo = json.loads((ROOT / ".zenodo.json").read_text(encoding="utf-8"))
    made = croissant(bundled)
    assert {PROJECT["version"]} == {cff["version"], zenodo["version"], made["version"], citation().version}
    assert len({str(cff["date-released"]), zenodo["publication_date"], made["datePublished"], str(citation().date)}) == 1


def test_the_projects_addresses_are_those_that_are_public() -> None:
    assert PROJECT["urls"] == citation().addresses
