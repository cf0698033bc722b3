"""What all decoders share: Pillow's pixels as an array, and the files that are refused."""

import io
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .file_headers import ENDLESS

Pixels = NDArray[Any]
# What is said of how pictures are read.
Reading = Mapping[str, Any]


class NoPictureError(Exception):
    """A file that is no picture, or none that is read; the message is the reason."""


def check_size(pixels: int, reading: Reading) -> None:
    most = reading["max_megapixels"]
    if pixels == ENDLESS:
        raise NoPictureError("damaged: it does not say how large it is")
    if pixels > most * 1e6:
        raise NoPictureError(f"{pixels:,} pixels, more than the {most:g} million that are read")


def unpacked(opened: Callable[[io.BytesIO], Image.Image], encoded: bytes) -> Pixels:
    """As Pillow decodes it, (height, width, channels)."""
    with opened(io.BytesIO(encoded)) as image:
        return channels_of(image)


def channels_of(image: Image.Image) -> Pixels:
    pixels = np.asarray(image)
    if pixels.dtype == bool:
        pixels = pixels * np.uint8(255)
    return pixels[..., np.newaxis] if pixels.ndim == 2 else pixels


def coloured(numbers: Pixels, palette: bytes) -> NDArray[np.uint8]:
    """Numbers as the colours of a palette; those that it lacks are black."""
    colours = np.frombuffer(palette[:768].ljust(768, b"\0"), np.uint8)
    return colours.reshape(256, 3)[numbers]
