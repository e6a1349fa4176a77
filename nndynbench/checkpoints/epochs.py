"""Which checkpoint is of which epoch: read from names and from what files say about themselves, and never made up.

Epoch 0 is the initialisation; epoch e comes after e epochs of training. Others call the first trained epoch 0 or 1, and a
file's name and the file itself may differ in that. Every way of counting is tried against everything that is known. If more
than one remains, the user is asked.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypedDict

from nndynbench.checkpoints.content import CheckpointError, Said, said_by
from nndynbench.checkpoints.folder import checkpoint_paths
from nndynbench.checkpoints.names import Named, matched_numbers, named_numbers
from nndynbench.names import first_of
from nndynbench.storage.files import user_path

# Names of files from before the first step.
INITIAL = re.compile(r"(?i)(?:.*[^a-z])?(?:init|initial|initiali[sz]ation|untrained)(?:[^a-z].*)?")

# At most this many files are listed in an error.
LISTED = 30


class EpochOptions(TypedDict, total=False):
    """How a folder's epochs are read if its files leave that open; see `read_folder`."""

    first_epoch: int | None
    pattern: str | None
    steps_per_epoch: int | None


@dataclass(frozen=True)
class Shift:
    """What must be added to the numbers in names, and to those in files, to get epochs."""

    names: int
    files: int


AS_THEY_ARE = Shift(0, 0)
SHIFTS = (AS_THEY_ARE, Shift(0, 1), Shift(1, 0), Shift(1, 1))


@dataclass(frozen=True)
class Reading:
    """A checkpoint: its path, its path below the folder (``label``), what its name and the file say, and its epoch."""

    path: Path
    label: str
    named: Named
    said: Said
    epoch: int | None = None

    @property
    def steps(self) -> int | None:
        """The steps of training before it, by the file itself or, if that says none, by its name."""
        return self.named.steps if self.said.steps is None else self.said.steps

    @property
    def says_nothing(self) -> bool:
        return self.named.epoch is self.said.epoch is self.said.completed is None

    def epochs(self, shift: Shift) -> set[int]:
        """The epochs that it claims, if names and files are counted in this way. Two different ones contradict each
        other.
        """
        by_name = {self.named.epoch + shift.names} if self.named.epoch is not None else set()
        if self.said.completed is not None:
            return by_name | {self.said.completed}
        return by_name | ({self.said.epoch + shift.files} if self.said.epoch is not None else set())

    def __str__(self) -> str:
        parts = []
        if self.named.epoch is not None:
            parts.append(f"epoch {self.named.epoch} by its name")
        elif self.named.possible:
            parts.append(f"{' or '.join(map(str, self.named.possible))} by its name, if that is an epoch")
        if self.said.completed is not None:
            parts.append(f"epochs done by its content: {self.said.completed}")
        elif self.said.epoch is not None:
            parts.append(f"epoch {self.said.epoch} by its content")
        if self.steps is not None:
            parts.append(f"step {self.steps}")
        if self.said.within:
            parts.append("written in the middle of an epoch")
        if self.said.unreadable:
            parts.append("cannot be read")
        return f"{self.label} ({', '.join(parts) or 'says no epoch'})"


@dataclass(frozen=True)
class CheckpointFolder:
    """A folder's checkpoints and their epochs, as `read_folder` finds them.

    ``readings`` has all its checkpoints; ``unsure`` says why their epochs are unknown, if they are.
    """

    folder: Path
    readings: tuple[Reading, ...]
    unsure: str | None = field(default=None, repr=False)

    def by_epoch(self) -> dict[int, Path]:
        """The checkpoints by epoch, in ascending order.

        Raises
        ------
        CheckpointError
            If their epochs are unknown: what each says about its own, and which option decides.
        """
        if self.unsure:
            raise CheckpointError(self.unsure)
        return dict(sorted((reading.epoch, reading.path) for reading in self._kept() if reading.epoch is not None))

    def need(self, epochs: Iterable[int]) -> None:
        """Raise `CheckpointError` if one of these epochs has no checkpoint."""
        files = self.by_epoch()
        if missing := [epoch for epoch in epochs if epoch not in files]:
            lacking = ", ".join(map(str, missing))
            left_out = f"; left out: {', '.join(map(str, self.left_out))}" if self.left_out else ""
            raise CheckpointError(f"{self.folder} has no checkpoint of epoch {lacking} (it has {list(files)}{left_out})")

    @property
    def left_out(self) -> list[Reading]:
        """Checkpoints that are not used: those that say no epoch, and those whose epoch another one is of."""
        kept = {reading.path for reading in self._kept()}
        return [reading for reading in self.readings if reading.path not in kept]

    def _kept(self) -> list[Reading]:
        """One reading per epoch: of two, the one whose name says the epoch (``best.pt`` is a second name for another
        file).
        """
        by_name = sorted(self.readings, key=lambda reading: reading.named.epoch is None)
        return [*{reading.epoch: reading for reading in reversed(by_name) if reading.epoch is not None}.values()]


