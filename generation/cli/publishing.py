"""The data set's card, and what goes to the hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from nndynbench.cli.console import console


def card(
    root: Annotated[Path | None, typer.Argument(help="a folder of packed subsets; the package's by default")] = None,
    out: Annotated[
        Path | None, typer.Option(help="the file to write; by default DATASET_CARD.md, or README.md in the folder named")
    ] = None,
) -> None:
    """Write the data set's card and its Croissant file, with numbers from the packed subsets. For the package's own subsets,
    also write CITATION.cff and .zenodo.json beside the card.
    """
    from generation.card import CARD_MARK, CARD_NAME, dataset_card, is_somebody_elses, packed_subsets
    from generation.card.croissant import CROISSANT_MARK, CROISSANT_NAME, croissant_json
    from generation.card.repository import repository_files
    from nndynbench.storage.places import bundled_folder

    folder = root or bundled_folder()
    subsets = packed_subsets(folder)
    if not subsets:
        raise FileNotFoundError(f"{folder} holds no packed subset of the catalogue: nothing to describe")
    target = out or (Path("DATASET_CARD.md") if root is None else root / CARD_NAME)
    for path, mark in ((target, CARD_MARK), (folder / CROISSANT_NAME, CROISSANT_MARK)):
        if is_somebody_elses(path, mark):
            raise FileExistsError(f"{path} is not overwritten, since this project did not write it: move it, or give --out")
    written = {target: dataset_card(subsets), folder / CROISSANT_NAME: croissant_json(subsets)}
    if root is None:
        written |= {target.parent / name: text for name, text in repository_files().items()}
    for path, text in written.items():
        path.write_text(text, encoding="utf-8")
        console.print(escape(f"wrote {path}"))


def publish(
    root: Annotated[Path, typer.Argument(help="a folder of packed subsets")],
    repo: Annotated[str, typer.Option(help="the dataset repository on the hub, such as owner/name")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="list what would be uploaded, and send nothing")] = False,
) -> None:
    """Upload the packed versions that the hub lacks, in one commit, and tag each <subset>-<version>."""
    from generation.publish import plan_upload
    from generation.publish import publish as send

    upload = plan_upload(root, repo)
    for address, path in upload.files.items():
        console.print(f"{path.stat().st_size / 1e6:10.2f} MB  {address}")
    names = ", ".join(f"{name} {version}" for name, version in upload.versions)
    if dry_run:
        size = f"{len(upload.files)} files, the card and the Croissant file, {upload.bytes / 1e6:.1f} MB"
        console.print(f"would publish {names} on {repo}: {size}")
        return
    console.print(f"published {names} on {repo} as commit {send(upload, repo)}")
