"""What all decoders share: Pillow's pixels as an array, and the files that are refused."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .file_headers import ENDLESS

# Bytes that are copied at once: they stay in the processor's cache.
_AT_ONCE = 2**20

Pixels = NDArray[Any]
# What is said of how pictures are read.
Reading = Mapping[str, Any]


class NoPictureError(Exception):
    """A file that is no picture, or none that is read; the message is the reason."""


def check_size(pixels: int, reading: Reading) -> None:
    """Refuse a picture that does not say how large it is, or that is larger than is read."""
    most = reading["max_megapixels"]
    if pixels == ENDLESS:
        raise NoPictureError("damaged: it does not say how large it is")
    if pixels > most * 1e6:
        raise NoPictureError(f"{pixels:,} pixels, more than the {most:g} million that are read")


def unpacked(mode: str, width: int, height: int, packed: bytes, kind: str, *how: Any) -> Pixels:
    """What one of Pillow's decoders makes of packed pixels, (height, width, channels).

    The packed pixels come as one piece: some decoders cannot wait for more.

    Args:
        mode: Of the result, as Pillow names it.
        width: In pixels.
        height: In pixels.
        packed: As they lie in a file.
        kind: The decoder, as Pillow names it.
        how: What else it is told.

    Raises:
        ValueError: They are damaged, or too few.
    """
    image = Image.new(mode, (width, height), None)
    image.frombytes(packed, kind, how)
    return channels_of(image)


def channels_of(image: Image.Image) -> Pixels:
    """The pixels of a picture of Pillow's, uint8 (height, width, channels)."""
    width, height = image.size
    channels = len(image.getbands())
    step = max(_AT_ONCE // max(width * channels, 1), 1)
    if step >= height:
        pixels = np.asarray(image).reshape(height, width, channels)
    else:
        # all at once they would be copied twice, through memory that is new each time
        pixels = np.empty((height, width, channels), np.uint8)
        for top in range(0, height, step):
            part = image.crop((0, top, width, min(top + step, height)))
            pixels[top : top + step] = np.asarray(part).reshape(-1, width, channels)
    return pixels * np.uint8(255) if image.mode == "1" else pixels


def coloured(numbers: Pixels, palette: bytes) -> NDArray[np.uint8]:
    """Numbers as the colours of a palette; those that it lacks are black."""
    colours = np.frombuffer(palette[:768].ljust(768, b"\0"), np.uint8)
    return colours.reshape(256, 3)[numbers]
