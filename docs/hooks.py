"""What the site shows beside the pages in docs/: the repository's own documents, and references made from the package.

A link to a file that is no page goes to the repository, by the address in nndynbench/citation.toml; while that is empty, its
text stands alone.
"""

from __future__ import annotations

import inspect
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import typer.main
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import nndynbench
from nndynbench.citing import citation, package_bibtex, paper_bibtex, subset_bibtex
from nndynbench.cli import app
from nndynbench.subsets.loading import names_at_hand

ROOT = Path(__file__).parents[1]

# Pages that are documents of the repository, by what they are there.
DOCUMENTS = {
    "DATASET_CARD.md": "card.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changes.md",
    "generation/README.md": "generation.md",
}
README_PAGE = "index.md"

NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))

# What the reference's pages describe, each module's public names in their order.
REFERENCES = {
    "reference/nndynbench.md": ("The front door", ["nndynbench"]),
    "reference/graphs.md": ("Graphs", ["nndynbench.graphs"]),
    "reference/centralities.md": ("Centralities", ["nndynbench.centralities"]),
    "reference/features.md": ("Features, signatures and columns", ["nndynbench.features", "nndynbench.signatures"]),
}
COMMANDS_PAGE = "reference/commands.md"
CITE_PAGE = "cite.md"

# A code block that says which file it is.
NAMED_BLOCK = re.compile(r"^(```\w+) file=(\S+)$", re.MULTILINE)

GITHUB = "https://github.com/"
COLAB = "https://colab.research.google.com/github/"

LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?://|#|mailto:)([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are no files of docs/."""
    made = {page: (ROOT / path).read_text(encoding="utf-8") for path, page in DOCUMENTS.items()}
    made["card.md"] = re.sub(r"\A---\n.*?\n---\n", "", made["card.md"], flags=re.DOTALL)
    made |= {page: reference(title, modules) for page, (title, modules) in REFERENCES.items()}
    made |= {f"notebooks/{path.stem}.md": notebook(path) for path in NOTEBOOKS}
    made |= {COMMANDS_PAGE: commands(), CITE_PAGE: cite()}
    for page, content in made.items():
        files.append(File.generated(config, page, content=content))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Make links and code blocks that hold in the repository hold on the site."""
    document = {page: path for path, page in DOCUMENTS.items()}.get(page.file.src_uri, f"docs/{page.file.src_uri}")

    def linked(found: re.Match[str]) -> str:
        image, text, target, anchor = found.groups()
        # Documents may link as the site does already: to another page beside them.
        if files.get_file_from_path(os.path.normpath(PurePosixPath(page.file.src_uri).parent / target)) is not None:
            return found.group(0)
        path = os.path.normpath(PurePosixPath(document).parent / target)
        there = DOCUMENTS.get(path) or (README_PAGE if path == "README.md" else path.removeprefix("docs/"))
        if files.get_file_from_path(there) is not None:
            relative = os.path.relpath(there, PurePosixPath(page.file.src_uri).parent)
            return f"{image}[{text}]({relative}{anchor or ''})"
        if not (ROOT / path).exists():
            return found.group(0)  # a broken link, which the strict build reports
        return f"[{text}]({citation().repository}/blob/main/{path})" if citation().repository else text

    return LINK.sub(linked, NAMED_BLOCK.sub(r'\1 title="\2"', markdown))


def notebook(path: Path) -> str:
    """A notebook's cells as a page, with the ways to run it."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    heading, *parts = (_cell(cell) for cell in cells)
    source = f"docs/notebooks/{path.name}"
    runs = [f"Run it in Jupyter: [`{source}`](../../{source})."]
    if citation().repository.startswith(GITHUB):
        runs.append(f"[Open it in Colab]({COLAB}{citation().repository.removeprefix(GITHUB)}/blob/main/{source}).")
    return "\n\n".join([heading, " ".join(runs), *parts])


def _cell(cell: dict[str, Any]) -> str:
    text = "".join(cell["source"])
    return text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```"


def reference(title: str, modules: list[str]) -> str:
    """A page of every public name of modules."""
    parts = [f"# {title}\n"]
    for name in modules:
        module = getattr(nndynbench, name.rpartition(".")[2]) if "." in name else nndynbench
        about = inspect.cleandoc(module.__doc__ or "").replace("``", "`")
        if module is nndynbench:
            about = "Everything in `nndynbench` itself: `import nndynbench as nb`."
        parts.append(f"## `{name}`\n\n{about}\n" if len(modules) > 1 or name != "nndynbench" else f"{about}\n")
        parts += [f"::: {path}\n    options:\n      heading: {shown}\n" for shown, path in public_names(module)]
    return "\n".join(parts)


def public_names(module: Any) -> Iterator[tuple[str, str]]:
    """Each public name of a module but those of other modules, with where it is defined."""
    for name in module.__all__:
        value = getattr(module, name)
        if inspect.ismodule(value) or name == "__version__":
            continue
        own = getattr(value, "__module__", "")
        defined = (isinstance(value, type) or inspect.isfunction(value)) and own.startswith("nndynbench")
        yield name, f"{own}.{value.__qualname__}" if defined else f"{module.__name__}.{name}"


def commands() -> str:
    """A page of every command with its arguments and options."""
    group: Any = typer.main.get_command(app)
    parts = ["# Command line\n", "Every command takes `-h`.\n", *_commands(group, "nndynbench")]
    return "\n".join(parts)


def _commands(group: Any, name: str) -> Iterator[str]:
    for command in group.commands.values():
        full = f"{name} {command.name}"
        if hasattr(command, "commands"):
            yield from _commands(command, full)
            continue
        yield f"## `{full}`\n\n{inspect.cleandoc(command.help or '')}\n"
        shown = [parameter for parameter in command.params if parameter.name != "help"]
        if shown:
            rows = [f"| {_written(parameter)} | {_explained(parameter)} |" for parameter in shown]
            yield "\n".join(["| argument or option | what it is |", "|---|---|", *rows]) + "\n"


def _written(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{parameter.name.upper()}`"
    return ", ".join(f"`{option}`" for option in parameter.opts)


def _explained(parameter: Any) -> str:
    said = (parameter.help or "").replace("|", "\\|")
    default = parameter.default
    stated = not callable(default) and default not in (None, False, [], ()) and "default" not in said
    return f"{said} (default: `{default}`)" if stated and parameter.param_type_name == "option" else said


def cite() -> str:
    """A page of the BibTeX entries and the licences."""
    name = names_at_hand()[0]
    entries = "\n\n".join([package_bibtex(), subset_bibtex(name, nndynbench.load(name).version), paper_bibtex()])
    addresses = [f"- {what}: <{address}>" for what, address in citation().addresses.items()]
    return "\n".join(
        [
            "# Cite and licence\n",
            "Cite the package, the version of the subset that you used, and the paper.",
            "`nndynbench cite SUBSET` prints all three.\n",
            f"```bibtex\n{entries}\n```\n",
            "Code is under [Apache-2.0](../LICENSE), data under [CC BY 4.0](../LICENSE-DATA).\n",
            *addresses,
        ]
    )
