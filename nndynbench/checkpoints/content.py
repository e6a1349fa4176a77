"""What a checkpoint file holds: its tensors, and what it says about its own age. Nothing is ever unpickled."""

from __future__ import annotations

import argparse
import json
import math
import numbers
import pathlib
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from operator import itemgetter
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nndynbench.errors import NndynbenchError
from nndynbench.storage.files import user_path

SAFETENSORS = (".safetensors",)

# The types that weights may have in a safetensors file.
FLOATS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}

# Torch files from before its zip format begin as a pickle does.
LEGACY_START = b"\x80"

# The keys under which training code writes how many epochs and steps a checkpoint has behind it.
EPOCH_KEYS = ("epoch", "epochs", "current_epoch")
STEP_KEYS = ("global_step", "global_steps", "step", "steps", "iteration", "iterations", "iter", "num_updates")

# A Hugging Face Trainer's own record, beside the weights in each of its folders.
TRAINER_STATE = "trainer_state.json"


class CheckpointError(NndynbenchError, ValueError):
    """A checkpoint that cannot be read, is of another architecture, or is of an unknown epoch; the message names the
    file.
    """


class StoredTensor(NamedTuple):
    """A tensor of a type that no weights have: only its shape and type are known."""

    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class Said:
    """What a checkpoint says about its own age.

    ``epoch`` is the number that it calls its epoch, which some count from 0 and some from 1. ``completed`` is how many
    epochs it has behind it, if its writer is known to say so. ``steps`` is how many steps it has behind it. ``within`` says
    that it was written in the middle of an epoch. ``unreadable`` is why nothing could be read.
    """

    epoch: int | None = None
    completed: int | None = None
    steps: int | None = None
    within: bool = False
    unreadable: str | None = None


def read_content(path: str | PathLike[str]) -> dict[str, Any]:
    """A checkpoint's content: the tensors of a safetensors file by name, in alphabetical order, or the dict that a torch
    file holds.

    Torch files are read with ``weights_only=True``. Of foreign objects only numpy's numbers and arrays, paths and plain
    containers are allowed, which hold data and run nothing. Tensors of a torch file share its memory until they are copied.

    Raises
    ------
    CheckpointError
        Naming the file, and what in it cannot be read.
    """
    file = user_path(path)
    return _safetensors(file) if file.suffix.lower() in SAFETENSORS else _torch_file(file)


def said_by(path: Path) -> Said:
    """What a checkpoint says about its own age; no tensor's values are read."""
    try:
        said = _said(_metadata(path) if path.suffix.lower() in SAFETENSORS else _torch_file(path))
    except (CheckpointError, OSError) as reason:
        said = Said(unreadable=str(reason))
    return _said_by_trainer(path.parent / TRAINER_STATE) or said


def _safetensors(path: Path) -> dict[str, Any]:
    from safetensors import SafetensorError, deserialize

    try:
        stored = deserialize(path.read_bytes())  # type: ignore[no-untyped-call]
    except SafetensorError as reason:
        raise CheckpointError(f"{path} is not a safetensors file: {reason}") from reason
    return {key: _tensor(part) for key, part in sorted(stored, key=itemgetter(0))}  # deserialize gives them in no order


def _tensor(part: dict[str, Any]) -> npt.NDArray[np.floating[Any]] | StoredTensor:
    """A tensor of a safetensors file. numpy has no bfloat16, which is the upper half of a float32."""
    if part["dtype"] not in FLOATS:
        return StoredTensor(tuple(part["shape"]), part["dtype"])
    values = np.frombuffer(part["data"], FLOATS[part["dtype"]])
    if part["dtype"] == "BF16":
        values = (values.astype(np.uint32) << 16).view(np.float32)
    return values.reshape(part["shape"])


