"""A photo beside its heat map, and a scale that says in words and numbers what colours mean."""

import functools
from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tl_keras.models.heat import overlay, relative
from tl_keras.safe_text import one_line

# Pixels: of the side of a photo, at least; around all; of letters and their lines; of the scale.
LEAST_SIDE, MARGIN, LETTERS, LINE, BAR = 240, 12, 13, 19, 14
MARKS = (-1.0, -0.5, 0.0, 0.5, 1.0)
# Letters of a line, of which no picture has room for more.
_LONGEST = 1000
# What the scale is drawn on.
_GRAY = 128


def heat_picture(
    photo: np.ndarray, evidence: np.ndarray, label: str, places: int, facts: Sequence[str] = ()
) -> Image.Image:
    """Draw what speaks for an answer.

    Args:
        photo: uint8 (size, size, 3), RGB, as the network saw it.
        evidence: (size, size), what each pixel adds to the score of the label.
        label: that the network answered.
        places: rows of the finest feature map that the evidence comes from.
        facts: lines above, such as the name of the file.
    """
    seen, mapped = _enlarged(photo), _enlarged(overlay(photo, relative(evidence)))
    side, words = seen.width, in_words(evidence, label, places)
    top, width = MARGIN + len(facts) * LINE, 2 * side + 3 * MARGIN
    bar = top + side + MARGIN
    below = bar + BAR + 2 * LINE
    picture = Image.new("RGB", (width, below + len(words) * LINE + MARGIN), "white")
    picture.paste(seen, (MARGIN, top))
    picture.paste(mapped, (2 * MARGIN + side, top))
    _draw_scale(picture, bar, evidence)
    for start, lines in ((MARGIN, facts), (below, words)):
        for place, line in enumerate(lines):
            _write(picture, (MARGIN, start + place * LINE), line)
    return picture


def in_words(evidence: np.ndarray, label: str, places: int) -> list[str]:
    """What evidence says, and what the numbers of the scale are."""
    total = float(np.abs(evidence).sum())
    if not total > 0:
        return [f"Nothing in the photo speaks for {label} or against it."]
    share = float(evidence[evidence > 0].sum()) / total
    return [
        f"Of all evidence {share:.0%} speaks for {label}, and {1 - share:.0%} against it.",
        "Scale: what share of it 1% of the photo holds where it has that colour.",
        f"The map has {places} by {places} places; each saw a wider part of the photo around it.",
    ]


def strongest_share(evidence: np.ndarray) -> float:
    """Of all evidence, what a hundredth of the photo would hold that is all as its strongest pixel.

    The scale ends there; 1% is evidence that is the same everywhere.
    """
    mean = float(np.abs(evidence).mean())
    return float(np.abs(evidence).max()) / mean / 100 if mean > 0 else 0.0


def _enlarged(pixels: np.ndarray) -> Image.Image:
    """By a whole factor, so that a pixel stays what it is."""
    factor = -(-LEAST_SIDE // len(pixels))
    return Image.fromarray(pixels).resize(
        (factor * pixels.shape[1], factor * pixels.shape[0]), Image.Resampling.NEAREST
    )


def _draw_scale(picture: Image.Image, top: int, evidence: np.ndarray) -> None:
    width, end = picture.width - 2 * MARGIN, strongest_share(evidence)
    heat = np.tile(np.linspace(-1, 1, width), (BAR, 1))
    gray = np.full((*heat.shape, 3), _GRAY, np.uint8)
    picture.paste(Image.fromarray(overlay(gray, heat)), (MARGIN, top))
    for mark in MARKS:
        place = MARGIN + round((mark + 1) / 2 * (width - 1))
        anchor = {-1.0: "la", 1.0: "ra"}.get(mark, "ma")
        _write(picture, (place, top + BAR + 2), f"{mark * end:+.1%}" if mark else "0", anchor)
    line = top + BAR + 2 + LINE
    _write(picture, (MARGIN, line), "← speaks against the answer")
    _write(picture, (MARGIN + width, line), "speaks for it →", "ra")


def _write(picture: Image.Image, place: tuple[int, int], text: str, anchor: str = "la") -> None:
    """Write a line, with dots where it would go beyond the picture."""
    font, room = _font(), picture.width - 2 * MARGIN
    shown = one_line(text)
    if font.getlength(shown[:_LONGEST]) > room or len(shown) > _LONGEST:
        kept = range(min(len(shown), _LONGEST))
        # the most that fits, by halves: measuring takes as long as the text is
        most = bisect_left(kept, True, key=lambda n: font.getlength(f"{shown[: n + 1]}...") > room)
        shown = f"{shown[:most]}..."
    ImageDraw.Draw(picture).text(place, shown, "black", font, anchor)


@functools.cache
def _font() -> ImageFont.FreeTypeFont:
    """One with the letters of many alphabets, which comes with a library that is there anyway."""
    import matplotlib as mpl

    return ImageFont.truetype(
        Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", LETTERS
    )
