"""The experiments that are measured whole, by the names that benchmarks know them by.

first_command          the README's first command, experiments/defects.json;
steel_five_strategies  five strategies, 10 training images per class, three seeds;
steel_probe            the linear probe alone, 20 per class, three seeds, with audit, advice,
                       learning curve, report and export;
steel_fine_tuning      fine-tuning of all blocks alone, 20 per class, one seed, 12 epochs, without
                       learning curve and export.

The last three take photos and weights that do not come with the package: a folder of photos, one
sub-folder per class, and the weights of MobileNetV2 without its classifier.
"""

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

FIRST = Path(__file__).parents[1] / "experiments" / "defects.json"

Config = dict[str, Any]


def add_inputs(parser: argparse.ArgumentParser) -> None:
    """Let the command line name photos and weights."""
    parser.add_argument("--images", type=Path, help="a folder of 900 photos or more")
    parser.add_argument("--weights", type=Path, help="a .weights.h5 file")


def _first_command(options: argparse.Namespace) -> Config:
    config: Config = json.loads(FIRST.read_text("utf-8"))
    return config


def _steel(per_class: int, options: argparse.Namespace, **keys: Any) -> Config:
    for name in ("images", "weights"):
        given = getattr(options, name)
        if given is None or not given.exists():
            raise SystemExit(
                "Not measured: steel experiments need --images, a folder of photos, and --weights, "
                f"a .weights.h5 file; got --{name} {given}, which is not there."
            )
    return {
        "name": "steel",
        "data": {"folder": str(options.images.resolve()), "train_per_class": per_class},
        "backbone": {
            "name": "MobileNetV2",
            "weights": str(options.weights.resolve()),
            "image_size": 96,
        },
        "seeds": 3,
        **keys,
    }


EXPERIMENTS: dict[str, Callable[[argparse.Namespace], Config]] = {
    "first_command": _first_command,
    "steel_five_strategies": partial(
        _steel,
        10,
        strategies=[
            "majority_class",
            "from_scratch",
            "linear_probe",
            "feature_extraction",
            "fine_tuning",
        ],
    ),
    "steel_probe": partial(_steel, 20, strategies=["linear_probe"]),
    "steel_fine_tuning": partial(
        _steel,
        20,
        strategies=["fine_tuning"],
        fine_tuning={"unfrozen_blocks": ["all"]},
        training={"phase_2": {"epochs": 12, "patience": 12}},
        seeds=1,
        learning_curve=False,
        export=False,
    ),
}
