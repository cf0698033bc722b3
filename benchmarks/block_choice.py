"""Which blocks to borrow from: the choice by cross-validation beside two fixed rules.

    python -m benchmarks.block_choice --images DATA --weights FILE [--backbone file]

On every draw of every set of `SETS` in source_models.py linear probes are cross-validated on the
training images alone. The accuracy on the other images of the average of probes that the strategy
linear_probe takes, and of the single block that `backbone.cut` "search" takes, stand beside those
of the last block, of the one in the middle, and of the block that is best in hindsight over all
draws, which nobody can know. Writes block_choice.csv; rows of other networks and sizes stay as they
are.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.representation import BRICKS
from benchmarks.rows import keep_in_table
from benchmarks.source_models import (
    SETS,
    ask_for_network,
    draws,
    interval,
    load_network,
    load_photos,
    network_name,
)
from tl_keras.models.backbone import Backbone
from tl_keras.transfer.features import FeatureBank
from tl_keras.transfer.probing import (
    average_weights,
    choose_block,
    cross_validate,
    fit_probe,
)


def main() -> None:
    """Measure every set and write the table."""
    options = _parser().parse_args()
    backbone = load_network(options, options.image_size)
    facts = {"network": network_name(options), "image_size": options.image_size}
    for photos in (*SETS, BRICKS):
        pixels, labels, groups = load_photos(options.images, photos, options.image_size)
        pooled = FeatureBank(backbone, pixels).pooled(np.arange(len(pixels)))
        features = list(pooled.read().values())
        sizes = [photos.per_class, *([5] if photos.name == "steel" else [])]
        for size in sizes:
            accuracy = _measure(backbone, features, labels, groups, size, options.draws)
            rows = pd.DataFrame(_rules(f"{photos.name}, {size} per class", accuracy))
            keep_in_table(options.output, rows.assign(**facts), "network", "image_size", "case")


def _measure(
    backbone: Backbone,
    features: list[np.ndarray],
    labels: np.ndarray,
    groups: np.ndarray,
    per_class: int,
    count: int,
) -> dict[str, np.ndarray]:
    """Test accuracy of each rule on every draw, (draws,), and of each block, (draws, blocks)."""
    names = [block.name for block in backbone.blocks]
    classes = int(labels.max()) + 1
    found: dict[str, list[float | list[float]]] = {"blocks": [], "chosen block": [], "average": []}
    for draw, (train, test) in enumerate(draws(labels, groups, per_class, count)):
        own = [(name, values[train]) for name, values in zip(names, features, strict=True)]
        table = cross_validate(own, labels[train], groups[train], seed=draw)
        probes = [fit_probe(values, labels[train], classes) for _, values in own]
        logits = [
            probe.log_probabilities(values[test])
            for probe, values in zip(probes, features, strict=True)
        ]
        weights = average_weights(table)
        average = np.sum([weights.get(n, 0.0) * x for n, x in zip(names, logits, strict=True)], 0)
        right = [float((x.argmax(axis=1) == labels[test]).mean()) for x in (*logits, average)]
        found["blocks"].append(right[:-1])
        found["chosen block"].append(right[names.index(choose_block(table))])
        found["average"].append(right[-1])
    return {rule: np.array(values) for rule, values in found.items()}


def _rules(case: str, accuracy: dict[str, np.ndarray]) -> list[dict[str, object]]:
    blocks = accuracy["blocks"]
    last = blocks.shape[1] - 1
    rules = {
        "last block": blocks[:, last],
        "middle block": blocks[:, last // 2],
        "chosen block": accuracy["chosen block"],
        "average of good blocks": accuracy["average"],
        "best block in hindsight": blocks[:, blocks.mean(axis=0).argmax()],
    }
    rows: list[dict[str, object]] = []
    for rule, values in rules.items():
        low, high = interval(values)
        gain = values - rules["last block"]
        facts = {"case": case, "rule": rule, "accuracy": values.mean(), "low": low, "high": high}
        rows.append(facts | {"over_last_block": gain.mean(), "draws": len(values)})
    return rows


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--images", type=Path, required=True, help="folder with the sets' folders")
    ask_for_network(parser)
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument(
        "--output", type=Path, default=Path("results/reference/block_choice.csv"), help="a CSV file"
    )
    return parser


if __name__ == "__main__":
    main()
