"""What is said of a source model before anything is trained."""

import pytest

from tl_keras.models.source_card import SourceCard
from tl_keras.transfer.advice import source_notes


def card(images: int | None) -> SourceCard:
    return SourceCard("faces", images, 40, 96, 3, "tf", "unknown", "Faces.", generated=False)


def test_a_source_smaller_than_the_target() -> None:
    assert source_notes(card(240), 320) == (
        "The source faces saw 240 images, fewer than the 320 training images here: the usual rule "
        "asks for a source that is far larger (ten times or more). Expect little from it and "
        "compare with from scratch.",
    )


@pytest.mark.parametrize("images", [320, 3199])
def test_a_source_that_is_not_far_larger(images: int) -> None:
    assert source_notes(card(images), 320) == (
        f"The source faces saw {images} images, fewer than ten times the 320 training images here: "
        "the usual rule asks for a source that is far larger (ten times or more). Compare with "
        "from scratch.",
    )


@pytest.mark.parametrize("source", [card(3200), card(1_281_167), card(None), None])
def test_nothing_of_a_source_that_is_large_enough_or_not_known(source: SourceCard | None) -> None:
    assert source_notes(source, 320) == ()
