"""How much source models give to small sets of photos: linear probes, and full fine-tuning.

    python -m benchmarks.source_models probes --images DATA --imagenet FILE
    python -m benchmarks.source_models fine-tuning --images DATA

DATA holds the folders of `SETS`. Every source sees the same draws. A probe is a logistic regression
(C = 1, standardised) on the pooled output of one block; "best" is the block with the highest mean
over the draws, so it is chosen in hindsight, for every source alike. Intervals are 95% Student
intervals over draws of the training images: they are about the method on these photos.
"""

import argparse
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from scipy import stats

from tl_keras.backbone_table import FILE
from tl_keras.config.schema import DataConfig
from tl_keras.data.picture_reading import DEFAULTS
from tl_keras.data.rows import whole
from tl_keras.data.sources import load_images
from tl_keras.experiment.stages import run_experiment
from tl_keras.models.backbone import Backbone
from tl_keras.models.pretrained import load_backbone
from tl_keras.models.sources.source_models import load_source
from tl_keras.transfer.features import FeatureBank
from tl_keras.transfer.probing import fit_probe

BACKBONE, SIDE = "MobileNetV2", 96
# More test images than this tell nothing more about the method.
MOST_TESTED = 600


@dataclass(frozen=True)
class PhotoSet:
    """A folder of photos, how many of each class train, and what belongs together."""

    name: str
    folder: str
    per_class: int
    group_pattern: str | None = None


SETS = (
    PhotoSet("steel", "neu_cls", 10),
    PhotoSet("cells", "bccd_cells", 10, r"([^/]*)_\d+_\d+\.png"),
    PhotoSet("digits", "mnist_digits", 10),
    PhotoSet("cats and dogs", "cats_vs_dogs", 10),
    PhotoSet("faces", "orl_faces", 5),
)
FINE_TUNED = ("steel", "cells")


def main() -> None:
    """Run one of the two measurements and write its tables."""
    options = _parser().parse_args()
    if len({Path(weights).name for weights in options.weights}) < len(options.weights):
        raise SystemExit("--weights must have different names: they stand in the tables")
    options.output.mkdir(parents=True, exist_ok=True)
    if options.measurement == "probes":
        rows = pd.concat(list(_probe_all(options)))
        tables = {"source_probes": summarise(rows)}
        if options.random:
            tables["source_differences"] = differences(rows)
    else:
        tables = {"source_fine_tuning": fine_tuning(options)}
    for name, table in tables.items():
        table.to_csv(options.output / f"{name}.csv", index=False)
        print(table.to_string(index=False, float_format="%.3f"))


def _probe_all(options: argparse.Namespace) -> Iterator[pd.DataFrame]:
    for photos in SETS:
        pixels, labels, groups = load_photos(options.images, photos)
        drawn = list(draws(labels, groups, photos.per_class, options.draws))
        for source, model in _sources(options):
            rows = probe(model, pixels, labels, drawn)
            yield rows.assign(data_set=photos.name, source=source)
            print(f"probed {photos.name} with {source}", flush=True)


def _sources(options: argparse.Namespace) -> Iterator[tuple[str, keras.Model]]:
    for weights in options.weights:
        name = Path(weights).name
        yield name, load_source(BACKBONE, image_size=SIDE, weights=weights)[0]
    if options.imagenet:
        yield "imagenet", load_source(BACKBONE, image_size=SIDE, weights=options.imagenet)[0]
    for seed in range(options.random):
        keras.utils.set_random_seed(seed)
        yield f"random {seed}", load_source(BACKBONE, image_size=SIDE, weights=None)[0]


