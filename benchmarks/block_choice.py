"""Which block to borrow from: the choice by cross-validation beside two fixed rules.

    python -m benchmarks.block_choice --images DATA --weights FILE

On every draw of every set of `SETS` in source_models.py a linear probe on the training images
chooses a block as the strategy linear_probe does; its accuracy on the other images stands beside
that of the last block, of the one in the middle, and of the block that is best in hindsight over
all draws, which nobody can know. Writes block_choice.csv.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.source_models import BACKBONE, SETS, SIDE, draws, interval, load_photos
from tl_keras.models.classifier import Backbone
from tl_keras.models.source_models import load_source
from tl_keras.transfer.probing import choose_block, cross_validate, fit_probe, pooled_blocks


def main() -> None:
    """Measure every set and write the table."""
    options = _parser().parse_args()
    model, _ = load_source(BACKBONE, image_size=SIDE, weights=options.weights)
    backbone = Backbone.wrap(BACKBONE, None, model)
    rows = []
    for photos in SETS:
        pixels, labels, groups = load_photos(options.images, photos)
        features = pooled_blocks(backbone, pixels, np.arange(len(pixels)))
        sizes = [photos.per_class, *([5] if photos.name == "steel" else [])]
        for size in sizes:
            accuracy, chosen = _measure(backbone, features, labels, groups, size, options.draws)
            rows += _rules(f"{photos.name}, {size} per class", accuracy, chosen)
            print(pd.DataFrame(rows[-4:]).to_string(index=False, float_format="%.3f"), flush=True)
    pd.DataFrame(rows).to_csv(options.output, index=False)


def _measure(
    backbone: Backbone,
    features: list[np.ndarray],
    labels: np.ndarray,
    groups: np.ndarray,
    per_class: int,
    count: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Test accuracy (draws, blocks), and the block chosen on each draw."""
    names = [block.name for block in backbone.blocks]
    accuracy, chosen = np.zeros((count, len(names))), np.zeros(count, np.int64)
    classes = int(labels.max()) + 1
    for draw, (train, test) in enumerate(draws(labels, groups, per_class, count)):
        own = [(name, values[train]) for name, values in zip(names, features, strict=True)]
        table = cross_validate(own, labels[train], groups[train], seed=draw)
        chosen[draw] = names.index(choose_block(table))
        for depth, values in enumerate(features):
            probe = fit_probe(values[train], labels[train], classes)
            predicted = probe.log_probabilities(values[test]).argmax(axis=1)
            accuracy[draw, depth] = (predicted == labels[test]).mean()
    return accuracy, chosen


def _rules(case: str, accuracy: np.ndarray, chosen: np.ndarray) -> list[dict[str, object]]:
    last = accuracy.shape[1] - 1
    best = int(accuracy.mean(axis=0).argmax())
    rules = {
        "last block": accuracy[:, last],
        "middle block": accuracy[:, last // 2],
        "chosen": accuracy[np.arange(len(chosen)), chosen],
        "best in hindsight": accuracy[:, best],
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
    parser.add_argument("--weights", required=True, help="of MobileNetV2: a file or bundled")
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument(
        "--output", type=Path, default=Path("results/reference/block_choice.csv"), help="a CSV file"
    )
    return parser


if __name__ == "__main__":
    main()
