"""``subset.json``: what a packed version of a subset is, how it was made, and the checksum of each of its files."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, StringConstraints, model_validator

MANIFEST_NAME = "subset.json"

FORMAT = 1

TierName = Literal["networks", "centralities", "graphs", "weights"]

# From the least to the richest: a missing tier is derived from a richer one.
TIERS: tuple[TierName, ...] = ("networks", "centralities", "graphs", "weights")

# Networks side by side in one process of a CPU: more are no quicker, and leave other cores idle.
CPU_GROUP = 6


# What the grid of runs is called that were recorded, not trained here.
OWN_RUNS = "own runs"


class _Facts(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


# A manifest may come from anybody's repository: its files lie beside it, and their mirrors are on the web.
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")]
Address = Annotated[str, StringConstraints(pattern=r"^https?://")]


# Bounds of what a manifest counts: memory and time are taken by these numbers before anything else is read.
NetworkCount = Annotated[int, Field(ge=0, le=1_000_000)]
EpochNumber = Annotated[int, Field(ge=0, le=100_000)]
LARGEST_FILE = 1 << 44


class FileFacts(_Facts):
    """A file's size and content, and where else it may be fetched from."""

    bytes: int = Field(ge=0, le=LARGEST_FILE)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    mirrors: list[Address] = []
    """Addresses of the same file on other hosts, tried in order where the hub fails."""

    def same_content(self, other: FileFacts) -> bool:
        """Whether both are facts of the same bytes."""
        return (self.bytes, self.sha256) == (other.bytes, other.sha256)


class TierFacts(_Facts):
    """What of a tier this version holds: for how many networks, and which epochs ("last" is each network's own)."""

    files: list[FileName]
    networks: NetworkCount
    epochs: list[EpochNumber | Literal["last"]] = []
    mantissa_bits: int = Field(default=23, ge=1, le=23)
    """To how many bits the values of its files were rounded; 23 are all that a float32 has."""

    @property
    def epochs_in_words(self) -> str:
        """Such as "0 to 5", "0 to last", or "1, 3, 5" where some between are not kept; empty where it has none."""
        numbers = [epoch for epoch in self.epochs if isinstance(epoch, int)]
        if len(self.epochs) > 1 and numbers == list(range(numbers[0], numbers[-1] + 1)):
            return f"{self.epochs[0]} to {self.epochs[-1]}"
        return ", ".join(map(str, self.epochs))


class ImageFacts(_Facts):
    name: str
    digest: str


class Manifest(_Facts):
    """A packed version of a subset."""

    format: Literal[1] = 1
    subset: str
    version: str
    summary: str
    regime: str = Field(validation_alias=AliasChoices("regime", "protocol"))
    """ "full" is the paper's training, "diverse" a drawn grid, "reduced" a cheaper one: always said beside a score. Older
    packs call it protocol."""
    architecture: str
    network: dict[str, Any] | None = None
    """What the networks are (`nndynbench.graphs.Architecture.description`), where the package describes none of the name."""
    notes: list[str] = []
    """Of a pack of one's own runs: what was left out or is missing, and what that costs."""
    images: ImageFacts
    grid: str
    settings: dict[str, Any]
    hyperparameters: list[str]
    zoo_seed: int
    libraries: dict[str, str]
    code_version: str
    threshold: float
    chance: float
    epochs: EpochNumber
    """The most epochs a network may have trained: the largest budget."""
    networks: NetworkCount
    networks_planned: NetworkCount
    keep: EpochNumber | None = None
    """The epoch up to which snapshots and features were kept, beside the last one; older packs do not say."""
    tiers: dict[TierName, TierFacts]
    files: dict[FileName, FileFacts]

    @model_validator(mode="after")
    def _has_checksums(self) -> Self:
        if without := [file for tier in self.tiers.values() for file in tier.files if file not in self.files]:
            raise ValueError(f"its tiers have files that it has no size and checksum of: {', '.join(without)}")
        return self

    @property
    def protocol(self) -> str:
        """The regime, by the word that it had before version 1.0; deprecated."""
        warnings.warn("Manifest.protocol is called regime now", DeprecationWarning, stacklevel=2)
        return self.regime

    @property
    def reduced(self) -> bool:
        """Whether the networks were trained by less than the paper's regime, so that no score is to be read beside its."""
        return self.regime == "reduced"

    @property
    def is_own(self) -> bool:
        """Whether it is a pack of somebody's own runs, which no command makes again."""
        return self.grid == OWN_RUNS

    @property
    def training_command(self) -> str:
        """The command that trains such a subset from a clone of the project: the same grid, trainer, precision and kept
        epochs.
        """
        options = [f"--grid {self.grid}"]
        if self.settings.get("trainer") == "side by side":
            on_gpu = self.settings.get("device_kind", "cpu") != "cpu"
            options += ["--device cuda"] * on_gpu
            # Each core of a CPU takes a group, a GPU all networks.
            group = self.networks if on_gpu else CPU_GROUP
            options += [f"--side-by-side {group}", f"--precision {self.settings['precision']}"]
        if self.keep is not None:
            options.append(f"--keep {self.keep}")
        name = self.subset if self.network is None else f"--name {self.subset} --architecture FILE.toml"
        return f"python -m generation train {name} {' '.join(options)} --out DIR"


def read_manifest(folder: Path) -> Manifest:
    """Read a packed folder's manifest.

    Raises
    ------
    ValueError
        Naming the file and the field, where it is no valid manifest, or one of a later format.
    """
    path = folder / MANIFEST_NAME
    content = path.read_bytes()
    try:
        return Manifest.model_validate_json(content)
    except ValueError as error:
        if (found := _format_of(content)) > FORMAT:
            raise ValueError(
                f"{path} is of format {found}; this version of nndynbench reads up to {FORMAT}: pip install -U nndynbench"
            ) from error
        raise ValueError(f"{path} is no valid manifest: {error}") from error


def _format_of(content: bytes) -> int:
    try:
        return int(json.loads(content)["format"])
    except (ValueError, KeyError, TypeError):
        return 0
