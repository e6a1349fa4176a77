"""How to cite the benchmark, from CITATION.cff: one place for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CITATION = Path(__file__).parents[2] / "CITATION.cff"


@dataclass(frozen=True)
class Citation:
    """What is asked of whoever uses it, and the entries for BibTeX."""

    message: str
    bibtex: str


def citation() -> Citation:
    """From the file at the repository's root."""
    facts = yaml.safe_load(CITATION.read_text(encoding="utf-8"))
    own = _entry("software", "nndynbench", {**facts, "note": f"version {facts['version']}"})
    paper = _entry("article", "vahedian2021", facts["references"][0])
    return Citation(facts["message"], f"{own}\n\n{paper}")


def _entry(kind: str, key: str, facts: dict[str, Any]) -> str:
    fields = {
        "author": " and ".join(_name(author) for author in facts["authors"]),
        **{field: facts[field] for field in ("title", "year", "url", "note") if field in facts},
    }
    lines = "".join(f"  {field} = {{{value}}},\n" for field, value in fields.items())
    return f"@{kind}{{{key},\n{lines}}}"


def _name(author: dict[str, str]) -> str:
    return f"{author['family-names']}, {author['given-names']}" if "family-names" in author else f"{{{author['name']}}}"
