"""Images: an order and a cut that depend on their content alone, and a cache that cannot go wrong unnoticed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from generation import images as sources
from generation.images import Images, NoImagesError, OtherImagesError, canonical_order, halves, load_images
from generation.training.batches import CROP_PADDING, normalised, shifted_and_flipped


def test_the_order_depends_on_content_alone(digit_images: Images) -> None:
    pixels, labels = digit_images.train
    shuffled = np.random.default_rng(0).permutation(len(labels))
    order = canonical_order(pixels[shuffled], labels[shuffled])
    np.testing.assert_array_equal(pixels[shuffled][order], pixels)
    np.testing.assert_array_equal(labels[shuffled][order], labels)


def test_both_halves_have_equally_many_of_each_class_and_share_no_image(digit_images: Images) -> None:
    (first, first_labels), (second, second_labels) = digit_images.validation, digit_images.test
    np.testing.assert_array_equal(np.bincount(first_labels), np.bincount(second_labels))
    shown = {image.tobytes() for image in first}
    assert len(shown & {image.tobytes() for image in second}) == 0


def test_a_class_that_cannot_be_cut_in_halves_is_named() -> None:
    with pytest.raises(ValueError, match=r"class 7 has an odd number of test images \(3\)"):
        halves(np.array([1, 1, 7, 7, 7]))


def digits_of(source: str | Path | None) -> Images:
    """Digits whose first pixel tells which folder they came from."""
    digits = load_images("digits")
    if source is None:
        return digits
    pixels = digits.train[0].copy()
    pixels[0, 0, 0, 0] = len((Path(source) / "data").read_text())
    held_out = [np.concatenate(both) for both in zip(digits.validation, digits.test, strict=True)]
    return sources._cut("digits", (pixels, digits.train[1]), (held_out[0], held_out[1]), brightest=16)


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(sources.SOURCES, "digits", lambda source: digits_of(source) if source else plain(None))
    for name, text in (("one", "a"), ("same", "b"), ("other", "abc")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "data").write_text(text)
    return tmp_path


plain = sources.SOURCES["digits"]


def test_a_folder_with_other_images_is_refused_and_the_cache_kept(folders: Path) -> None:
    first = load_images("digits", source=folders / "one", cache=folders / "cache")
    with pytest.raises(OtherImagesError, match="choose another --out"):
        load_images("digits", source=folders / "other", cache=folders / "cache")
    assert load_images("digits", cache=folders / "cache").digest == first.digest
    assert load_images("digits", source=folders / "same", cache=folders / "cache").digest == first.digest


def test_an_unchanged_folder_is_not_decoded_again(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_images("digits", source=folders / "one", cache=folders / "cache")
    monkeypatch.setitem(sources.SOURCES, "digits", lambda source: pytest.fail("decoded again"))
    again = load_images("digits", source=folders / "one", cache=folders / "cache")
    np.testing.assert_array_equal(again.train[0], first.train[0])
    (folders / "one" / "data").write_text("abc")
    with pytest.raises(pytest.fail.Exception, match="decoded again"):
        load_images("digits", source=folders / "one", cache=folders / "cache")


def test_files_of_one_name_are_told_apart_by_their_folders(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for part in ("test", "train"):
        (folders / "one" / part).mkdir()
        (folders / "one" / part / "0000.parquet").write_text("a")
    load_images("digits", source=folders / "one", cache=folders / "cache")
    (folders / "one" / "test" / "0000.parquet").write_text("abc")
    monkeypatch.setitem(sources.SOURCES, "digits", lambda source: pytest.fail("decoded again"))
    with pytest.raises(pytest.fail.Exception, match="decoded again"):
        load_images("digits", source=folders / "one", cache=folders / "cache")


def test_a_damaged_cache_is_found_when_opened(tmp_path: Path) -> None:
    load_images("digits", cache=tmp_path)
    path = tmp_path / "digits" / "train-pixels.npy"
    content = bytearray(path.read_bytes())
    content[5000] ^= 1
    path.write_bytes(content)
    with pytest.raises(OtherImagesError, match="remove that folder"):
        load_images("digits", cache=tmp_path)


def test_a_cache_without_its_sources_is_read(tmp_path: Path) -> None:
    first = load_images("digits", cache=tmp_path)
    facts = tmp_path / "digits" / "images.json"
    facts.write_text(json.dumps({k: v for k, v in json.loads(facts.read_text()).items() if k != "sources"}))
    assert load_images("digits", cache=tmp_path).digest == first.digest


@given(st.integers(0, 2 * CROP_PADDING), st.integers(0, 2 * CROP_PADDING), st.booleans(), st.integers(0, 2**32 - 1))
def test_a_crop_is_the_image_moved_with_zeros_around_it(row: int, column: int, flip: bool, seed: int) -> None:
    image = np.random.default_rng(seed).integers(1, 256, (3, 9, 9), dtype=np.uint8)
    offsets = torch.tensor([row]), torch.tensor([column])
    moved = shifted_and_flipped(torch.from_numpy(image)[None], *offsets, torch.tensor([flip]))
    expected = np.zeros((3, 9 + 2 * CROP_PADDING, 9 + 2 * CROP_PADDING), np.uint8)
    expected[:, CROP_PADDING:-CROP_PADDING, CROP_PADDING:-CROP_PADDING] = image
    expected = expected[:, row : row + 9, column : column + 9]
    np.testing.assert_array_equal(moved[0].numpy(), expected[..., ::-1] if flip else expected)


def test_pixels_are_normalised_by_mean_and_deviation_of_a_half() -> None:
    pixels = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    expected = (pixels.double() / 255 - 0.5) / 0.5
    torch.testing.assert_close(normalised(pixels, 255).double(), expected, atol=1e-6, rtol=0)


@pytest.mark.images
def test_cifar10_is_cut_into_50_000_and_twice_5_000(images_folder: Path, tmp_path: Path) -> None:
    images = load_images("cifar10", source=images_folder / "cifar10", cache=tmp_path)
    assert images.train[0].shape == (50_000, 3, 32, 32)
    for part in (images.validation, images.test):
        assert np.bincount(part[1]).tolist() == [500] * 10


def test_a_second_source_of_the_same_images_is_remembered_and_rewrites_nothing(
    folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrays = []
    for name in ("one", "one-again"):
        (folders / "one-again").mkdir(exist_ok=True)
        (folders / "one-again" / "data").write_text("a")
        load_images("digits", source=folders / name, cache=folders / "cache")
        arrays.append({path: path.stat().st_ino for path in (folders / "cache").rglob("*.npy")})
    assert arrays[0] == arrays[1]
    monkeypatch.setitem(sources.SOURCES, "digits", lambda source: pytest.fail("decoded again"))
    for name in ("one", "one-again"):
        load_images("digits", source=folders / name, cache=folders / "cache")


def test_images_laid_out_otherwise_are_told_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    split = datasets.Dataset.from_dict({"picture": [0], "label": [0]})
    monkeypatch.setattr(sources, "_load_dataset", lambda source: {"train": split, "test": split})
    with pytest.raises(NoImagesError, match=r"columns image \(or img\) and label.*these have train: picture, label"):
        load_images("cifar10")


def test_a_folder_that_lacks_the_images_is_an_error_not_a_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("datasets")
    (tmp_path / "cifar10").mkdir()
    monkeypatch.setenv("NNDYNBENCH_IMAGES", str(tmp_path))
    with pytest.raises(NoImagesError, match=f"no images found at {tmp_path / 'tiny-imagenet'}, below NNDYNBENCH_IMAGES"):
        load_images("imagenet")
