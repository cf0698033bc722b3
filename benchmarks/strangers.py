"""How many strangers are told by which features and distances, and how many right photos refused.

    python -m benchmarks.strangers --images DATA --weights FILE [--only TEXT]

DATA holds the folders of `SETS`, of brick walls and of known photos; FILE are the weights of
MobileNetV2. For every set, number of labelled photos and draw of them, every score is fitted to
these alone and asked for photos of the same set (at most 600, none of a group of theirs), for the
labelled photos themselves, which everybody tries first, for those of the other sets (100 each) and
for the known photos, which show single things; refused is below 5%. Then some classes are left out,
one at a time: the AUROC says how well their photos are told from those
of the others. Scores were compared with steel, cells, digits, and cats and dogs against them in
view; bricks and faces were looked at when the choice stood. Writes strangers.csv, a row per set,
number of labelled photos, score and blocks.
"""

import argparse
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import ClassVar
from unittest import mock

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.metrics import roc_auc_score

from benchmarks.representation import BRICKS, DESIGNED_ON
from benchmarks.rows import keep_in_table
from benchmarks.source_models import BACKBONE, SETS, SIDE, PhotoSet, draws, load_photos
from tl_keras.data.given_pictures import given_pixels, resized
from tl_keras.models.backbone import Backbone
from tl_keras.models.sources.source_models import load_source
from tl_keras.transfer import familiarity
from tl_keras.transfer.familiar_network import features_of
from tl_keras.transfer.familiarity import BlockDistance, fit_familiarity, watched_blocks

SHARE, STRANGERS, LEFT_OUT = 0.05, 100, 3
KNOWN = "known_photos"
Features = Mapping[str, np.ndarray]


class Remembered(BlockDistance):
    """Distances that several scores share are fitted once."""

    known: ClassVar[dict[bytes, BlockDistance]] = {}

    @classmethod
    def of(cls, features: np.ndarray, labels: np.ndarray) -> "BlockDistance":
        key = sha256(features.tobytes() + labels.tobytes()).digest()
        if key not in cls.known:
            cls.known[key] = BlockDistance.of(features, labels)
        return cls(**vars(cls.known[key]))


class ClassMeans(Remembered):
    """The distance to the nearest class alone."""

    def logarithms(self, features: np.ndarray) -> np.ndarray:
        return np.log(self.to_class(features))[:, np.newaxis]


class NearestPhoto(Remembered):
    """The distance to the nearest labelled photo alone."""

    def logarithms(self, features: np.ndarray) -> np.ndarray:
        return np.log(self.to_photo(features))[:, np.newaxis]


class Far(Remembered):
    """Both of these."""

    def logarithms(self, features: np.ndarray) -> np.ndarray:
        return super().logarithms(features)[:, :1]


SCORES = {
    "class means": ClassMeans,
    "nearest photo": NearestPhoto,
    "both": Far,
    "both, and relative": Remembered,
}


def main() -> None:
    """Measure the sets asked for; rows of others stay as they are."""
    options = _parser().parse_args()
    model, _ = load_source(BACKBONE, image_size=SIDE, weights=options.weights)
    backbone = Backbone.wrap(BACKBONE, None, model)
    sets = {photos: load_photos(options.images, photos) for photos in (*SETS, BRICKS)}
    features = {
        photos.name: features_of(backbone, backbone.block_names, pixels, np.arange(len(pixels)))
        for photos, (pixels, *_) in sets.items()
    }
    known = _known_photos(options.images / KNOWN)
    everyone = np.arange(len(known))
    features[KNOWN] = features_of(backbone, backbone.block_names, known, everyone)
    for photos, (_, labels, groups) in sets.items():
        if options.only in photos.name:
            rows = _of_set(photos, features, labels, groups, options.draws)
            keep_in_table(options.output, _summary(pd.DataFrame(rows)), "trained_on")