def load_photos(
    images: Path, photos: PhotoSet, side: int = SIDE
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels uint8 (n, side, side, 3), labels and groups of all photos of a set."""
    data = DataConfig(folder=str(images / photos.folder), group_pattern=photos.group_pattern)
    table = load_images(data)
    pixels = table.decode(np.arange(len(table)), side, DEFAULTS)
    return whole(pixels), table.labels, table.groups


def ask_for_network(parser: argparse.ArgumentParser, side: bool = True) -> None:
    """Add the options that `load_network` and `network_name` read."""
    parser.add_argument("--backbone", default=BACKBONE, help='of the table, or "file"')
    parser.add_argument("--weights", required=True, help="of the backbone: a file, or bundled")
    if side:
        parser.add_argument("--image-size", type=int, default=SIDE, help="pixels")


def load_network(options: argparse.Namespace, side: int) -> Backbone:
    """The backbone that the options ask for."""
    return load_backbone(options.backbone, image_size=side, weights=options.weights)


def network_name(options: argparse.Namespace) -> str:
    """What stands in tables for the backbone that the options ask for."""
    return Path(options.weights).stem if options.backbone == FILE else str(options.backbone)


def draws(
    labels: np.ndarray, groups: np.ndarray, per_class: int, count: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows to train on and rows to test on; no group lies on both sides."""
    for seed in range(count):
        rng = np.random.default_rng(seed)
        train = np.concatenate(
            [rng.permutation(np.flatnonzero(labels == c))[:per_class] for c in np.unique(labels)]
        )
        test = rng.permutation(np.flatnonzero(~np.isin(groups, groups[train])))
        yield train, test[:MOST_TESTED]


def probe(
    model: keras.Model,
    pixels: np.ndarray,
    labels: np.ndarray,
    drawn: Sequence[tuple[np.ndarray, np.ndarray]],
) -> pd.DataFrame:
    """Test accuracy of a linear probe at every block: block, depth, draw, accuracy."""
    backbone = Backbone.wrap(BACKBONE, None, model)
    rows = []
    pooled = FeatureBank(backbone, pixels).pooled(np.arange(len(pixels))).read()
    for depth, (block, features) in enumerate(pooled.items()):
        for draw, (train, test) in enumerate(drawn):
            fitted = fit_probe(features[train], labels[train], int(labels.max()) + 1)
            answers = fitted.log_probabilities(features[test]).argmax(axis=1)
            accuracy = float((answers == labels[test]).mean())
            rows.append((block, depth, draw, accuracy))
    return pd.DataFrame(rows, columns=["block", "depth", "draw", "accuracy"])


def summarise(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean accuracy of each source at its last and at its best block, with intervals."""
    lines = []
    for (data_set, source), part in rows.groupby(["data_set", "source"], sort=False):
        for place, block, accuracy in _last_and_best(part):
            low, high = interval(accuracy)
            lines.append(
                (data_set, source, place, block, accuracy.mean(), low, high, len(accuracy))
            )
    names = ["data_set", "source", "place", "block", "accuracy", "low", "high", "draws"]
    return pd.DataFrame(lines, columns=names)


def differences(rows: pd.DataFrame) -> pd.DataFrame:
    """Every trained source less the mean of the random initialisations, paired by draw."""
    lines = []
    for data_set, part in rows.groupby("data_set", sort=False):
        by_source = {name: _last_and_best(own) for name, own in part.groupby("source", sort=False)}
        random = [value for name, value in by_source.items() if str(name).startswith("random")]
        for source, own in by_source.items():
            if str(source).startswith("random"):
                continue
            for index, (place, _, accuracy) in enumerate(own):
                against = np.mean([other[index][2] for other in random], axis=0)
                low, high = interval(accuracy - against)
                mean = float((accuracy - against).mean())
                lines.append((data_set, source, place, mean, low, high, len(random)))
    names = ["data_set", "source", "place", "difference", "low", "high", "random_initialisations"]
    return pd.DataFrame(lines, columns=names)


def fine_tuning(options: argparse.Namespace) -> pd.DataFrame:
    """Summary tables of experiments that fine-tune everything, and train from scratch."""
    tables = []
    for photos in SETS:
        if photos.name not in FINE_TUNED:
            continue
        for weights in options.weights:
            result = run_experiment(
                {
                    "name": re.sub(r"\W+", "_", f"{photos.name}_from_{Path(weights).name}"),
                    "data": {
                        "folder": str(options.images / photos.folder),
                        "group_pattern": photos.group_pattern,
                        "train_per_class": photos.per_class,
                    },
                    "backbone": {"name": BACKBONE, "weights": weights, "image_size": SIDE},
                    "strategies": ["from_scratch", "feature_extraction", "fine_tuning"],
                    "fine_tuning": {"unfrozen_blocks": ["all"]},
                    "seeds": options.seeds,
                    "results_dir": str(options.runs),
                    "export": False,
                }
            )
            paired = against_from_scratch(result.runs)
            tables.append(paired.assign(data_set=photos.name, source=Path(weights).name))
    return pd.concat(tables)


def against_from_scratch(runs: pd.DataFrame) -> pd.DataFrame:
    """Test accuracy of each strategy, and its gain over from scratch, paired by seed."""
    wide = runs.pivot_table("test_accuracy", "seed", "strategy")
    lines = []
    for strategy in wide:
        gain = (wide[strategy] - wide["from_scratch"]).to_numpy()
        low, high = interval(gain)
        lines.append((strategy, wide[strategy].mean(), gain.mean(), low, high, len(gain)))
    names = ["strategy", "test_accuracy", "gain", "gain_low", "gain_high", "seeds"]
    return pd.DataFrame(lines, columns=names)


def _last_and_best(rows: pd.DataFrame) -> list[tuple[str, str, np.ndarray]]:
    table = rows.pivot_table("accuracy", "depth", "draw")
    names = rows.drop_duplicates("depth").set_index("depth")["block"]
    best = int(table.mean(axis=1).to_numpy().argmax())
    places = (("last", len(table) - 1), ("best", best))
    return [(place, names[depth], table.loc[depth].to_numpy()) for place, depth in places]


def interval(values: np.ndarray) -> tuple[float, float]:
    """95% Student interval of the mean."""
    margin = stats.sem(values) * stats.t.ppf(0.975, len(values) - 1)
    return float(values.mean() - margin), float(values.mean() + margin)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("measurement", choices=["probes", "fine-tuning"])
    parser.add_argument("--images", type=Path, required=True, help="folder with the sets' folders")
    parser.add_argument(
        "--weights", nargs="+", default=["bundled"], help="sources: bundled, files or folders"
    )
    parser.add_argument("--imagenet", help="ImageNet weights of MobileNetV2, to compare with")
    parser.add_argument("--random", type=int, default=3, help="random initialisations")
    parser.add_argument("--draws", type=int, default=10, help="draws of the training images")
    parser.add_argument("--seeds", type=int, default=5, help="seeds of fine-tuning")
    parser.add_argument("--output", type=Path, default=Path("results/reference"))
    parser.add_argument("--runs", type=Path, default=Path("results"), help="fine-tuning's results")
    return parser


if __name__ == "__main__":
    main()
