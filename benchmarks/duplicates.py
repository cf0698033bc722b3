"""Copies that the audit finds, by how they were made, and what it takes for copies by mistake.

    python -m benchmarks.duplicates --images DATA

Of every set some images are changed, in one way at a time, and put beside the set. A copy is found
when it comes into the group of its original. The row `none` counts the groups among the images as
they are: look at them, some sets hold copies. Writes duplicates.csv.
"""

import argparse
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageEnhance

from tl_keras.config.schema import DataConfig
from tl_keras.data.duplicates import connected, find_pairs
from tl_keras.data.fingerprints import Fingerprint, fingerprint
from tl_keras.data.picture_bytes import readable_bytes
from tl_keras.data.sources import load_images

SETS = ("neu_cls", "cats_vs_dogs", "bccd_cells", "mnist_digits", "orl_faces")


def main() -> None:
    """Measure every set and write the table."""
    options = _parser().parse_args()
    rows = []
    for name in SETS:
        paths = load_images(DataConfig(folder=str(options.images / name))).paths
        rows += _measure(name, paths, options.copies)
        print(pd.DataFrame(rows).tail(len(CHANGES) + 1).to_string(index=False), flush=True)
    pd.DataFrame(rows).to_csv(options.output, index=False)


def _measure(name: str, paths: list[str], copies: int) -> list[dict[str, object]]:
    own = [fingerprint(readable_bytes(path)) for path in paths]
    chosen = np.sort(np.random.default_rng(0).permutation(len(paths))[:copies])
    sizes = pd.Series(_groups(own)).value_counts()
    facts = {"set": name, "images": len(paths), "copies": len(chosen)}
    rows: list[dict[str, object]] = [
        {**facts, "change": "none", "found": None, "groups": int((sizes > 1).sum())}
    ]
    for change, make in CHANGES.items():
        made = [fingerprint(make(Image.open(paths[row]).convert("RGB"))) for row in chosen]
        groups = _groups([*own, *made])
        found = float((groups[chosen] == groups[len(own) :]).mean())
        rows.append({**facts, "change": change, "found": found, "groups": None})
    return rows


def _groups(fingerprints: list[Fingerprint]) -> np.ndarray:
    pairs = find_pairs(fingerprints)
    return connected(pairs["first"].to_numpy(), pairs["second"].to_numpy(), len(fingerprints))


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _jpeg(quality: int) -> Callable[[Image.Image], bytes]:
    def save(image: Image.Image) -> bytes:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality)
        return buffer.getvalue()

    return save


def _resized(factor: float) -> Callable[[Image.Image], bytes]:
    return lambda image: _png(
        image.resize((round(factor * image.width), round(factor * image.height)))
    )


def _cropped(share: float) -> Callable[[Image.Image], bytes]:
    """Half of it at each border, at least one pixel of each axis."""

    def crop(image: Image.Image) -> bytes:
        across, down = (max(1, round(share * side)) for side in image.size)
        left, top = across // 2, down // 2
        right, bottom = image.width - (across - left), image.height - (down - top)
        return _png(image.crop((left, top, right, bottom)))

    return crop


def _turned(how: Image.Transpose) -> Callable[[Image.Image], bytes]:
    return lambda image: _png(image.transpose(how))


CHANGES: dict[str, Callable[[Image.Image], bytes]] = {
    "PNG": _png,
    "JPEG, quality 90": _jpeg(90),
    "JPEG, quality 70": _jpeg(70),
    "JPEG, quality 50": _jpeg(50),
    "resized to 0.8": _resized(0.8),
    "resized to 0.5": _resized(0.5),
    "brightness 1.15": lambda image: _png(ImageEnhance.Brightness(image).enhance(1.15)),
    "brightness 0.85": lambda image: _png(ImageEnhance.Brightness(image).enhance(0.85)),
    "contrast 1.15": lambda image: _png(ImageEnhance.Contrast(image).enhance(1.15)),
    "contrast 0.85": lambda image: _png(ImageEnhance.Contrast(image).enhance(0.85)),
    "cropped by 2%": _cropped(0.02),
    "cropped by 3%": _cropped(0.03),
    "cropped by 5%": _cropped(0.05),
    "mirrored": _turned(Image.Transpose.FLIP_LEFT_RIGHT),
    "turned by 90 degrees": _turned(Image.Transpose.ROTATE_90),
    "turned by 180 degrees": _turned(Image.Transpose.ROTATE_180),
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--images", type=Path, required=True, help="folder with the sets' folders")
    parser.add_argument("--copies", type=int, default=100, help="images of a set that are changed")
    parser.add_argument(
        "--output", type=Path, default=Path("results/reference/duplicates.csv"), help="a CSV file"
    )
    return parser


if __name__ == "__main__":
    main()
