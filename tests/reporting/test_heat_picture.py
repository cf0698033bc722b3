"""The picture of a heat map shows the photo as it was seen, and a scale whose numbers are true."""

import re

import numpy as np
import pytest

from tl_keras.models.heat import overlay, relative
from tl_keras.reporting.heat_picture import (
    LEAST_SIDE,
    LINE,
    MARGIN,
    heat_picture,
    in_words,
    strongest_share,
)

RNG = np.random.default_rng(0)
PHOTO = RNG.integers(0, 256, (8, 8, 3), np.uint8)
# a quarter holds three times what the rest holds against it
EVIDENCE = np.full((8, 8), -1.0)
EVIDENCE[:4, :4] = 9.0


def test_shares_worked_out_by_hand() -> None:
    # 16 pixels of 9 for, 48 of 1 against: 144 and 48 of 192
    assert re.findall(r"(\d+)%", in_words(EVIDENCE, "a", 4)[0]) == ["75", "25"]
    # the mean is 3, so that the strongest pixel is three times as strong as if all were alike
    assert strongest_share(EVIDENCE) == pytest.approx(0.03)
    assert strongest_share(np.full((8, 8), 0.4)) == pytest.approx(0.01)


def test_nothing_speaks_for_the_answer_or_against_it() -> None:
    nothing = np.zeros((8, 8))
    assert (strongest_share(nothing), len(in_words(nothing, "a", 4))) == (0, 1)
    shown = np.asarray(heat_picture(PHOTO, nothing, "a", 4))
    assert len(shown) > LEAST_SIDE


@pytest.mark.parametrize("size", [8, 96, 240, 300])
def test_photo_and_map_lie_side_by_side_and_no_pixel_is_mixed(size: int) -> None:
    photo = RNG.integers(0, 256, (size, size, 3), np.uint8)
    evidence = RNG.normal(size=(size, size))
    shown = np.asarray(heat_picture(photo, evidence, "a", 4, ["one", "two"]))
    factor = -(-LEAST_SIDE // size)
    side, top = factor * size, MARGIN + 2 * LINE
    assert side >= LEAST_SIDE
    for place, pixels in enumerate((photo, overlay(photo, relative(evidence)))):
        left = MARGIN + place * (side + MARGIN)
        panel = shown[top : top + side, left : left + side]
        np.testing.assert_array_equal(panel[::factor, ::factor], pixels)
        np.testing.assert_array_equal(panel[factor - 1 :: factor, factor - 1 :: factor], pixels)


@pytest.mark.parametrize("text", ["x" * 4000, "\x1b[31m\u202e", "überzug 缺陷 🙂", "", "a\nb"])
def test_any_text_leaves_the_picture_as_large_as_it_is(text: str) -> None:
    usual = heat_picture(PHOTO, EVIDENCE, "label", 4, ["name"])
    odd = heat_picture(PHOTO, EVIDENCE, text, 4, [text])
    assert odd.size == usual.size
    paper = np.asarray(odd)[:, [0, MARGIN - 2, -MARGIN + 1, -1]]
    assert (paper == 255).all()
