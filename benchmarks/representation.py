"""What linear probes should read: every candidate on every set, and what the package chooses.

    python -m benchmarks.representation --images DATA --weights FILE [--backbone file] [--only TEXT]

For every set of photos, size of the input and draw of training photos, the average of probes on
good blocks is fitted in each representation that `tl_keras.transfer.representation` chooses among,
on the training photos alone, and tested on the others (at most 600, none of a group that trains).
Beside them stand what is chosen at each size, and what is chosen when the size is open too. The
rule was made with the sets steel, cells and digits in view; the others were looked at when it
stood. Writes representation.csv, a row per set, network, size and candidate: accuracy, its 95%
interval over draws, the cross-entropy on test, that of the folds, and how often it was chosen.
"""

import argparse
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.rows import keep_in_table
from benchmarks.source_models import (
    SETS,
    PhotoSet,
    ask_for_network,
    draws,
    interval,
    load_network,
    load_photos,
    network_name,
)
from tl_keras.experiment.network_choice import WITHIN
from tl_keras.models.pooling import Pooling
from tl_keras.transfer.features import FeatureBank
from tl_keras.transfer.probes import LinearProbes
from tl_keras.transfer.representation import (
    PLAINEST,
    Candidates,
    Representation,
    cheapest_within,
)
from tl_keras.transfer.trainer import LabelledImages

SIZES = (96, 160, 224)
BRICKS = PhotoSet("brick cracks", "brick_cracks", 10)
DESIGNED_ON = ("steel", "cells", "digits")
CHOSEN = "chosen"


def main() -> None:
    """Measure the sets asked for; rows of others stay as they are."""
    options = _parser().parse_args()
    for photos in (*SETS, BRICKS):
        if options.only in photos.name:
            rows = _measured(options, photos).assign(network=network_name(options))
            keep_in_table(options.output, rows, "set", "network")


def _measured(options: argparse.Namespace, photos: PhotoSet) -> pd.DataFrame:
    by_draw = pd.concat([_at_size(options, photos, side) for side in SIZES], ignore_index=True)
    rows = pd.concat([by_draw, pd.DataFrame(_over_sizes(by_draw))], ignore_index=True)
    keys = ["image_size", "pooling", "views", "penalty"]
    lines = []
    for values, part in rows.groupby(keys, sort=False, dropna=False):
        low, high = interval(part["accuracy"].to_numpy(float))
        means = part[["accuracy", "test_loss", "fold_loss", "taken"]].mean()
        facts = {"set": photos.name, "designed_on": photos.name in DESIGNED_ON}
        named = dict(zip(keys, values, strict=True))
        lines.append(facts | named | dict(means) | {"low": low, "high": high, "draws": len(part)})
    return pd.DataFrame(lines)


def _at_size(options: argparse.Namespace, photos: PhotoSet, side: int) -> pd.DataFrame:
    """A row per candidate and draw, and one for what is chosen."""
    pixels, labels, groups = load_photos(options.images, photos, side)
    images = LabelledImages(pixels, labels, int(labels.max()) + 1)
    bank = FeatureBank(load_network(options, side), pixels)
    everything = np.arange(len(pixels))
    lines = []
    for draw, (train, test) in enumerate(draws(labels, groups, photos.per_class, options.draws)):
        for name, candidates in _candidates(options.chosen):
            probes = LinearProbes(bank, images, groups, everything, candidates)
            fitted, chosen = probes.fit(train, draw), probes.choose(train, draw)
            said = probes.probabilities(fitted, test)[np.arange(len(test)), labels[test]]
            right = probes.probabilities(fitted, test).argmax(axis=1) == labels[test]
            assert chosen is not None, "photos enough for folds"
            losses = chosen.folds.losses(chosen.found.average())
            lines.append(
                {
                    "draw": draw,
                    "image_size": str(side),
                    **_named(chosen.representation if name != CHOSEN else None),
                    "accuracy": right.mean(),
                    "test_loss": -np.log(np.maximum(said, 1e-9)).mean(),
                    "fold_loss": losses.mean(),
                    "losses": losses,
                    "groups": chosen.folds.groups,
                    "is": _named(chosen.representation),
                }
            )
    table = pd.DataFrame(lines)
    return table.assign(taken=_taken(table))


def _candidates(chosen: bool) -> Iterator[tuple[str, Candidates]]:
    everything = Candidates()
    if chosen:
        yield "", PLAINEST
        yield CHOSEN, everything
        return
    kinds = (everything.kinds, everything.views, everything.penalties)
    for kind, views, penalty in product(*kinds):
        yield "", Candidates((kind,), (penalty,), (views,))
    yield CHOSEN, everything


def _named(taken: Representation | None) -> dict[str, object]:
    if taken is None:
        return dict.fromkeys(("pooling", "views", "penalty"), CHOSEN)
    pooling: Pooling = taken.pooling
    return {"pooling": pooling.kind, "views": pooling.views, "penalty": f"{taken.penalty:g}"}


def _taken(table: pd.DataFrame) -> pd.Series:
    """Whether a candidate is what was chosen in its draw."""
    names = [
        tuple(row[key] for key in ("pooling", "views", "penalty")) for _, row in table.iterrows()
    ]
    chosen = {
        row["draw"]: tuple(row["is"].values())
        for _, row in table.iterrows()
        if row["pooling"] == CHOSEN
    }
    return pd.Series(
        [chosen[draw] == name for draw, name in zip(table["draw"], names, strict=True)]
    )


def _over_sizes(by_draw: pd.DataFrame) -> Iterator[dict[str, object]]:
    """Of each draw the row of the size that is chosen."""
    for _, rows in by_draw[by_draw["pooling"] == CHOSEN].groupby("draw"):
        place, _, _ = cheapest_within(list(rows["losses"]), rows["groups"].iloc[0], WITHIN)
        yield {**rows.iloc[place], "image_size": CHOSEN, "taken": True}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--images", type=Path, required=True, help="folder with the sets' folders")
    ask_for_network(parser, side=False)
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument(
        "--chosen", action="store_true", help="only what is chosen, beside means and penalty 1"
    )
    parser.add_argument("--only", default="", metavar="TEXT", help="sets whose name has this")
    parser.add_argument(
        "--output", type=Path, default=Path("results/reference/representation.csv"), help="a CSV"
    )
    return parser


if __name__ == "__main__":
    main()
