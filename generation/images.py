"""The images that networks are trained on, in an order and with a cut that depend on their content alone."""

from __future__ import annotations

import hashlib
import json
import os
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

import numpy as np
import numpy.typing as npt

from nndynbench.errors import NndynbenchError
from nndynbench.names import check_name
from nndynbench.progress import tracked
from nndynbench.storage.files import user_path, write_whole, written_whole

Pixels = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]

# Images of each class in each half, for image data without a test set of its own.
DIGITS_HALF_PER_CLASS = 25
IMAGENET_SAMPLE_CLASSES = 100

# Training images, and test images in each half.
SIZES = {"digits": (1297, 250), "cifar10": (50_000, 5_000), "imagenet": (50_000, 2_500)}

# Folders below NNDYNBENCH_IMAGES.
LOCAL_FOLDERS = {"cifar10": "cifar10", "imagenet": "tiny-imagenet"}

FACTS_FILE = "images.json"


class OtherImagesError(NndynbenchError, ValueError):
    """Images that are not those that a folder was begun with."""


@dataclass(frozen=True)
class Images:
    """Decoded images: pixels (n, channels, height, width) from 0 to ``brightest``, labels (n,), in canonical order.

    ``validation`` and ``test`` are the two halves of the test images, equally many of each class. ``digest`` is the
    SHA-256 over all of them: the same data from another source has the same digest.
    """

    name: str
    brightest: int
    train: tuple[Pixels, Labels]
    validation: tuple[Pixels, Labels]
    test: tuple[Pixels, Labels]
    digest: str


def load_images(name: str, *, source: str | Path | None = None, cache: Path | None = None) -> Images:
    """Load "digits", "cifar10" or "imagenet" (the benchmark's ImageNet sample).

    ``source`` is a folder or hub id for `datasets.load_dataset`. By default images come from ``cache``, else from the folder
    that NNDYNBENCH_IMAGES names or, only if it names none, from the hub. Decoded arrays are kept in ``cache`` and
    memory-mapped from there, so many processes share one copy; they are checked against their digest whenever they are
    opened.

    Raises
    ------
    UnknownNameError
        For another name.
    OtherImagesError
        If ``cache`` holds other images than ``source``, or is damaged.
    ValueError
        If a class has an odd number of test images, which cannot be cut in halves.
    """
    check_name(name, SOURCES, what="images")
    source = os.path.expanduser(source) if source is not None else None
    folder = user_path(cache) / name if cache is not None else None
    cached = folder if folder is not None and (folder / FACTS_FILE).exists() else None
    if cached and (source is None or _fingerprint(source) == _facts(cached)["sources"].get(str(source))):
        return _read(cached)
    images = SOURCES[name](source if source is not None else local_copy(name))
    if folder is None:
        return images
    if not cached:
        _write(folder, images, source)
        return _read(folder)
    facts = _facts(cached)
    if facts["digest"] != images.digest:
        raise OtherImagesError(
            f"{folder} was made from images with the digest {facts['digest']}, but {source} has {images.digest}: choose "
            "another --out, or the same images"
        )
    # The arrays stay: other processes, on other machines too, have them mapped.
    facts["sources"] |= {str(source): _fingerprint(str(source))}
    write_whole(folder / FACTS_FILE, json.dumps(facts))
    return _read(folder)


def local_copy(name: str) -> Path | None:
    """Where these images must be, according to NNDYNBENCH_IMAGES; None if it is not set, or says nothing about them. A wrong
    folder is an error later, not a reason to download gigabytes.
    """
    home = os.environ.get("NNDYNBENCH_IMAGES")
    return user_path(home) / LOCAL_FOLDERS[name] if home and name in LOCAL_FOLDERS else None


def canonical_order(pixels: Pixels, labels: Labels) -> npt.NDArray[np.int64]:
    """The order by SHA-256 of each image's pixels (height, width, channels), then by label."""
    keys = [
        (hashlib.sha256(np.ascontiguousarray(image.transpose(1, 2, 0)).data).digest(), int(label))
        for image, label in zip(pixels, labels, strict=True)
    ]
    return np.array(sorted(range(len(keys)), key=keys.__getitem__), dtype=np.int64)


