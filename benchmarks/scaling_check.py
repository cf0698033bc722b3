"""Whether a wrong scaling of pixels is found, and no right one is doubted.

    python -m benchmarks.scaling_check --images DATA --weights MOBILENETV2 MOBILENET_025 OWN

DATA holds the folders of `benchmarks.source_models.SETS`; the weights are those of MobileNetV2, of
MobileNet with alpha 0.25 (both without classifier) and the .keras file of a network that wants
-1 to 1. Beside these three and the bundled source stand two with another scaling built in: a first
convolution and its BatchNorm that take over the difference compute the same from other pixels. Each
is saved as a .keras file. Ten draws of 40 photos are looked at with every usual scaling, one of
which is right. Writes scaling_check.csv, a row per network, draw and scaling given; the planted
ones are one wrong scaling for each network and draw, taken in turn. What is found from the file
alone, with nothing given, stands in `found`.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import keras
import numpy as np
import pandas as pd

from benchmarks.representation import BRICKS
from benchmarks.source_models import SETS, PhotoSet, load_photos
from tl_keras.backbone_table import NamedScaling, Scaling, as_setting
from tl_keras.models.networks import scaling_layer
from tl_keras.models.own_network.scaling_fit import USUAL, better_scaling, scaling_of_source
from tl_keras.models.pretrained import load_given

SIDE, PHOTOS = 128, 40
DRAWS = {"steel": 2, "cells": 2, "digits": 1, "cats and dogs": 2, "faces": 1, "brick cracks": 2}
BUILT_IN: dict[str, NamedScaling] = {"MobileNetV2": "torch", "own": "caffe"}


def main() -> None:
    """Measure, write the table and print the shares."""
    options = _parser().parse_args()
    photos = dict(_drawn(options.images))
    with TemporaryDirectory() as folder:
        rows = [
            row
            for name, right, network in _networks(options.weights, Path(folder))
            for row in _looked_at(name, right, network, photos)
        ]
    table = pd.DataFrame(rows)
    table["planted"] = _planted(table)
    table.to_csv(options.output, index=False)
    wrong, right = table[table["given"] != table["right"]], table[table["given"] == table["right"]]
    for words, part in (("planted", table[table["planted"]]), ("all wrong", wrong)):
        named = (part["fits"] == part["right"]).mean()
        print(f"{words}: {part['fits'].notna().mean():.1%} of {len(part)}, rightly {named:.1%}")
    print(f"right ones that are doubted: {right['fits'].notna().sum()} of {len(right)}")
    print(f"found from the file: {(right['found'] == right['right']).mean():.1%}")


def _drawn(images: Path) -> Iterator[tuple[str, np.ndarray]]:
    sets: tuple[PhotoSet, ...] = (*SETS, BRICKS)
    for photos in sets:
        pixels, _, _ = load_photos(images, photos, SIDE)
        order = np.random.default_rng(0).permutation(len(pixels))
        for draw in range(DRAWS[photos.name]):
            yield f"{photos.name} {draw}", pixels[order[draw * PHOTOS : (draw + 1) * PHOTOS]]


def _networks(weights: list[str], folder: Path) -> Iterator[tuple[str, Scaling, keras.Model]]:
    """Names, right scalings and networks, each read from a file of its own."""
    of_v2, of_v1, own = weights
    built = {
        "MobileNetV2": load_given("MobileNetV2", weights=of_v2, image_size=SIDE, alpha=None),
        "MobileNet 0.25": load_given("MobileNet", weights=of_v1, image_size=SIDE, alpha=0.25),
        "bundled": load_given("MobileNetV2", weights="bundled", image_size=SIDE, alpha=None),
        "own": load_given("file", weights=own, image_size=SIDE, alpha=None, scaling="tf"),
    }
    wanted: NamedScaling = "tf"
    variants = [(name, wanted, backbone.model) for name, (backbone, _) in built.items()]
    variants += [(name, to, built[name][0].model) for name, to in BUILT_IN.items()]
    for number, (name, to, model) in enumerate(variants):
        before = model.get_weights()
        if to != "tf":
            _build_in(model, to)
        path = folder / f"{number}.keras"
        model.save(path)
        model.set_weights(before)
        read, _ = load_given("file", weights=path, image_size=SIDE, alpha=None, scaling=to)
        yield f"{name} for {to}", to, read.model


def _build_in(model: keras.Model, scaling: Scaling) -> None:
    """Let a network that wants -1 to 1 compute the same from pixels scaled otherwise."""
    convolution = next(each for each in model.layers if isinstance(each, keras.layers.Conv2D))
    norm = next(each for each in model.layers if isinstance(each, keras.layers.BatchNormalization))
    # what black, red, green and blue pixels become tells all of a linear map
    colours = np.concatenate([np.zeros((1, 3)), 255 * np.eye(3)]).reshape(1, 4, 1, 3)
    have, want = (
        np.asarray(scaling_layer(each)(colours.astype("float32")), float).reshape(4, 3)
        for each in (scaling, "tf")
    )
    matrix = np.linalg.solve(have[1:] - have[0], want[1:] - want[0])
    shift = want[0] - have[0] @ matrix
    kernel = np.asarray(convolution.kernel, float)
    convolution.kernel.assign(np.einsum("hwco,dc->hwdo", kernel, matrix))
    norm.moving_mean.assign(norm.moving_mean - np.einsum("hwco,c->o", kernel, shift))


def _looked_at(
    name: str, right: Scaling, network: keras.Model, photos: dict[str, np.ndarray]
) -> Iterator[dict[str, object]]:
    found = scaling_of_source(network)
    for drawn, pixels in photos.items():
        for given in USUAL:
            fits = better_scaling(network, given, pixels)
            yield {
                "network": name,
                "photos": drawn,
                "right": as_setting(right),
                "given": as_setting(given),
                "fits": None if fits is None else as_setting(fits),
                "found": None if found is None else as_setting(found),
            }


def _planted(table: pd.DataFrame) -> np.ndarray:
    """One wrong scaling for each network and draw: the next one each time."""
    planted = np.zeros(len(table), bool)
    wrong = table[table["given"] != table["right"]].groupby(["network", "photos"], sort=False)
    for turn, (_, part) in enumerate(wrong):
        planted[part.index[turn % len(part)]] = True
    return planted


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--images", type=Path, required=True, help="folder with the sets' folders")
    parser.add_argument("--weights", nargs=3, required=True, help="the three files")
    parser.add_argument(
        "--output", type=Path, default=Path("results/reference/scaling_check.csv"), help="a CSV"
    )
    return parser


if __name__ == "__main__":
    main()
