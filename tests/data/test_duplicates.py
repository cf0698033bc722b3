"""Copies are found however they were made, and different pictures are not taken for copies."""

import io
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageEnhance, ImageFilter

from tl_keras.data.duplicates import connected, find_pairs
from tl_keras.data.fingerprints import THUMBNAIL, Fingerprint, fingerprint

Change = Callable[[Image.Image], Image.Image]

# of no matter to copies
ENDS = np.zeros((2, 3), np.uint8)


def picture(seed: int, side: int = 120) -> Image.Image:
    """Blotches of several sizes: no two seeds look alike."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (side, side))
    for cells in (4, 9, 20):
        noise = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), np.uint8))
        image = Image.blend(image, noise.resize((side, side), Image.Resampling.BICUBIC), 0.5)
    return image.filter(ImageFilter.SMOOTH)


def printed(image: Image.Image, kind: str = "PNG", **keys: int) -> Fingerprint:
    buffer = io.BytesIO()
    image.save(buffer, kind, **keys)
    return fingerprint(buffer.getvalue())


@pytest.fixture(scope="module")
def others() -> list[Fingerprint]:
    return [printed(picture(seed)) for seed in range(30)]


def encoded_anew(image: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=50)
    return Image.open(buffer)


CHANGES: dict[str, tuple[Change, str]] = {
    "encoded": (encoded_anew, ""),
    "halved": (lambda image: image.resize((60, 60)), ""),
    "brighter": (lambda image: ImageEnhance.Brightness(image).enhance(1.1), ""),
    "flatter": (lambda image: ImageEnhance.Contrast(image).enhance(0.85), ""),
    "mirrored": (lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), "mirrored"),
    "upside down": (lambda image: image.transpose(Image.Transpose.FLIP_TOP_BOTTOM), "mirrored"),
    "left": (lambda image: image.transpose(Image.Transpose.ROTATE_90), "turned by 90 degrees"),
    "right": (lambda image: image.transpose(Image.Transpose.ROTATE_270), "turned by 90 degrees"),
    "around": (lambda image: image.transpose(Image.Transpose.ROTATE_180), "turned by 180 degrees"),
    "transposed": (
        lambda image: image.transpose(Image.Transpose.TRANSPOSE),
        "mirrored and turned",
    ),
    "cropped": (lambda image: image.crop((3, 1, 119, 118)), "cropped"),
}


def test_different_pictures_are_no_copies(others: list[Fingerprint]) -> None:
    assert len(find_pairs(others)) == 0


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_copy_is_found(others: list[Fingerprint], name: str) -> None:
    change, words = CHANGES[name]
    pairs = find_pairs([*others, printed(change(picture(7)))])
    assert pairs[["first", "second", "kind"]].to_numpy().tolist() == [[7, 30, "near"]]
    assert pairs.loc[0, "change"] == words
    assert pairs["correlation"].between(0.9, 1.0001).all()


def test_the_same_pixels_in_another_file_are_an_exact_copy(others: list[Fingerprint]) -> None:
    pairs = find_pairs([*others, printed(picture(7), "BMP")])
    assert pairs.to_numpy().tolist() == [[7, 30, "exact", "", 1.0]]


def test_pairs_connect_all_copies(others: list[Fingerprint]) -> None:
    copies = [printed(encoded_anew(picture(3))), others[3], printed(picture(3).resize((90, 90)))]
    pairs = find_pairs([*others, *copies])
    groups = connected(pairs["first"].to_numpy(), pairs["second"].to_numpy(), 33)
    assert len(set(groups[[3, 30, 31, 32]])) == 1
    assert len(set(groups)) == 30


def test_pictures_of_one_camera_are_no_copies() -> None:
    """A bright part in another place before the same background."""
    background = np.asarray(picture(0).convert("L").resize((THUMBNAIL, THUMBNAIL)), np.float64)
    rng = np.random.default_rng(0)
    prints = []
    for number in range(40):
        pixels = background + rng.normal(0, 2, background.shape)
        top, left = rng.integers(0, THUMBNAIL - 12, 2)
        pixels[top : top + 12, left : left + 12] += 60
        thumbnail = np.clip(pixels, 0, 255).astype(np.uint8)
        prints.append(Fingerprint(str(number).encode(), thumbnail, gray=True, levels=9, ends=ENDS))
    assert len(find_pairs(prints)) == 0


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_and_plain_pictures(count: int) -> None:
    plain = np.full((THUMBNAIL, THUMBNAIL), 7, np.uint8)
    prints = [
        Fingerprint(bytes([number + 1]), plain, gray=True, levels=9, ends=ENDS)
        for number in range(count)
    ]
    pairs = find_pairs(prints)
    assert len(pairs) == 0
    assert pd.api.types.is_integer_dtype(pairs["first"])
