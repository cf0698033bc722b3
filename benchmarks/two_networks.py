"""Which of two networks to borrow from: rules that choose on the training photos, and both at once.

    python -m benchmarks.two_networks --images DATA --weights MOBILENETV2 --other OWN

On draws of every set the average of probes on good blocks is chosen, fitted and cross-validated
with MobileNetV2 (`first`) and with the network of a `.keras` file (`second`), on the training
photos alone, and tested on the others (at most 600, none of a group that trains). `side by side` is
the mean of what both say, as one head on the features of both would; the other rules take one
network by what its folds say. Regret is to the network that is better on test in each draw, which
nobody can know. Writes two_networks.csv, a row per case and rule.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.representation import BRICKS
from benchmarks.rows import keep_in_table
from benchmarks.source_models import BACKBONE, SETS, PhotoSet, draws, interval, load_photos
from tl_keras.backbone_table import FILE
from tl_keras.evaluation.dependence import standard_error
from tl_keras.models.pretrained import load_backbone
from tl_keras.transfer.features import FeatureBank
from tl_keras.transfer.probes import LinearProbes
from tl_keras.transfer.representation import Candidates
from tl_keras.transfer.selection_losses import cross_fitted_losses
from tl_keras.transfer.trainer import LabelledImages

SIDE = 160
# Training images per class, beside those of `SETS`.
LARGER = {"brick cracks": 20}


def main() -> None:
    """Measure the sets asked for; rows of others stay as they are."""
    options = _parser().parse_args()
    for photos in (*SETS, BRICKS):
        for size in (photos.per_class, LARGER.get(photos.name)):
            if size is not None and options.only in photos.name:
                rules = pd.DataFrame(_accuracies(options, photos, size))
                rows = summary(rules, f"{photos.name}, {size} per class")
                keep_in_table(options.output, rows, "case")


def _accuracies(options: argparse.Namespace, photos: PhotoSet, size: int) -> list[dict[str, float]]:
    """Test accuracy by each rule, of each draw."""
    pixels, labels, groups = load_photos(options.images, photos, SIDE)
    images = LabelledImages(pixels, labels, int(labels.max()) + 1)
    named = {BACKBONE: options.weights, FILE: options.other}
    networks = [
        LinearProbes(FeatureBank(backbone, pixels), images, groups, np.arange(len(pixels)), every)
        for backbone, every in (
            (load_backbone(name, image_size=SIDE, weights=weights), Candidates())
            for name, weights in named.items()
        )
    ]
    found = []
    for draw, (train, test) in enumerate(draws(labels, groups, size, options.draws)):
        held_out, answers, folds = [], [], None
        for probes in networks:
            chosen, fitted = probes.choose(train, draw), probes.fit(train, draw)
            assert chosen is not None, "photos enough for folds"
            folds = chosen.folds
            held_out.append(chosen.found.average())
            answers.append(np.log(np.maximum(probes.probabilities(fitted, test), 1e-30)))
        assert folds is not None, "there are networks"
        found.append(accuracies(held_out, folds.labels, folds.groups, answers, labels[test]))
    return found


def accuracies(
    held_out: list[np.ndarray],
    labels: np.ndarray,
    groups: np.ndarray | None,
    answers: list[np.ndarray],
    test: np.ndarray,
) -> dict[str, float]:
    """Test accuracy by each rule.

    Args:
        held_out: of each network, log-probabilities (repeats, images, classes).
        labels: int (images,).
        groups: (images,); None where each is its own.
        answers: of each network, log-probabilities (tested, classes).
        test: int (tested,), true classes.
    """
    own = [float((each.argmax(axis=1) == test).mean()) for each in answers]
    loss = np.stack([-each[:, np.arange(len(labels)), labels].mean(axis=0) for each in held_out])
    tempered = [cross_fitted_losses(each[np.newaxis], labels, groups) for each in held_out]
    wrong = [(each.argmax(axis=2) != labels).mean() for each in held_out]
    less = loss[0] - loss[1]
    clearly = less.mean() > 0.5 * standard_error(less, groups)
    return {
        "first": own[0],
        "second": own[1],
        "lowest loss": own[int(loss.mean(axis=1).argmin())],
        "lowest loss after a temperature": own[int(np.argmin([x.mean() for x in tempered]))],
        "highest accuracy": own[int(np.argmin(wrong))],
        "first unless half a standard error worse": own[int(clearly)],
        "side by side": float((np.sum(answers, axis=0).argmax(axis=1) == test).mean()),
        "better one in hindsight": max(own),
    }


def summary(rules: pd.DataFrame, case: str) -> pd.DataFrame:
    """A row per rule: its mean accuracy with the 95% interval over draws, and its regret."""
    best, lines = rules["better one in hindsight"], []
    for rule, values in rules.items():
        low, high = interval(values.to_numpy())
        facts = {"case": case, "rule": rule, "accuracy": values.mean(), "low": low, "high": high}
        lines.append(facts | {"regret": (best - values).mean(), "draws": len(values)})
    return pd.DataFrame(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--images", type=Path, required=True, help="folder with the sets' folders")
    parser.add_argument("--weights", required=True, help="of MobileNetV2: a file or bundled")
    parser.add_argument("--other", required=True, help="a .keras file of another network")
    parser.add_argument("--draws", type=int, default=12)
    parser.add_argument("--only", default="", metavar="TEXT", help="sets whose name has this")
    parser.add_argument(
        "--output", type=Path, default=Path("results/reference/two_networks.csv"), help="a CSV"
    )
    return parser


if __name__ == "__main__":
    main()