def read_folder(
    folder: Path | str,
    *,
    first_epoch: int | None = None,
    pattern: str | None = None,
    steps_per_epoch: int | None = None,
) -> CheckpointFolder:
    r"""Find a folder's checkpoints and the epoch of each. No weights are read.

    An epoch is the number after ``epoch``, ``ep`` or ``e`` in a name; else a number that tells all files apart and is no
    step, date, hash, seed or accuracy. What a file says about itself counts too (``epoch``, ``global_step``, a Trainer's
    ``trainer_state.json``, batch norm's and Adam's counts). Numbers that start at 1 are taken as they are. Numbers that
    start at 0 may start at the initialisation or at the first epoch: steps, or who wrote the files (Lightning, timm,
    mmengine, Composer), must say which.

    Parameters
    ----------
    folder
        One network's checkpoints: safetensors or torch files, or folders with one each (``checkpoint-500/``).
    first_epoch
        The epoch of the checkpoint with the lowest number: 0 if that is the initialisation, 1 if it was written after the
        first epoch of training. Checkpoints that say they are from the middle of an epoch are left out.
    pattern
        A regular expression that finds the epoch in a path below the folder, by its first group, or by a group named
        ``epoch`` or ``step``: ``"model_(\d+)"``. Files that it does not match are left out.
    steps_per_epoch
        Turns steps into epochs. A checkpoint within an epoch is left out.

    Raises
    ------
    FileNotFoundError
        If there is no folder, or no checkpoint in it.
    ValueError
        For options that are not whole numbers, or a pattern without a group.
    """
    _check_count("first_epoch", first_epoch, least=0)
    _check_count("steps_per_epoch", steps_per_epoch, least=1)
    paths = checkpoint_paths(folder)
    labels = [path.relative_to(user_path(folder)).as_posix() for path in paths.values()]
    names = named_numbers(list(paths)) if pattern is None else matched_numbers(labels, pattern)
    readings = [
        _with_initial(Reading(path, label, named, said_by(path)))
        for path, label, named in zip(paths.values(), labels, names, strict=True)
        if named is not None
    ]
    if not readings:
        raise CheckpointError(f"pattern {pattern!r} matches none of {', '.join(labels)}")
    if steps_per_epoch is not None:
        found, unsure = _by_steps(readings, steps_per_epoch), None
    elif first_epoch is not None:
        found, unsure = _counted_from(readings, first_epoch), None
    else:
        found, unsure = _counted_by_evidence(readings, trust_names=pattern is not None)
    if unsure is None:
        unsure = _twice(found) or _none(found)
    listed = first_of(readings, LISTED)
    question = f"which epochs are the checkpoints in {folder} from? {listed}. {unsure}" if unsure else None
    return CheckpointFolder(user_path(folder), tuple(found), question)


def _check_count(name: str, value: object, *, least: int) -> None:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < least):
        raise ValueError(f"{name} must be a whole number of at least {least}, not {value!r}")


def _with_initial(reading: Reading) -> Reading:
    """Gives epoch 0 to a file that is named after the initialisation and says nothing else."""
    is_initial = INITIAL.fullmatch(reading.path.stem) is not None and not reading.steps
    return replace(reading, said=Said(completed=0, steps=0)) if is_initial and reading.says_nothing else reading


def _by_steps(readings: Sequence[Reading], steps_per_epoch: int) -> list[Reading]:
    found = []
    for reading in readings:
        steps = reading.steps
        if steps is None and len(reading.named.possible) == 1:
            (steps,) = reading.named.possible
        if steps is None and reading.named.bare:
            steps = reading.named.epoch
        epochs, within = divmod(steps, steps_per_epoch) if steps is not None else (None, 0)
        found.append(replace(reading, epoch=None if within else epochs))
    return found


def _counted_from(readings: Sequence[Reading], first_epoch: int) -> list[Reading]:
    """Epochs from the numbers in the names or, if there are none, in the files; the lowest is ``first_epoch``. A checkpoint
    from the middle of an epoch is of none.
    """
    whole = [None if reading.said.within else reading for reading in readings]
    for number_of in (_number_of, lambda reading: reading.said.epoch):
        numbers = [None if reading is None else number_of(reading) for reading in whole]
        known = [number for number in numbers if number is not None]
        if known:
            shift = first_epoch - min(known)
            epochs = [None if number is None else number + shift for number in numbers]
            break
    else:
        epochs = [None if reading is None or len(whole) > 1 else first_epoch for reading in whole]
    found = [replace(reading, epoch=epoch) for reading, epoch in zip(readings, epochs, strict=True)]
    for reading in found:
        if not _fits_steps(reading, reading.epoch):
            raise CheckpointError(
                f"first_epoch={first_epoch} makes {reading} epoch {reading.epoch}, which contradicts its step"
            )
    return found


def _number_of(reading: Reading) -> int | None:
    if reading.named.epoch is None and len(reading.named.possible) == 1:
        return reading.named.possible[0]
    return reading.named.epoch


