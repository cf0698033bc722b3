"""What to expect of a source model, from what is known before anything is trained."""

from tl_keras.models.source_card import SourceCard

# The source should have seen this many times the images of the target, or more.
FAR_LARGER = 10


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
    saw = f"The source {card.name} saw {card.images} images, fewer than "
    if card.images < training_images:
        return (
            f"{saw}the {training_images} training images here: {rule} Expect little from it and "
            "compare with from scratch.",
        )
    return (
        f"{saw}ten times the {training_images} training images here: {rule} Compare with from "
        "scratch.",
    )