def halves(labels: Labels) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Positions of the validation and of the test half: of every class, the first and the second half of its images."""
    first, second = [], []
    for label in np.unique(labels):
        positions = np.flatnonzero(labels == label)
        if len(positions) % 2:
            raise ValueError(f"class {label} has an odd number of test images ({len(positions)}), which cannot be halved")
        first.append(positions[: len(positions) // 2])
        second.append(positions[len(positions) // 2 :])
    return np.sort(np.concatenate(first)), np.sort(np.concatenate(second))


def _digits(source: str | Path | None) -> Images:
    """scikit-learn's 1,797 handwritten digits, 8×8, grey from 0 to 16; its test images are the first of each class."""
    from sklearn.datasets import load_digits

    if source is not None:
        raise ValueError("the digits come with scikit-learn: leave --images out")
    data = load_digits()
    pixels, labels = data.images.astype(np.uint8)[:, None], data.target.astype(np.int64)
    order = canonical_order(pixels, labels)
    pixels, labels = pixels[order], labels[order]
    chosen = [np.flatnonzero(labels == label)[: 2 * DIGITS_HALF_PER_CLASS] for label in range(10)]
    is_test = np.isin(np.arange(len(labels)), np.concatenate(chosen))
    return _cut("digits", (pixels[~is_test], labels[~is_test]), (pixels[is_test], labels[is_test]), brightest=16)


def _cifar10(source: str | Path | None) -> Images:
    data = _load_dataset(source or "uoft-cs/cifar10")
    column = _image_column(data, "train", "test")
    parts = [_decoded(data[split], column, "label") for split in ("train", "test")]
    return _cut("cifar10", *(_in_canonical_order(*part) for part in parts))