def _metadata(path: Path) -> dict[str, Any]:
    """The texts that a safetensors file carries besides its tensors; those that are numbers become numbers."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > path.stat().st_size:
            raise CheckpointError(f"{path} is not a safetensors file, or it is truncated")
        try:
            header = json.loads(file.read(length))
        except (ValueError, RecursionError) as reason:
            raise CheckpointError(f"{path} is not a safetensors file: its header is not JSON") from reason
    texts = (header.get("__metadata__") if isinstance(header, dict) else None) or {}
    if not isinstance(texts, dict):
        raise CheckpointError(
            f"{path} is not a safetensors file: its __metadata__ is a {type(texts).__name__}, not texts by name"
        )
    return {key: _number(text) for key, text in texts.items()}


def _number(text: Any) -> Any:
    try:
        return float(text)
    except (TypeError, ValueError, OverflowError):
        return text


def _torch_file(path: Path) -> dict[str, Any]:
    try:
        import torch
    except ImportError as missing:
        raise CheckpointError(f"{path} is a torch file: install torch, or save the state dict as safetensors") from missing
    is_zip = zipfile.is_zipfile(path)
    try:
        with torch.serialization.safe_globals(_harmless()):
            # With mmap, tensors that nobody asks for, such as an optimiser's, are never read.
            checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except Exception as reason:  # torch raises whatever its readers do
        raise CheckpointError(_why_not_read(path, reason, is_zip=is_zip)) from reason
    if not isinstance(checkpoint, Mapping):
        raise CheckpointError(f"{path} holds a {type(checkpoint).__name__}, not a state dict")
    return dict(checkpoint)


def _harmless() -> list[Callable[..., Any] | tuple[Callable[..., Any], str]]:
    """Types that many people's torch files hold besides tensors, and that neither run code nor reach beyond themselves."""
    from numpy._core import multiarray  # where numpy's own pickles come from

    kinds: list[Any] = [np.dtype, np.ndarray, dict, list, set, int, float, argparse.Namespace]
    kinds += {type(np.dtype(code)) for code in "?bBhHiIlLqQefdgFDGSU"}
    paths = [pathlib.PosixPath, pathlib.WindowsPath, pathlib.PurePosixPath, pathlib.PureWindowsPath, Path]
    names = [(kind, f"{module}.{kind.__name__}") for kind in paths for module in ("pathlib", "pathlib._local")]
    names += [
        (getattr(multiarray, name), f"numpy.{module}.multiarray.{name}")
        for name in ("scalar", "_reconstruct")
        for module in ("core", "_core")
    ]
    return [*kinds, *names, (_plain_dict, "collections.defaultdict")]


def _plain_dict(*_: object) -> dict[Any, Any]:
    """What a defaultdict is read as, since torch does not fill one."""
    return {}


def _why_not_read(path: Path, reason: Exception, *, is_zip: bool) -> str:
    """Why a file cannot be read, in one sentence of our own: torch's messages advise loading what is not safe, and are
    coloured.
    """
    with path.open("rb") as file:
        start = file.read(1)
    if not start:
        return f"{path} is not a torch file, or it is truncated: the file is empty"
    if not is_zip and start != LEGACY_START:
        return f"{path} is not a torch file, or it is truncated"
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(reason))
    if "TorchScript" in text:
        return f"{path} is a TorchScript archive, which is a program: save model.state_dict() with torch.save instead"
    foreign = sorted({*re.findall(r"GLOBAL ([\w.]+)", text), *_foreign(path, is_zip=is_zip)})
    if foreign:
        return (
            f"{path} holds objects that only unpickling could restore, and nothing is unpickled: {', '.join(foreign)}. "
            "Save a plain state dict, model.state_dict(), and plain numbers beside it"
        )
    first = next((line.strip() for line in text.splitlines() if line.strip()), type(reason).__name__)
    return f"{path} holds no plain state dict that torch can read with weights_only=True, or it is truncated: {first}"


def _foreign(path: Path, *, is_zip: bool) -> list[str]:
    import torch
    from torch.serialization import get_unsafe_globals_in_checkpoint

    try:
        with torch.serialization.safe_globals(_harmless()):
            return list(get_unsafe_globals_in_checkpoint(path)) if is_zip else []
    except Exception:  # a cut or hostile file: the first refusal stands
        return []


def _said(content: Mapping[str, Any]) -> Said:
    epoch, steps = _first(content, EPOCH_KEYS), _first(content, STEP_KEYS)
    if steps is None:
        steps = next(_steps_elsewhere(content), None)
    for writer in (_said_by_lightning, _said_by_timm, _said_by_mmengine, _said_by_composer):
        if said := writer(content, epoch, steps):
            return said
    return Said(epoch, steps=steps)