def _known_photos(folder: Path) -> np.ndarray:
    files = sorted(path for path in folder.iterdir() if path.suffix in (".png", ".jpg"))
    pictures = [np.asarray(Image.open(file).convert("RGB")) for file in files]
    return resized(given_pixels(pictures), SIDE, "stretch")


def _of_set(
    photos: PhotoSet,
    features: Mapping[str, Features],
    labels: np.ndarray,
    groups: np.ndarray,
    count: int,
) -> Iterator[dict[str, object]]:
    """A row per number of labelled photos, draw, score and choice of blocks."""
    own = features[photos.name]
    several = (10, 20) if photos.per_class == 10 else (photos.per_class,)
    for per_class in several:
        for draw, (train, test) in enumerate(draws(labels, groups, per_class, count)):
            Remembered.known.clear()
            rng = np.random.default_rng(draw)
            left = rng.permutation(np.unique(labels))[:LEFT_OUT]
            for blocks, names in _choices(tuple(own)):
                read = {name: own[name] for name in names}
                others = {
                    name: {block: _some(values[block], rng) for block in names}
                    for name, values in features.items()
                    if name != photos.name
                }
                for score, kind in SCORES.items():
                    with mock.patch.object(familiarity, "BlockDistance", kind):
                        measured = _measured(read, labels, groups, train, test, others, left)
                    yield {
                        "trained_on": photos.name,
                        "designed_on": photos.name in (*DESIGNED_ON, "cats and dogs"),
                        "per_class": per_class,
                        "score": score,
                        "blocks": blocks,
                        **measured,
                    }


def _choices(every: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Which blocks are read, with what they are called."""
    yield "last", every[-1:]
    yield "middle", (every[len(every) // 2],)
    yield "watched", watched_blocks(every, every)
    yield (
        "watched, classifier ends in the middle",
        watched_blocks(every, every[: len(every) // 2 + 1]),
    )


def _some(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return values[rng.permutation(len(values))[:STRANGERS]]


def _measured(
    read: Features,
    labels: np.ndarray,
    groups: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
    others: Mapping[str, Features],
    left: np.ndarray,
) -> dict[str, float]:
    def familiar(rows: np.ndarray, asked: Features) -> np.ndarray:
        found = fit_familiarity(_rows(read, rows), labels[rows], groups[rows])
        assert found is not None, "photos enough for folds"
        return found.familiar(asked)

    asked = {"right": _rows(read, test), "labelled": _rows(read, train), **others}
    together = {name: np.concatenate([each[name] for each in asked.values()]) for name in read}
    parts = np.cumsum([len(next(iter(each.values()))) for each in asked.values()])[:-1]
    refused = [float(np.mean(part < SHARE)) for part in np.split(familiar(train, together), parts)]
    shares = {f"refused_{name.replace(' ', '_')}": share
              for name, share in zip(asked, refused, strict=True)}  # fmt: skip
    if len(np.unique(labels)) > 2:
        areas = [
            roc_auc_score(
                labels[test] == label, -familiar(train[labels[train] != label], _rows(read, test))
            )
            for label in left
        ]
        shares["class_left_out_auroc"] = float(np.mean(areas))
    most = SHARE + 1.645 * np.sqrt(SHARE * (1 - SHARE) * (1 / len(test) + 1 / (len(train) + 1)))
    return {**shares, "promise_kept": float(refused[0] <= most)}


def _rows(features: Features, rows: np.ndarray) -> dict[str, np.ndarray]:
    return {name: values[rows] for name, values in features.items()}


def _summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Means over draws."""
    keys = ["trained_on", "designed_on", "per_class", "score", "blocks"]
    groups = rows.groupby(keys, sort=False)
    return groups.mean().assign(draws=groups.size()).reset_index()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--images", type=Path, required=True, help="folder with the sets' folders")
    parser.add_argument("--weights", required=True, help="of MobileNetV2: a file or bundled")
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--only", default="", metavar="TEXT", help="sets whose name has this")
    parser.add_argument(
        "--output", type=Path, default=Path("results/reference/strangers.csv"), help="a CSV"
    )
    return parser


if __name__ == "__main__":
    main()