def _imagenet_sample(source: str | Path | None) -> Images:
    """100 classes of Tiny ImageNet, drawn by seed 0 and renumbered, at 32×32 by the mean of 2×2 pixels."""
    data = _load_dataset(source or "zh-plus/tiny-imagenet")
    classes = np.sort(np.random.default_rng(0).choice(200, IMAGENET_SAMPLE_CLASSES, replace=False))
    splits = ("train", "valid" if "valid" in data else "validation")
    column, parts = _image_column(data, *splits), []
    for split in splits:
        kept = np.flatnonzero(np.isin(data[split]["label"], classes))
        pixels, labels = _decoded(data[split].select(kept), column, "label")
        pixels, labels = _in_canonical_order(pixels, np.searchsorted(classes, labels))
        blocks = pixels.reshape(*pixels.shape[:2], 32, 2, 32, 2).astype(np.uint16)
        parts.append((((blocks.sum(axis=(3, 5)) + 2) // 4).astype(np.uint8), labels))
    return _cut("imagenet", *parts)


WHERE_IMAGES_MAY_BE = (
    "give their folder with --images, or set NNDYNBENCH_IMAGES to one that holds cifar10/ and tiny-imagenet/"
)

SOURCES: dict[str, Callable[[str | Path | None], Images]] = {
    "digits": _digits,
    "cifar10": _cifar10,
    "imagenet": _imagenet_sample,
}


class NoImagesError(NndynbenchError, OSError):
    """Images that are not on this machine, and cannot be downloaded."""


def _load_dataset(source: str | Path) -> Any:
    from datasets import load_dataset

    if isinstance(source, Path) and not source.exists():
        raise NoImagesError(f"no images found at {source}, below NNDYNBENCH_IMAGES: {WHERE_IMAGES_MAY_BE}")
    try:
        with _without_retries():
            return load_dataset(str(source))
    except (OSError, RuntimeError) as reason:  # the hub's library has errors of many kinds
        said = str(reason).splitlines()[0] if str(reason) else type(reason).__name__
        raise NoImagesError(f"no images found at {source}: {said}; {WHERE_IMAGES_MAY_BE}") from reason


@contextmanager
def _without_retries() -> Iterator[None]:
    """Keep the hub's library from asking again and again if the hub's name cannot be resolved, and no proxy would do so."""
    import datasets
    from huggingface_hub import constants

    host = urlsplit(constants.ENDPOINT).hostname or ""
    if constants.HF_HUB_OFFLINE or getproxies() or _is_known(host):
        yield
        return
    before = constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = datasets.config.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE = before


def _is_known(host: str) -> bool:
    try:
        return bool(socket.getaddrinfo(host, None))
    except OSError:
        return False


def _image_column(data: Any, *splits: str) -> str:
    """The column of the images; raises `NoImagesError` for data that are laid out otherwise."""
    for column in ("img", "image"):
        if all(split in data and {column, "label"} <= set(data[split].column_names) for split in splits):
            return column
    found = "; ".join(f"{split}: {', '.join(data[split].column_names)}" for split in data)
    raise NoImagesError(
        f"images must have the splits {' and '.join(splits)} with the columns image (or img) and label, as "
        f"datasets.load_dataset reads them; these have {found}"
    )


def _decoded(split: Any, image_column: str, label_column: str) -> tuple[Pixels, Labels]:
    images = (np.asarray(row[image_column].convert("RGB")).transpose(2, 0, 1) for row in tracked(split, "decoding images"))
    return np.stack(list(images)), np.asarray(split[label_column], dtype=np.int64)


def _in_canonical_order(pixels: Pixels, labels: Labels) -> tuple[Pixels, Labels]:
    order = canonical_order(pixels, labels)
    return pixels[order], labels[order]


def _cut(name: str, train: tuple[Pixels, Labels], test: tuple[Pixels, Labels], *, brightest: int = 255) -> Images:
    validation, held_out = halves(test[1])
    parts = (train, (test[0][validation], test[1][validation]), (test[0][held_out], test[1][held_out]))
    return Images(name, brightest, *parts, _digest(parts))


def _digest(parts: Iterable[tuple[Pixels, Labels]]) -> str:
    digest = hashlib.sha256()
    for pixels, labels in parts:
        digest.update(np.ascontiguousarray(pixels).data)
        digest.update(np.ascontiguousarray(labels).data)
    return digest.hexdigest()


def _fingerprint(source: str | Path) -> dict[str, list[int]]:
    """Sizes and modification times of a folder's files: decoding 60,000 images takes 20 seconds. A hub id has none."""
    files = sorted(path for path in Path(source).rglob("*") if path.is_file())
    return {str(path.relative_to(source)): [path.stat().st_size, path.stat().st_mtime_ns] for path in files}


def _facts(folder: Path) -> dict[str, Any]:
    try:
        facts: dict[str, Any] = {"sources": {}} | json.loads((folder / FACTS_FILE).read_text(encoding="utf-8"))
        return facts | {"digest": facts["digest"]}
    except (ValueError, TypeError, KeyError) as damage:
        raise _damaged(folder / FACTS_FILE, damage) from damage


def _write(folder: Path, images: Images, source: str | Path | None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for part, (pixels, labels) in _parts(images):
        for kind, array in (("pixels", pixels), ("labels", labels)):
            with written_whole(folder / f"{part}-{kind}.npy") as partial, partial.open("wb") as file:
                np.save(file, array)
    facts = {"name": images.name, "brightest": images.brightest, "digest": images.digest}
    facts["sources"] = {str(source): _fingerprint(source)} if source is not None else {}
    write_whole(folder / FACTS_FILE, json.dumps(facts))


def _read(folder: Path) -> Images:
    facts = _facts(folder)
    train, validation, test = (
        (_array(folder / f"{part}-pixels.npy"), _array(folder / f"{part}-labels.npy"))
        for part in ("train", "validation", "test")
    )
    if _digest([train, validation, test]) != facts["digest"]:
        raise OtherImagesError(f"the decoded images in {folder} are damaged: remove that folder to have them decoded again")
    return Images(facts["name"], facts["brightest"], train, validation, test, facts["digest"])


def _array(path: Path) -> npt.NDArray[Any]:
    try:
        array: npt.NDArray[Any] = np.load(path, mmap_mode="c")
    except (ValueError, EOFError, OSError) as damage:
        raise _damaged(path, damage) from damage
    return array


def _damaged(path: Path, damage: Exception) -> OtherImagesError:
    return OtherImagesError(f"{path} is damaged ({damage}): remove its folder to have the images decoded again")


def _parts(images: Images) -> Iterator[tuple[str, tuple[Pixels, Labels]]]:
    yield "train", images.train
    yield "validation", images.validation
    yield "test", images.test