def _said_by_lightning(content: Mapping[str, Any], epoch: int | None, steps: int | None) -> Said | None:
    """From Lightning, which counts epochs from 0, and one more at the end of training; its loops say what has been done."""
    if "pytorch-lightning_version" not in content:
        return None
    loop = _at(content, "loops", "fit_loop")
    begun = _whole(_at(loop, "epoch_progress", "current", "ready"))
    at_end = _at(loop, "epoch_loop.batch_progress", "is_last_batch")
    if begun is not None and isinstance(at_end, bool):
        return Said(epoch, begun if at_end or not steps else None, steps, within=not at_end and bool(steps))
    if steps == 0:
        return Said(epoch, 0, steps)
    return Said(epoch, None if epoch is None else epoch + 1, steps)


def _said_by_timm(content: Mapping[str, Any], epoch: int | None, steps: int | None) -> Said | None:
    """From timm, which counts from 0 and writes after an epoch; before version 2 of its format it wrote one more."""
    version = _whole(content.get("version"))
    if version is None or epoch is None or not {"arch", "state_dict"} <= content.keys():
        return None
    return Said(epoch, epoch + (version > 1), steps)


def _said_by_mmengine(content: Mapping[str, Any], epoch: int | None, steps: int | None) -> Said | None:
    """From mmcv and mmengine, which write the number of epochs done."""
    about = content.get("meta")
    if not isinstance(about, Mapping) or not {"mmcv_version", "mmengine_version"} & about.keys():
        return None
    done, iterations = _whole(about.get("epoch")), _whole(about.get("iter"))
    return Said(done, done, iterations)


def _said_by_composer(content: Mapping[str, Any], epoch: int | None, steps: int | None) -> Said | None:
    """From Composer's time stamp: the epochs done, and the batches of the epoch that has begun."""
    time = _at(content, "state", "timestamp", "Timestamp") or _at(content, "state", "timestamp")
    done = _whole(_at(time, "epoch"))
    if done is None:
        return None
    within = bool(_whole(_at(time, "batch_in_epoch")))
    return Said(done, None if within else done, _whole(_at(time, "batch")), within=within)


def _said_by_trainer(record: Path) -> Said | None:
    """From a Hugging Face Trainer, which writes the epochs done, with a fraction in the middle of one."""
    if not record.is_file():
        return None
    try:
        state = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    done, steps = _at(state, "epoch"), _whole(_at(state, "global_step"))
    whole = _whole(done)
    if whole is None and not (isinstance(done, float) and math.isfinite(done)):
        return None
    return Said(whole, whole, steps, within=whole is None)


def _steps_elsewhere(content: Mapping[str, Any]) -> Iterator[int]:
    """Steps as counted on the side: by Adam's states, and by batch norm's number of batches."""
    for key, value in content.items():
        if "optim" in str(key).lower():
            parts = value if isinstance(value, list) else [value]
            counted = {
                _whole(state.get("step"))
                for part in parts
                if isinstance(_at(part, "state"), Mapping)
                for state in part["state"].values()
                if isinstance(state, Mapping)
            }
            yield from _only(counted)
    for mapping in (content, *(value for value in content.values() if isinstance(value, Mapping))):
        yield from _only({_whole(value) for key, value in mapping.items() if str(key).endswith("num_batches_tracked")})


def _only(counted: set[int | None]) -> Iterator[int]:
    if len(counted) == 1 and (count := counted.pop()) is not None:
        yield count


def _first(content: Mapping[str, Any], keys: tuple[str, ...]) -> int | None:
    found = (_whole(content.get(key)) for key in keys)
    return next((number for number in found if number is not None), None)


def _at(content: Any, *keys: str) -> Any:
    for key in keys:
        content = content.get(key) if isinstance(content, Mapping) else None
    return content


def _whole(value: Any) -> int | None:
    """A count, which is a whole number from 0 on, also as a float, a numpy number or a tensor of one value; else None."""
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item") and not getattr(value, "is_meta", False):
        value = value.item()
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except OverflowError:  # of more than 308 digits, which no count has
        return None
    return int(number) if number.is_integer() and number >= 0 else None
