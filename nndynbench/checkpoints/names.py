"""The numbers in the names of checkpoints: epochs, steps, and those that are neither (dates, hashes, seeds, accuracies)."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

# A word for an epoch and its number, before or behind it: epoch=3, ep_03, e10, 3rd_epoch. 1.5 is no epoch.
END = r"(?![0-9]|\.[0-9])"
# A single dash is no minus; eps is no epoch, but the size of a disturbance.
BETWEEN = r"(?:[ _=.]*| ?- ?)"
EPOCH = re.compile(rf"(?i)(?:epochs?|(?<![a-z])ep|(?<![a-z0-9])e(?=[_=.-]?\d+(?![a-z0-9]))){BETWEEN}(\d+){END}")
EPOCH_BEHIND = re.compile(r"(?i)(?<![a-z0-9.])(\d+)(?:st|nd|rd|th)?[ _-]?(?:epochs?|ep)(?![a-z])")

STEP_WORDS = "global[_-]?steps?|steps?|iterations?|iters?|it|updates?|batches|ba|gs"
STEPS = re.compile(rf"(?i)(?<![a-z])(?:{STEP_WORDS})[ _=.-]*(\d+)(?![a-z]){END}")
STEPS_BEHIND = re.compile(r"(?i)(?<![a-z0-9.])(\d+)[ _-]?(?:steps?|iterations?|iters?|batches)(?![a-z])")

# A Hugging Face Trainer names a folder after the step, and gives the files in it always the same names.
TRAINER_FOLDER = re.compile(r"checkpoint-(\d+)/(?:model|pytorch_model|adapter_model)")

# Parts of a name in which no number counts epochs or steps.
MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
CLOCK = r"\d\d[-_.:h]?\d\d(?:[-_.:m]?\d\d)?"
NO_COUNTS = (
    re.compile(r"(?i)(?<![0-9a-f])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![0-9a-f])"),
    re.compile(rf"(?<!\d)(?:19|20)\d\d[-_.]?(?:0[1-9]|1[0-2])[-_.]?(?:0[1-9]|[12]\d|3[01])(?:[-_T .]?{CLOCK})?(?!\d)"),
    re.compile(rf"(?<!\d)(?:0?[1-9]|[12]\d|3[01])[-_.](?:0?[1-9]|1[0-2])[-_.](?:19|20)\d\d(?:[-_T .]?{CLOCK})?(?!\d)"),
    re.compile(rf"(?i)(?<![a-z])(?:{MONTHS})[a-z]*[-_ ]?\d\d?(?:[-_ ,]+(?:19|20)\d\d)?(?:[-_T .]?{CLOCK})?(?!\d)"),
    re.compile(r"(?<!\d)[01]\d[-:]\d\d[-:]\d\d(?!\d)|(?<!\d)2[0-3][-:]\d\d[-:]\d\d(?!\d)"),
    re.compile(r"(?i)(?<![0-9])\d+(?:\.\d+)?e[-+]\d+(?!\d)"),
    re.compile(r"\d+\.\d+(?:e-?\d+)?"),
)

# Words that come before numbers that are no epochs.
OTHER_COUNTS = frozenset(
    (
        *("acc", "accuracy", "loss", "val", "valid", "train", "test", "top", "prec", "map", "auc", "score", "err", "error"),
        *("seed", "run", "fold", "trial", "version", "v", "rank", "gpu", "worker", "job", "exp", "experiment", "id", "part"),
        *("shard", "lr", "bs", "wd", "size", "width", "depth", "dim", "momentum", "dropout", "cifar", "mnist", "imagenet"),
        *("of", "rng", "mp", "pid", "node", "replica", "client", "device", "cuda", "host", "proc", "process", "thread"),
        *("task", "split", "member", "ensemble", "stage", "phase", "cycle", "layer", "block", "head", "batch"),
        *("attempt", "try", "copy", "candidate", "particle", "group", "level", "chunk", "rung", "population"),
        *("eps", "epsilon", "alpha", "beta", "gamma", "lambda", "sigma", "tau", "temp", "temperature"),
        *("lenet", "alexnet", "vgg", "resnet", "resnext", "densenet", "wrn", "mobilenet", "efficientnet", "vit", "convnext"),
    )
)

WORD = re.compile(r"([A-Za-z]*)(\d+)(?:st|nd|rd|th)?")

# From this on a bare number is no epoch, but an id, or a time in seconds.
TOO_MANY = 100_000

# Bare numbers whose greatest common divisor is this or more may be steps as well as epochs.
ROUND = 50


@dataclass(frozen=True)
class Named:
    """What a file's name says: ``epoch`` and ``steps`` after their words, or the epoch as a number that tells all files
    apart.

    ``bare``: no word says that it is the epoch, so what the file itself says counts more. ``possible`` are numbers that
    could be the epoch, if nothing says which of them is, or whether any is.
    """

    epoch: int | None = None
    steps: int | None = None
    bare: bool = False
    possible: tuple[int, ...] = ()


def named_numbers(labels: Sequence[str]) -> list[Named]:
    """The numbers in each file's name. ``labels`` are paths below the folder, without the endings of the files' types."""
    named = [Named(_behind_word(label, EPOCH, EPOCH_BEHIND), _steps(label)) for label in labels]
    unworded = [position for position, found in enumerate(named) if found.epoch is None and found.steps is None]
    bare = _bare_numbers([labels[position] for position in unworded])
    return [bare[unworded.index(position)] if position in unworded else found for position, found in enumerate(named)]


def matched_numbers(paths: Sequence[str], pattern: str) -> list[Named | None]:
    """For each file the number in the pattern's first group, or in its group ``epoch`` or ``step``; None if it does not
    match.

    Raises
    ------
    ValueError
        For a pattern that is no regular expression, has no group, or whose group holds no whole number.
    """
    try:
        compiled = re.compile(pattern)
    except (re.error, TypeError) as reason:
        raise ValueError(f"pattern {pattern!r} is not a regular expression: {reason}") from reason
    if not compiled.groups:
        raise ValueError(rf"pattern {pattern!r} has no group for the number: put brackets around it, as in 'epoch=(\d+)'")
    return [_matched(compiled.search(path), path) for path in paths]


def _matched(found: re.Match[str] | None, path: str) -> Named | None:
    if found is None:
        return None
    by_name = found.groupdict()
    texts = {key: by_name[key] for key in ("epoch", "step") if by_name.get(key)} or {"epoch": found[1]}
    if not all(text and text.isdecimal() for text in texts.values()):
        raise ValueError(f"pattern {found.re.pattern!r} finds {found[1]!r} in {path}, which is not a whole number")
    numbers = {key: int(text) for key, text in texts.items()}
    return Named(numbers.get("epoch"), numbers.get("step"))


def _behind_word(label: str, *patterns: re.Pattern[str]) -> int | None:
    for pattern in patterns:
        if found := pattern.findall(label):
            return int(found[-1])
    return None


def _steps(label: str) -> int | None:
    trainers = TRAINER_FOLDER.search(label)
    return int(trainers[1]) if trainers else _behind_word(label, STEPS, STEPS_BEHIND)


def _bare_numbers(labels: Sequence[str]) -> list[Named]:
    """For each name its number at the one place where all names have different numbers."""
    counts = [_counts(label) for label in labels]
    numbered = [found for found in counts if found]
    if len({tuple(word for word, _ in found) for found in numbered}) > 1:
        return [Named(possible=tuple(number for _, number in found)) for found in counts]
    columns = list(zip(*(tuple(number for _, number in found) for found in numbered), strict=True))
    telling = list(dict.fromkeys(column for column in columns if len({*column}) == len(numbered)))
    if len(numbered) < 2 or len(telling) != 1 or math.gcd(*telling[0]) >= ROUND:
        possible = iter(zip(*telling, strict=True) if telling else ())
        return [Named(possible=next(possible, ())) if found else Named() for found in counts]
    numbers = iter(telling[0])
    return [Named(next(numbers), bare=True) if found else Named() for found in counts]


def _counts(label: str) -> list[tuple[str, int]]:
    """The whole numbers of a name that may count epochs, each with the word before it."""
    for pattern in NO_COUNTS:
        label = pattern.sub("-", label)
    counts, word = [], ""
    for token in re.split(r"[^A-Za-z0-9]+", label):
        found = WORD.fullmatch(token)
        if found:
            word = found[1] or word
            if word.lower() not in OTHER_COUNTS and int(found[2]) < TOO_MANY:
                counts.append((word.lower(), int(found[2])))
        word = token if token.isalpha() else ""
    return counts