def _counted_by_evidence(readings: Sequence[Reading], *, trust_names: bool) -> tuple[list[Reading], str | None]:
    """Epochs by the one way of counting that agrees with everything known, or what makes that unsure."""
    whole = [reading for reading in readings if not reading.said.within]
    ways = _ways(whole)
    if not ways and trust_names:
        whole = [replace(reading, said=Said(steps=reading.said.steps)) for reading in whole]
        ways = _ways(whole)
    elif not ways and all(reading.named.bare or reading.named.epoch is None for reading in whole):
        whole = [replace(reading, named=Named(steps=reading.named.steps)) for reading in whole]
        ways = _ways(whole)
    if not ways:
        return list(readings), (
            "Names and contents disagree: decide with pattern= (where the epoch stands in a name) or with first_epoch="
        )
    if len({*ways.values()}) > 1:
        ways = _proportional(whole, ways) or ways
    lowest = min((number for reading in whole for number in _numbers(reading)), default=0)
    if len({*ways.values()}) > 1 and lowest >= 1 and AS_THEY_ARE in ways:
        ways = {AS_THEY_ARE: ways[AS_THEY_ARE]}
    if len({*ways.values()}) > 1:
        return list(readings), (
            "The lowest number may mean the initialisation (then pass first_epoch=0, in a shell --first-epoch 0), or the "
            "end of the first epoch of training (first_epoch=1, --first-epoch 1)"
        )
    epochs = dict(zip((reading.path for reading in whole), next(iter(ways.values())), strict=True))
    return _with_steps_alone([replace(reading, epoch=epochs.get(reading.path)) for reading in readings]), None


def _numbers(reading: Reading) -> list[int]:
    return [number for number in (reading.named.epoch, reading.said.epoch) if number is not None]


def _ways(readings: Sequence[Reading]) -> dict[Shift, tuple[int | None, ...]]:
    """The epochs by each way of counting that nothing contradicts."""
    ways = {}
    for shift in SHIFTS:
        said = [reading.epochs(shift) for reading in readings]
        if any(len(epochs) > 1 for epochs in said):
            continue
        epochs = tuple(next(iter(each), None) for each in said)
        initial = [reading.path for reading, epoch in zip(readings, epochs, strict=True) if epoch == 0]
        called_initial = [path for path in initial if INITIAL.fullmatch(path.stem)]
        if called_initial and len(initial) > 1:
            continue
        if all(_fits_steps(reading, epoch) for reading, epoch in zip(readings, epochs, strict=True)):
            ways[shift] = epochs
    return ways


def _fits_steps(reading: Reading, epoch: int | None) -> bool:
    """Whether the epoch agrees with the steps: only the initialisation comes after none. The name of a file that cannot be
    read proves nothing.
    """
    if epoch is None or reading.steps is None or reading.said.unreadable:
        return True
    return (epoch == 0) == (reading.steps == 0)


def _proportional(
    readings: Sequence[Reading], ways: dict[Shift, tuple[int | None, ...]]
) -> dict[Shift, tuple[int | None, ...]]:
    """The ways of counting in which all epochs have the same number of steps."""
    return {shift: epochs for shift, epochs in ways.items() if _steps_an_epoch(readings, epochs)}


def _steps_an_epoch(readings: Iterable[Reading], epochs: Iterable[int | None]) -> int | None:
    """How many steps each epoch has, if two or more checkpoints say so and all agree; else None."""
    pairs = {
        (epoch, reading.steps)
        for reading, epoch in zip(readings, epochs, strict=True)
        if epoch and reading.steps and not reading.said.unreadable
    }
    rates = {divmod(steps, epoch) for epoch, steps in pairs}
    if len(pairs) < 2 or len(rates) > 1:
        return None
    rate, rest = rates.pop()
    return None if rest else rate


def _with_steps_alone(readings: list[Reading]) -> list[Reading]:
    """Adds epochs to checkpoints that say only steps, by the steps of the others' epochs."""
    rate = _steps_an_epoch(readings, [reading.epoch for reading in readings])
    if rate is None:
        return readings
    return [
        replace(reading, epoch=reading.steps // rate)
        if reading.epoch is None and reading.steps is not None and reading.steps % rate == 0
        else reading
        for reading in readings
    ]


def _twice(readings: Sequence[Reading]) -> str | None:
    """What is unsure if two names say the same epoch; else None."""
    counts = Counter(reading.epoch for reading in readings if reading.epoch is not None and reading.named.epoch is not None)
    twice = [epoch for epoch, count in counts.items() if count > 1]
    if not twice:
        return None
    return f"Several are from epoch {', '.join(map(str, sorted(twice)))}: keep one of each, or select some with pattern="


def _none(readings: Sequence[Reading]) -> str | None:
    """What is unsure if no epoch is known; else None."""
    if any(reading.epoch is not None for reading in readings):
        return None
    if len(readings) == 1 and not readings[0].said.within:
        return "Say which epoch it is from with first_epoch="
    if all(reading.steps is not None for reading in readings):
        return "They say only steps: turn these into epochs with steps_per_epoch="
    return (
        "No epoch is certain: name the files epoch_1, epoch_2, …, or say where the epoch stands in a name "
        r"(pattern='model_(\d+)'); if the numbers are steps, say how many make an epoch (steps_per_epoch=)"
    )
