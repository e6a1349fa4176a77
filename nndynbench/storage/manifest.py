"""``subset.json``: what a packed version of a subset is, how it was made, and the checksum of each of its files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from nndynbench.errors import first_problem

MANIFEST_NAME = "subset.json"

FORMAT = 1

TierName = Literal["networks", "centralities", "graphs", "weights"]

# From the least to the richest: a missing tier is derived from a richer one.
TIERS: tuple[TierName, ...] = ("networks", "centralities", "graphs", "weights")

# How many networks one process of a CPU trains side by side: more are no quicker, and leave other cores idle.
CPU_GROUP = 6


# Up to this epoch training keeps snapshots, unless told otherwise.
KEPT_BY_DEFAULT = 10

# The name of the grid of runs that were recorded, not trained here.
OWN_RUNS = "own runs"

# The regime of a grid of one's own.
OWN_REGIME = "own"

# What the grids of this package train in: reduced ones, and all others.
REDUCED_PRECISION, FULL_PRECISION = "bfloat16", "float32"

# A setting that is a column of the networks table.
VARIES = "varies"


class _Facts(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


# A manifest may come from anybody's repository, so its files must lie beside it, and their mirrors on the web.
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")]
Address = Annotated[str, StringConstraints(pattern=r"^https?://")]


# Bounds on a manifest's numbers: they decide how much memory and time is taken before anything else is read.
NetworkCount = Annotated[int, Field(ge=0, le=1_000_000)]
EpochNumber = Annotated[int, Field(ge=0, le=100_000)]
LARGEST_FILE = 1 << 44


class FileFacts(_Facts):
    """A file's size and content, and where else it may be fetched from."""

    bytes: int = Field(ge=0, le=LARGEST_FILE)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    mirrors: list[Address] = []
    """Addresses of the same file on other hosts, tried in order if the hub fails."""

    def same_content(self, other: FileFacts) -> bool:
        """Whether both are facts of the same bytes."""
        return (self.bytes, self.sha256) == (other.bytes, other.sha256)


class TierFacts(_Facts):
    """What this version holds of a tier: for how many networks, and which epochs ("last" is each network's own last one)."""

    files: list[FileName]
    networks: NetworkCount
    epochs: list[EpochNumber | Literal["last"]] = []
    mantissa_bits: int = Field(default=23, ge=1, le=23)
    """How many bits of mantissa the values in its files were rounded to; a float32 has 23."""

    @property
    def epochs_in_words(self) -> str:
        """Such as "0 to 5", "0 to 5 and last", or "1, 3, 5" if some in between are not kept; empty if there are none."""
        numbers = [epoch for epoch in self.epochs if isinstance(epoch, int)]
        words = ", ".join(map(str, numbers))
        if len(numbers) > 1 and numbers == list(range(numbers[0], numbers[-1] + 1)):
            words = f"{numbers[0]} to {numbers[-1]}"
        return " and ".join(filter(None, [words, "last" if "last" in self.epochs else ""]))


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
    """ "full" is the paper's training, "diverse" a drawn grid, "reduced" a cheaper training. It is always shown beside a
    score. Older packs call it protocol."""
    architecture: str
    network: dict[str, Any] | None = None
    """The architecture (`nndynbench.graphs.Architecture.description`), if the package has none of this name."""
    notes: list[str] = []
    """For a pack of one's own runs: what was left out or is missing, and what that costs."""
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
    """The most epochs that a network may have trained, which is the largest budget."""
    networks: NetworkCount
    networks_planned: NetworkCount
    keep: EpochNumber | None = None
    """The epoch up to which snapshots and features were kept, beside the last one; older packs do not say."""
    tiers: dict[TierName, TierFacts]
    files: dict[FileName, FileFacts]

    @model_validator(mode="after")
    def _has_checksums(self) -> Self:
        if without := [file for tier in self.tiers.values() for file in tier.files if file not in self.files]:
            raise ValueError(f"its tiers list files without a size and checksum: {', '.join(without)}")
        return self

    @property
    def reduced(self) -> bool:
        """Whether the networks were trained with less than the paper's regime, so that no score is comparable with the
        paper's.
        """
        return self.regime == "reduced"

    @property
    def is_own(self) -> bool:
        """Whether it is a pack of somebody's own runs, which no command makes again."""
        return self.grid == OWN_RUNS

    @property
    def training_command(self) -> str:
        """The command that trains such a subset of the catalogue in a clone of the project, with the same grid, seed,
        trainer, precision and kept epochs.
        """
        return self._training_command(self.subset, grid="FILE.toml" if self.regime == OWN_REGIME else self.grid)

    @property
    def own_training_command(self) -> str:
        """The same for a zoo that has a name and a grid of its own, and maybe an architecture."""
        described = " --architecture FILE.toml" if self.network is not None else ""
        return self._training_command(f"--name {self.subset}{described}", grid="FILE.toml")

    def _training_command(self, name: str, *, grid: str) -> str:
        options, precision = [f"--grid {grid}"], self.settings.get("precision", VARIES)
        chosen = precision != (REDUCED_PRECISION if self.reduced else FULL_PRECISION)
        if self.settings.get("trainer") == "side by side":
            on_gpu = self.settings.get("device_kind", "cpu") != "cpu"
            options += ["--device cuda"] * on_gpu
            # Each core of a CPU trains a group of networks, a GPU all of them.
            group = self.networks if on_gpu else CPU_GROUP
            options.append(f"--side-by-side {group}")
            chosen = True
        if chosen and precision != VARIES:
            options.append(f"--precision {precision}")
        if self.keep is not None:
            options.append(f"--keep {self.keep}")
        if self.zoo_seed != 0:
            options.append(f"--seed {self.zoo_seed}")
        return f"python -m generation train {name} {' '.join(options)} --out DIR"


def read_manifest(folder: Path) -> Manifest:
    """Read a packed folder's manifest.

    Raises
    ------
    ValueError
        If it is no valid manifest, naming the file and the field, or if it is of a later format.
    """
    path = folder / MANIFEST_NAME
    content = path.read_bytes()
    try:
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        if (found := _format_of(content)) > FORMAT:
            raise ValueError(
                f"{path} has format {found}; this version of nndynbench reads up to {FORMAT}: pip install -U nndynbench"
            ) from error
        raise ValueError(f"{path} is not a valid manifest: {first_problem(error)}") from error


def _format_of(content: bytes) -> int:
    try:
        return int(json.loads(content)["format"])
    except (ValueError, KeyError, TypeError):
        return 0
