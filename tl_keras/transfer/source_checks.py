"""The conditions for transfer: same kind of input, a larger source, similar low-level features."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tl_keras.backbone_table import as_setting, scaling_in_words
from tl_keras.models.backbone import Backbone
from tl_keras.models.own_network.scaling_fit import (
    MOST_PHOTOS,
    better_scaling,
    own_scaling,
    scales_inside,
    scaling_distances,
    scaling_of_source,
)
from tl_keras.models.sources.source_card import SourceCard
from tl_keras.models.sources.source_places import BUNDLED
from tl_keras.transfer.network_words import INPUT

# The source should have seen this many times the images of the target, or more.
FAR_LARGER = 10
# Nats per channel in the lower half of the blocks. With ImageNet weights, photos of cats and dogs
# lie at 0.04, gray faces at 0.13, steel surfaces at 0.23, blood cells and digits at 0.37 or more
# (96 px, 100 images each).
NEAR, FAR = 0.1, 0.2
# A source trained at a size that differs by more than this factor saw things at another scale.
OTHER_SCALE = 2.0
MOSTLY = 0.9

Finding = Literal["fulfilled", "doubtful", "not fulfilled", "not available"]


@dataclass(frozen=True)
class Check:
    """One condition for transfer.

    Attributes:
        name: "same kind of input", "source larger than target" or "similar low-level features".
        finding: whether it is fulfilled, as far as that can be known.
        sentence: what was found, for people.
    """

    name: str
    finding: Finding
    sentence: str


def source_notes(card: SourceCard | None, training_images: int) -> tuple[str, ...]:
    """Sentences on whether the source saw enough images to borrow from.

    The usual rule of thumb: what a network learned carries over where its source was the larger
    data set, by far. A source that saw little has learned little that is general.

    Args:
        card: Of the source model; None for random initialisation.
        training_images: Of the target, in the largest of its training sizes.

    Returns:
        One sentence or two; nothing where the source is large enough or its size is not known.
    """
    if card is None or card.images is None or card.images >= FAR_LARGER * training_images:
        return ()
    rule = "the usual rule asks for a source that is far larger (ten times or more)."
    saw = f"{_source(card)} saw {card.images} images, fewer than "
    if card.images < training_images:
        return (
            f"{saw}the {training_images} training images here: {rule} Expect little from it and "
            "compare with from scratch.",
        )
    return (
        f"{saw}ten times the {training_images} training images here: {rule} Compare with from "
        "scratch.",
    )


def scaling_note(backbone: Backbone, pixels: np.ndarray) -> str | None:
    """A sentence on the scaling of a network from a file, where another fits clearly better.

    So does none of a network without BatchNorm that scales pixels itself.

    Args:
        backbone: with its source weights.
        pixels: uint8 (n, size, size, 3), 0..255, some of the images.
    """
    given = backbone.spec.scaling
    if not backbone.spec.file_digest:
        return None
    fits = better_scaling(backbone.model, given, pixels[:MOST_PHOTOS])
    if fits is None:
        if given == "none" or not scales_inside(backbone.model):
            return None
        if scaling_distances(backbone.model, (given,)) is not None:
            return None  # its BatchNorm was asked
        return (
            f"{backbone.spec.name} scales pixels itself, and backbone.scaling, "
            f"{as_setting(given)}, scales them before: leave it out, unless you know better."
        )
    # of several networks each may want another
    found = own_scaling(backbone.model) == fits
    mend = "Leave backbone.scaling out, or set it" if found else "Set backbone.scaling"
    return (
        f"{backbone.spec.name} seems to want its pixels scaled otherwise: what its first BatchNorm "
        f"layer remembers of its training fits {as_setting(fits)}, and not {as_setting(given)}. "
        f"{mend} to {as_setting(fits)}, unless you know better."
    )


def scaling_taken(backbone: Backbone) -> str:
    """A sentence on how a network from a file gets its pixels; empty for one of the table."""
    spec = backbone.spec
    if not spec.file_digest:
        return ""
    if spec.scaling == "none" and scales_inside(backbone.model):
        return " The network scales pixels itself."
    told = scaling_of_source(backbone.model) == spec.scaling
    reason = ", as its first BatchNorm layer says" if told else ""
    return f" Pixels are {scaling_in_words(spec.scaling)}{reason}."


def check_size(card: SourceCard | None, training_images: int) -> Check:
    """Whether the source saw far more images than there are to train on."""
    name = "source larger than target"
    if card is None:
        return Check(name, "not fulfilled", "The backbone has random weights: it has no source.")
    if card.images is None:
        return Check(name, "not available", f"How many images {_named(card)} saw is not known.")
    if notes := source_notes(card, training_images):
        smaller = card.images < training_images
        return Check(name, "not fulfilled" if smaller else "doubtful", notes[0])
    sentence = f"{_source(card)} saw {card.images} images, here are {training_images}."
    return Check(name, "fulfilled", sentence)


def check_input(
    card: SourceCard | None, pixels: np.ndarray, scaling: str | None = None, taken: str = ""
) -> Check:
    """Whether the images are like the source's in channels, size and scaling.

    Args:
        card: of the source model; None for random initialisation.
        pixels: uint8 (n, size, size, 3), 0..255, some of the images.
        scaling: of `scaling_note`; a network of the table needs none, its scaling is known.
        taken: of `scaling_taken`.
    """
    name = INPUT
    if scaling is not None:
        return Check(name, "not fulfilled", scaling)
    if card is None:
        return Check(name, "not available", "The backbone has random weights: it has no source.")
    doubts = []
    gray = float(np.mean((pixels == pixels[..., :1]).all(axis=(1, 2, 3))))
    if gray > MOSTLY:
        theirs = "the source's were in colour"
        if card.images is None:
            theirs = "whether the source's were is not known"
        doubts.append(f"your images are gray and {theirs}")
    size = pixels.shape[1]
    if card.image_size and not 1 / OTHER_SCALE <= size / card.image_size <= OTHER_SCALE:
        doubts.append(f"images are {size} px here and were {card.image_size} px there")
    if doubts:
        text = "; ".join(doubts)
        return Check(name, "doubtful", f"{text[0].upper()}{text[1:]} ({_named(card)}).{taken}")
    trained = f", {card.image_size} px in training" if card.image_size else ""
    return Check(name, "fulfilled", f"{card.channels} channels{trained}, {size} px here.{taken}")


def check_similarity(distances: Mapping[str, float] | None) -> Check:
    """Whether the lower half of the blocks sees what it saw on the source's images.

    Args:
        distances: from `block_distances`.
    """
    name = "similar low-level features"
    if distances is None:
        return Check(
            name,
            "not available",
            "The backbone has no BatchNorm, whose statistics would tell how its source looked.",
        )
    lower = list(distances.values())[: -(-len(distances) // 2)]
    middle = float(np.median(lower))
    finding: Finding = "fulfilled" if middle < NEAR else "doubtful"
    if middle > FAR:
        finding = "not fulfilled"
    words = {"fulfilled": "near", "doubtful": "some way from", "not fulfilled": "far from"}
    return Check(
        name,
        finding,
        f"In the lower half of the blocks the activations are {words[finding]} those of the "
        f"source's images: a distance of {middle:.2f} (below {NEAR} is near, above {FAR} far).",
    )


def _named(card: SourceCard) -> str:
    """A source, for people."""
    return "the bundled weights" if card.name == BUNDLED else card.name


def _source(card: SourceCard) -> str:
    """What a source saw, as the subject of a sentence."""
    return f"The source {'of ' if card.name == BUNDLED else ''}{_named(card)}"
