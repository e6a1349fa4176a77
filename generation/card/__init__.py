"""The data set's card: the hub's YAML metadata and a datasheet, its numbers taken from packed subsets.

The text is card.md.jinja, with what a careful user asks in sections.toml; the fields' units and meanings are fields.toml.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import yaml

from generation.images import SIZES
from nndynbench.citing import package_bibtex, paper_bibtex, subset_bibtex
from nndynbench.numbers import NOTHING
from nndynbench.paper import paper_table2
from nndynbench.protocols import find_protocol
from nndynbench.storage.files import locked, write_whole
from nndynbench.storage.manifest import TIERS, TierName
from nndynbench.storage.places import versions_at
from nndynbench.storage.tables import KEYS, TableName, table_file
from nndynbench.subsets import Subset, catalogue, catalogue_entry, load
from nndynbench.subsets.catalogue import hub_repository, paper_column
from nndynbench.subsets.summary import summarised

CARD_NAME = "README.md"  # the hub's name for a repository's card
CARD_MARK = "---\npretty_name: nndynbench\n"  # by which our own is known

# What the hub calls the one split of data that has none. `datasets` reserves "all" for the union of the splits, here the
# same rows: split="all" loads them.
SPLIT = "train"

FEWEST_RANKED = 10

TRAINED = find_protocol("trained")

CAPTIONS: dict[TableName, str] = {
    "networks": (
        "One row per network. The columns of the grid differ from subset to subset. The columns before `epochs_trained` are "
        "known before training. Those from `epochs_trained` to `seconds` are known only at its end: never use them to "
        "predict. Of the other tables, use only rows up to the budget, the last epoch that a method may see."
    ),
    "curves": "One row per network and epoch.",
    "signatures": "One row per network, epoch, representation, sign and centrality.",
    "features": "One row per network, kept epoch and layer. Values are missing if a weight is not finite.",
}


def dataset_card(subsets: Sequence[Subset], *, repository: str | None = None) -> str:
    """The card of a repository that holds these subsets, the newest version of each. Without the name of a repository on the
    hub, it is the card of the package's own files, and says that nothing is published.
    """
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    template = environment.from_string(files("generation.card").joinpath("card.md.jinja").read_text(encoding="utf-8"))
    facts = [card_facts(subset) for subset in subsets]
    return template.render(
        metadata=yaml.safe_dump(metadata(subsets), sort_keys=False, allow_unicode=True),
        repository=repository or hub_repository(),
        published=repository is not None,
        subsets=facts,
        networks=sum(subset["networks"] for subset in facts),
        tables=described_fields(),
        captions=CAPTIONS,
        said=sections(),
        images=image_facts({subset.manifest.images.name for subset in subsets}),
        thresholds=other_thresholds(facts),
        bibtex="\n\n".join([package_bibtex(), subset_bibtex(subsets[0].name, subsets[0].version), paper_bibtex()]),
    )


def write_card(root: Path) -> list[Path]:
    """Write the card of all packed subsets below ``root`` and their Croissant file, which makes it a repository that
    `datasets` and mlcroissant can load. Returns the files that it left as they are, since somebody else wrote them.
    """
    from generation.card.croissant import CROISSANT_MARK, CROISSANT_NAME, croissant_json

    left = []
    files_and_marks = ((CARD_NAME, CARD_MARK, dataset_card), (CROISSANT_NAME, CROISSANT_MARK, croissant_json))
    with locked(root / "card.lock"):  # of two subsets packed at once, the later card has both
        subsets = packed_subsets(root)
        for name, mark, text_of in files_and_marks:
            target = root / name
            if is_somebody_elses(target, mark):
                left.append(target)
                continue
            write_whole(target, text_of(subsets))
    return left


def is_somebody_elses(path: Path, mark: str) -> bool:
    """Whether a file is there that lacks the mark of our own."""
    return path.exists() and mark not in path.read_text(encoding="utf-8", errors="replace")


def packed_subsets(root: Path) -> list[Subset]:
    """The newest version of every subset that is packed below ``root``, in the catalogue's order."""
    return [load(name, root=root) for name in catalogue() if versions_at(root, name)]


def metadata(subsets: Sequence[Subset]) -> dict[str, Any]:
    """The hub's YAML: licence, tasks, and a configuration per subset and table, each with one split."""
    networks = sum(subset.manifest.networks for subset in subsets)
    return {
        "pretty_name": "nndynbench",
        "license": "cc-by-4.0",
        "task_categories": ["tabular-regression", "tabular-classification"],
        "tags": ["neural-networks", "training-dynamics", "model-zoo", "performance-prediction", "graphs"],
        "size_categories": [f"{'n<1K' if networks < 1000 else '1K<n<10K'}"],
        "configs": [_configuration(subset, table) for subset in subsets for table in KEYS],
    }


def configuration_name(subset: str, table: TableName) -> str:
    """``cifar10-vgg`` for the networks, ``cifar10-vgg-curves`` and so on for the other tables."""
    return subset if table == "networks" else f"{subset}-{table}"


