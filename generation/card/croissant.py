"""The data set's Croissant file (mlcommons.org/croissant): its files and the columns of every table, from the manifests,
with the extension for responsible AI (RAI) from sections.toml.

It lies beside the subsets, ``croissant.json``; addresses in it are relative, so that it holds wherever they are hosted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from importlib.resources import files
from typing import Any

import pandas as pd

from generation.card import configuration_name, described_fields, sections
from nndynbench.citing import citation, package_bibtex
from nndynbench.storage.tables import KEYS, TableName, table_file
from nndynbench.subsets import Subset

CROISSANT_NAME = "croissant.json"
CROISSANT_MARK = '\n "name": "nndynbench",\n'  # by which our own is known

CONFORMS_TO = ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"]
LICENCE = "https://creativecommons.org/licenses/by/4.0/"
ENCODINGS = {".parquet": "application/x-parquet", ".json": "application/json", ".h5": "application/x-hdf5"}


def croissant_json(subsets: Sequence[Subset]) -> str:
    """The Croissant file of a folder that holds these subsets."""
    return json.dumps(croissant(subsets), indent=1, ensure_ascii=False) + "\n"


def croissant(subsets: Sequence[Subset]) -> dict[str, Any]:
    """The same as a dictionary of JSON-LD."""
    cited = citation()
    address = {"url": cited.site or cited.repository} if cited.site or cited.repository else {}
    return {
        "@context": json.loads(_text("croissant_context.json")),
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": "nndynbench",
        "description": cited.title,
        **address,
        "license": LICENCE,
        "version": cited.version,
        "datePublished": cited.date.isoformat(),
        "creator": [{"@type": "sc:Organization", "name": name} for name in cited.authors],
        "keywords": ["neural networks", "training dynamics", "model zoo", "performance prediction", "graphs"],
        "isLiveDataset": False,
        "citeAs": package_bibtex(),
        **_responsible(subsets),
        "distribution": [file for subset in subsets for file in _files(subset)],
        "recordSet": [_records(subset, table) for subset in subsets for table in KEYS],
    }


def _responsible(subsets: Sequence[Subset]) -> dict[str, Any]:
    """The RAI fields, those that conferences ask for among them."""
    said = sections()
    images = {subset.manifest.images.name for subset in subsets}
    sources = [source for source in said["derived_from"] if source["images"] in images]
    return {
        "rai:dataUseCases": said["use_cases"] + said["out_of_scope"],
        "rai:dataLimitations": said["limitations"],
        "rai:dataBiases": said["biases"],
        "rai:dataSocialImpact": said["social_impact"],
        "rai:personalSensitiveInformation": said["personal_information"],
        "rai:hasSyntheticData": True,
        "rai:dataCollection": f"{said['collection']} {said['synthetic']}",
        "rai:dataCollectionType": said["collection_type"],
        "rai:dataCollectionMissingData": said["missing_data"],
        "rai:dataPreprocessingProtocol": said["preprocessing"],
        "rai:dataAnnotationProtocol": said["annotation"],
        "rai:dataReleaseMaintenancePlan": " ".join(said["maintenance"]),
        "prov:wasDerivedFrom": [{"@id": source["url"], "prov:label": source["name"]} for source in sources],
        "prov:wasGeneratedBy": [
            {
                "@type": "prov:Activity",
                "prov:label": f"training of {subset.name} {subset.version}",
                "sc:description": f"{subset.manifest.training_command} (nndynbench {subset.manifest.code_version})",
            }
            for subset in subsets
        ],
    }


def _files(subset: Subset) -> Iterator[dict[str, Any]]:
    for name, facts in subset.manifest.files.items():
        path = _address(subset, name)
        yield {
            "@type": "cr:FileObject",
            "@id": path,
            "name": path,
            "contentUrl": path,
            "contentSize": f"{facts.bytes} B",
            "encodingFormat": ENCODINGS[name[name.index(".") :]],
            "sha256": facts.sha256,
        }


def _records(subset: Subset, table: TableName) -> dict[str, Any]:
    name = configuration_name(subset.name, table)
    frame: pd.DataFrame = getattr(subset, table).reset_index()
    described = {column: ("", f"the grid's setting {column}") for column in map(str, frame)} | described_fields()[table]
    fields = [
        {
            "@type": "cr:Field",
            "@id": f"{name}/{column}",
            "name": f"{name}/{column}",
            "description": meaning if not (unit := described[column][0]) else f"{meaning} ({unit})",
            "dataType": _type(frame[column]),
            "source": {"fileObject": {"@id": _address(subset, table_file(table))}, "extract": {"column": column}},
        }
        for column in map(str, frame)
        if (meaning := described[column][1])
    ]
    key = [{"@id": f"{name}/{column}"} for column in KEYS[table]]
    summary = f"The {table} of {subset.name} {subset.version}"
    return {"@type": "cr:RecordSet", "@id": name, "name": name, "description": summary, "key": key, "field": fields}


def _type(column: pd.Series) -> str:
    if pd.api.types.is_bool_dtype(column.dtype):
        return "sc:Boolean"
    if pd.api.types.is_integer_dtype(column.dtype):
        return "sc:Integer"
    return "sc:Float" if pd.api.types.is_float_dtype(column.dtype) else "sc:Text"


def _address(subset: Subset, name: str) -> str:
    return f"{subset.name}/{subset.version}/{name}"


def _text(name: str) -> str:
    return files("generation.card").joinpath(name).read_text(encoding="utf-8")
