"""The repository's own metadata for those who archive and cite it: CITATION.cff and .zenodo.json, from citation.toml."""

from __future__ import annotations

import json
from typing import Any

import yaml

from nndynbench.citing import citation

MESSAGE = "If you use nndynbench, please cite it and the paper that it is built around."
KEYWORDS = ["neural network", "training dynamics", "graph", "benchmark", "performance prediction"]


def repository_files() -> dict[str, str]:
    """The text of each file, by its name in the repository's root."""
    return {
        "CITATION.cff": yaml.safe_dump(citation_cff(), sort_keys=False, allow_unicode=True, width=120),
        ".zenodo.json": json.dumps(zenodo(), indent=1, ensure_ascii=False) + "\n",
    }


def citation_cff() -> dict[str, Any]:
    """The Citation File Format, 1.2.0."""
    cited = citation()
    public = {"repository-code": cited.repository, "url": cited.site, "doi": cited.doi}
    authors = [dict(zip(("family-names", "given-names"), name.split(", "), strict=True)) for name in cited.paper.authors]
    return {
        "cff-version": "1.2.0",
        "message": MESSAGE,
        "title": cited.title,
        "type": "software",
        "license": "Apache-2.0",
        "version": cited.version,
        "date-released": cited.date,
        "authors": [{"name": name} for name in cited.authors],
        "keywords": KEYWORDS,
        **{name: address for name, address in public.items() if address},
        "references": [
            {
                "type": "article",
                "title": cited.paper.title,
                "authors": authors,
                "year": cited.paper.year,
                "url": cited.paper.url,
            }
        ],
    }


def zenodo() -> dict[str, Any]:
    """What Zenodo reads from an archived release."""
    cited = citation()
    return {
        "title": cited.title,
        "upload_type": "software",
        "description": f"{cited.title}. Code under Apache-2.0, data under CC BY 4.0.",
        "license": "Apache-2.0",
        "version": cited.version,
        "publication_date": cited.date.isoformat(),
        "creators": [{"name": name} for name in cited.authors],
        "keywords": KEYWORDS,
        "related_identifiers": [
            {"identifier": f"arXiv:{cited.paper.arxiv}", "relation": "references", "resource_type": "publication-preprint"}
        ],
    }