def described_fields() -> dict[TableName, dict[str, tuple[str, str]]]:
    """Per table, each column's unit and meaning."""
    text = files("generation.card").joinpath("fields.toml").read_text(encoding="utf-8")
    tables = tomllib.loads(text)
    return {table: {name: (unit, meaning) for name, (unit, meaning) in tables[table].items()} for table in KEYS}


@cache
def sections() -> dict[str, Any]:
    """What a careful user asks of a data set, from sections.toml: texts, and lists of texts."""
    return tomllib.loads(files("generation.card").joinpath("sections.toml").read_text(encoding="utf-8"))


def card_facts(subset: Subset) -> dict[str, Any]:
    """What the card says of a subset, from its manifest and tables."""
    manifest, summary = subset.manifest, summarised(subset)
    accuracy = subset.networks["final_accuracy"]
    at_least = TRAINED.lowest_scored(images=manifest.images.name, chance=manifest.chance)
    return {
        "name": subset.name,
        "version": subset.version,
        "summary": catalogue_entry(subset.name).summary,
        "regime": manifest.regime,
        "architecture": manifest.architecture,
        "images": manifest.images.name,
        "digest": manifest.images.digest[:12],
        "grid": manifest.grid,
        "settings": ", ".join(f"{name} {value}" for name, value in manifest.settings.items() if value != "varies"),
        "devices": ", ".join(subset.devices),
        "libraries": ", ".join(f"{library} {version}" for library, version in manifest.libraries.items()),
        "code_version": manifest.code_version,
        "networks": manifest.networks,
        "planned": manifest.networks_planned,
        "threshold": f"{summary.threshold:.4g}",
        "fewest_epochs": summary.epochs_trained[0],
        "most_epochs": summary.epochs_trained[1],
        "high": summary.high,
        "diverged": summary.diverged,
        "lowest": f"{summary.final_accuracy[0]:.1f}",
        "highest": f"{summary.final_accuracy[1]:.1f}",
        "at_hand": {tier: _at_hand(subset, tier) for tier in TIERS},
        "megabytes": f"{sum(facts.bytes for facts in manifest.files.values()) / 1e6:.1f} MB",
        "at_chance": f"{100 * (accuracy < at_least).mean():.0f}",
        "larger_class": f"{summary.larger_class:.0f}",
        "after_one": _rank_correlation(subset, 1),
        "after_five": _rank_correlation(subset, 5),
        "superseded": catalogue_entry(subset.name).superseded,
    }


def image_facts(names: Collection[str]) -> list[dict[str, Any]]:
    """What the card says of image data: where they come from, how they were used, how many there are."""
    found = []
    for source in sections()["derived_from"]:
        if source["images"] in names:
            training, half = SIZES[source["images"]]
            found.append(source | {"training": training, "half": half})
    return found


def other_thresholds(facts: Sequence[Mapping[str, Any]]) -> str:
    """Which subsets have another threshold than the paper's Table 2, and which it is; of `card_facts`."""
    table, found = paper_table2(), []
    for subset in facts:
        column = paper_column(subset["name"])
        if column is not None and float(subset["threshold"]) != table[column]["threshold"]:
            found.append(f"{subset['name']} {subset['threshold']}% (the paper: {table[column]['threshold']}%)")
    return f"They are: {', '.join(found)}." if found else "None of them is here."


def _configuration(subset: Subset, table: TableName) -> dict[str, Any]:
    path = f"{subset.name}/{subset.version}/{table_file(table)}"
    name = configuration_name(subset.name, table)
    return {"config_name": name, "data_files": [{"split": SPLIT, "path": path}]}


def _at_hand(subset: Subset, tier: TierName) -> str:
    """What the manifest says of a tier, "derived" where it follows from a richer one, "–" where neither."""
    facts = subset.manifest.tiers.get(tier)
    if facts is None:
        held = subset.networks_in(tier)
        return f"derived{_of(held, subset)}" if held else NOTHING
    size = f"{sum(subset.manifest.files[file].bytes for file in facts.files) / 1e6:.1f} MB"
    if tier == "networks":
        return size
    epochs = f"epochs {facts.epochs_in_words}" if facts.epochs else "no epoch"
    return f"{size}{_of(facts.networks, subset)}, {epochs}, {facts.mantissa_bits} bits"


def _of(held: int, subset: Subset) -> str:
    networks = subset.manifest.networks
    return "" if held == networks else f" ({held} of {networks} networks)"


def _rank_correlation(subset: Subset, epoch: int) -> str:
    """Spearman's correlation of the validation accuracy after an epoch, or the last before it, with the final one; none of
    too few networks.
    """
    if len(subset.networks) < FEWEST_RANKED:
        return NOTHING
    accuracies = subset.curves["validation_accuracy"].unstack("epoch").reindex(columns=range(1, epoch + 1)).ffill(axis=1)
    seen = accuracies[epoch].reindex(subset.networks.index).fillna(subset.manifest.chance)
    final = subset.networks["final_accuracy"]
    return f"{seen.corr(final, method='spearman'):.2f}" if min(seen.nunique(), final.nunique()) > 1 else NOTHING
