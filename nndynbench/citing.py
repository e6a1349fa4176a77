"""How to cite the package, a subset's version and the paper: BibTeX from ``citation.toml``."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.metadata import version
from importlib.resources import files


@dataclass(frozen=True)
class Paper:
    """The paper that the benchmark is built around; ``authors`` as "family, given"."""

    key: str
    title: str
    authors: tuple[str, ...]
    year: int
    arxiv: str

    @property
    def url(self) -> str:
        """Where the paper is."""
        return f"https://arxiv.org/abs/{self.arxiv}"


@dataclass(frozen=True)
class Citation:
    """What citation.toml says, and the installed version. An address that is not public yet is empty."""

    title: str
    authors: tuple[str, ...]
    date: date
    repository: str
    site: str
    doi: str
    paper: Paper
    version: str

    @property
    def addresses(self) -> dict[str, str]:
        """The project's public addresses by name, the paper's included; placeholders are left out."""
        doi = f"https://doi.org/{self.doi}" if self.doi else ""
        named = {"Repository": self.repository, "Documentation": self.site, "Archive": doi, "Paper": self.paper.url}
        return {name: address for name, address in named.items() if address}


@cache
def citation() -> Citation:
    """Who made the package, when, and where it is found."""
    facts = tomllib.loads(files("nndynbench").joinpath("citation.toml").read_text(encoding="utf-8"))
    paper = facts.pop("paper")
    return Citation(
        **{**facts, "authors": tuple(facts["authors"])},
        paper=Paper(**{**paper, "authors": tuple(paper["authors"])}),
        version=version("nndynbench"),
    )


def package_bibtex() -> str:
    """The BibTeX entry of the package and its data as a whole."""
    cited = citation()
    return _entry("software", "nndynbench", {**_of_project(cited.title), "version": cited.version})


def subset_bibtex(subset: str, subset_version: str) -> str:
    """The BibTeX entry of one version of a subset: what a score was measured on."""
    title = f"nndynbench: the subset {subset}, version {subset_version}"
    fields = {**_of_project(title), "version": subset_version, "note": f"Packed with nndynbench {citation().version}"}
    return _entry("misc", f"nndynbench-{subset}-{subset_version}", fields)


def paper_bibtex() -> str:
    """The BibTeX entry of the paper."""
    paper = citation().paper
    fields = {"title": f"{{{paper.title}}}", "author": " and ".join(paper.authors), "year": str(paper.year)}
    return _entry("misc", paper.key, {**fields, "eprint": paper.arxiv, "archivePrefix": "arXiv"})


def _of_project(title: str) -> dict[str, str]:
    cited = citation()
    fields = {"title": f"{{{title}}}", "author": " and ".join(f"{{{name}}}" for name in cited.authors)}
    fields |= {"year": str(cited.date.year), "month": str(cited.date.month)}
    return fields | {name: value for name, value in (("doi", cited.doi), ("url", cited.repository)) if value}


def _entry(kind: str, key: str, fields: dict[str, str]) -> str:
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items()]
    return "\n".join([f"@{kind}{{{key},", *lines, "}"])
