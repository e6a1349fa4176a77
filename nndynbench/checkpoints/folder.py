"""Which files of a folder are checkpoints of its network: no hidden companions, no optimisers, and no second names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from nndynbench.checkpoints.content import SAFETENSORS, CheckpointError
from nndynbench.names import first_of
from nndynbench.storage.files import user_path

TORCH_FILES = (".pt", ".pth", ".ckpt", ".th", ".t7", ".pth.tar", ".pt.tar", ".ckpt.tar", ".chkpt", ".ckp")

# Endings that files of many kinds have. Such a file is torch's if it begins as a torch file does.
OTHER_ENDINGS = (".bin", ".pkl", ".pickle", ".model", ".tar")

# How torch files begin, whatever their names end in: as a zip, or with the old format's magic number, pickled.
TORCH_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
ZIP_MAGIC = b"PK\x03\x04"
ZIP_RECORD = b"data.pkl"

# Names of what training code saves beside a network.
BESIDE = re.compile(
    r"(?i)(?:.*[_.-])?(?:optim|optimizer|optimiser|optimizer_states?|optim_states?|scheduler|sched|lr_scheduler|scaler|"
    r"grad_scaler|rng|rng_states?|random_states?|training_args|trainer_state|args|sampler|dataloader|tokenizer)(?:[_.-]?\d+)*"
)

# A folder that is one checkpoint: checkpoint-500, epoch_3, global_step100, 0003.
CHECKPOINT_FOLDER = re.compile(
    r"(?i)\d+|(?:.*[_.=-])?(?:checkpoint|ckpt|chkpt|epochs?|ep|e|(?:global_?)?steps?|iter|snapshot|ba)[_=.-]?\d+.*"
)

# One of several files of a checkpoint: model-00001-of-00003.
SHARD = re.compile(r".*-\d{5}-of-(\d{5})")

# Two names for the same weights. A Hugging Face folder may hold files of both names.
SAME = {"pytorch_model": "model"}


def checkpoint_paths(folder: Path | str) -> dict[str, Path]:
    """A folder's checkpoints, by their paths below it without the endings of their types; with these, if two paths would be
    equal.

    Checkpoints are safetensors or torch files, recognised by their ending, in upper or lower case, or by how they begin. In
    a folder of folders (``checkpoint-500/model.safetensors``), they are those in folders named as checkpoints.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or no checkpoint in it, saying what is there.
    CheckpointError
        For a checkpoint in several files.
    """
    root = user_path(folder)
    if not root.is_dir():
        what = "a file; give the folder that contains it" if root.is_file() else "missing"
        raise FileNotFoundError(f"{folder} is not a folder of checkpoints: it is {what}")
    paths = list(_networks(root))
    for inner in sorted(root.iterdir()):
        if inner.is_dir() and not inner.is_symlink() and CHECKPOINT_FOLDER.fullmatch(inner.name):
            paths += _networks(inner)
    if not paths:
        raise FileNotFoundError(_nothing(root))
    stems = {path: path.relative_to(root).as_posix().removesuffix(ending(path)) for path in paths}
    for path, stem in stems.items():
        if (shard := SHARD.fullmatch(stem)) and int(shard[1]) > 1:
            raise CheckpointError(
                f"{path} is one of {int(shard[1])} files of a checkpoint: save each checkpoint in one file"
            )
    twice = Counter(stems.values())
    return {stem if twice[stem] == 1 else path.relative_to(root).as_posix(): path for path, stem in stems.items()}


def ending(path: Path) -> str:
    """The end of a checkpoint's name that says its type, such as ``.pth.tar``; empty if it says none."""
    lower = path.name.lower()
    known = [suffix for suffix in (*SAFETENSORS, *TORCH_FILES, *OTHER_ENDINGS) if lower.endswith(suffix)]
    return path.name[len(path.name) - len(max(known, key=len)) :] if known else ""


def _networks(folder: Path) -> Iterator[Path]:
    """The checkpoints in one folder, each once: no links to others, and no second copies in another format."""
    found = [path for path in sorted(folder.iterdir()) if _is_checkpoint(path)]
    targets = {path.resolve() for path in found if not path.is_symlink()}
    names = {path.name.removesuffix(ending(path)) for path in found}
    for path in found:
        if path.is_symlink():
            if path.resolve() in targets:
                continue
            targets.add(path.resolve())
        if SAME.get(path.name.removesuffix(ending(path))) not in names:
            yield path


def _is_checkpoint(path: Path) -> bool:
    if path.name.startswith(".") or not path.is_file():
        return False
    stem = path.name.removesuffix(ending(path))
    if BESIDE.fullmatch(stem):
        return False
    return path.name.lower().endswith((*SAFETENSORS, *TORCH_FILES)) or _is_torch_file(path)


def _is_torch_file(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            start = file.read(256)
    except OSError:
        return False
    return start.startswith(TORCH_MAGIC) or (start.startswith(ZIP_MAGIC) and ZIP_RECORD in start)


def _nothing(root: Path) -> str:
    """The message for a folder without checkpoints: what it holds instead, and where some are."""
    inner = [path for path in sorted(root.iterdir()) if path.is_dir() and not path.name.startswith(".")]
    deeper = [path.name for path in inner if any(True for _ in _networks(path))]
    names = sorted(path.name + "/" * path.is_dir() for path in root.iterdir())
    elsewhere = f"There are checkpoints in {', '.join(deeper)}: give one of these folders" if deeper else None
    there = elsewhere or f"It holds {first_of(names, 10) or 'nothing'}"
    endings = ", ".join((*SAFETENSORS, *TORCH_FILES))
    return f"{root} holds no checkpoint: no file ends in {endings} or begins like a torch file. {there}"
