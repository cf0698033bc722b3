"""What an exported model knows of strangers, in plain words."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

Facts = Mapping[str, Any]

# Labelled photos that would be refused, by their names.
MOST_NAMED = 20


def in_words(facts: Facts) -> list[str]:
    """What is promised, what was measured, and what is not known, a sentence each.

    Args:
        facts: as in `strangers.json`.
    """
    return list(_sentences(facts))


def refused_photos(facts: Facts) -> list[list[str]]:
    """Labelled photos that would be refused, the strangest first: name, class, p-value.

    Args:
        facts: as in `strangers.json`.
    """
    return [
        [photo["image_id"], photo["class"], f"{photo['familiar']:.3f}"]
        for photo in facts["refused_images"][:MOST_NAMED]
    ]


def _sentences(facts: Facts) -> Iterator[str]:
    promised, tested = facts["stranger_share"], facts["refused_test"]
    told = (
        "How like the labelled photos a photo is, the model answers as familiar, the share of such "
        f'photos that are at least as strange; below {promised:g} its decision is "unknown". So '
        f"about {promised:.1%} of photos like these should be refused, or fewer; {facts['images']} "
        f"photos say that no more exactly than to {_at_most(promised, facts['images']):.1%}"
    )
    if tested is not None:
        interval = f"[{tested['low']:.1%}, {tested['high']:.1%}]"
        told += f"; of the test photos {tested['estimate']:.1%} {interval} were"
        if facts.get("train_on") == "all":
            told += ", by what was fitted without them"
    yield f"{told}."
    refused = len(facts["refused_images"])
    yield (
        f"Of the {facts['images']} labelled photos that this rests on, {refused} would be refused "
        "if they were new."
    )
    yield from _classes(facts["refused_classes"])


def _at_most(promised: float, images: int) -> float:
    """What a promised share may be in truth, in 95% of samples of so many photos."""
    return promised + 1.645 * math.sqrt(promised * (1 - promised) / (images + 1))


def _classes(shares: Mapping[str, float]) -> Iterator[str]:
    if not shares:
        yield "How many strangers it refuses was not measured: there were no photos of any."
        return
    order = sorted(shares, key=lambda name: shares[name])
    mean = sum(shares.values()) / len(shares)
    yield (
        f"Where a class is left out, {mean:.0%} of its photos are refused on average, of "
        f"{order[0]!r} {shares[order[0]]:.0%}, of {order[-1]!r} {shares[order[-1]]:.0%}: strangers "
        "that are as near as the classes are to one another may well be taken for one of them."
    )
