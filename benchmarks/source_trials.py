"""What was tried for the bundled source model: short trainings that differ in one thing each.

    python -m benchmarks.source_trials --images DATA

Runs `python -m tl_keras.pretrain` for every variant on about 80,000 crops, an eleventh of the
training of the bundled model, and writes the probes of each to results/source_models.csv. DATA
holds the folders of `SETS` in source_models.py. About five minutes a variant on two cores.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

ROOT = Path(__file__).parents[1]
TASK = ROOT / "experiments" / "source_textures.json"
SHORT = (
    "generated.classes=288",
    "generated.images_per_class=92",
    "epochs=3",
)
VARIANTS: dict[str, tuple[str, ...]] = {
    "classes alone": ("auxiliary_blocks=[]", "picture_weight=0"),
    "auxiliary classifiers": ("picture_weight=0",),
    "auxiliary classifiers, picture": (),
    "picture": ("auxiliary_blocks=[]",),
    "1152 classes of 23": ("generated.classes=1152", "generated.images_per_class=23"),
    "label smoothing 0.1": ("label_smoothing=0.1",),
    "whole pictures": ("crop_area=[1.0, 1.0]",),
}


def main() -> None:
    """Train and probe the variants asked for; rows of others stay as they are."""
    options = _parser().parse_args()
    for variant in options.variants or VARIANTS:
        table = trial(variant, options.images)
        if options.output.exists():
            old = pd.read_csv(options.output)
            table = pd.concat([old[old["variant"] != variant], table])
        table.to_csv(options.output, index=False)
        print(table[table["variant"] == variant].to_string(index=False), flush=True)


def trial(variant: str, images: Path) -> pd.DataFrame:
    """Rows of one variant: a data set and the last or best block each."""
    with TemporaryDirectory() as place:
        folder = Path(place)
        settings = [*SHORT, *VARIANTS[variant], f"output={folder / 'model'}"]
        sets = [word for text in (*settings, f"work={folder / 'work'}") for word in ("--set", text)]
        _run("-m", "tl_keras.pretrain", str(TASK), *sets)
        probes = ["--weights", str(folder / "model"), "--random", "0", "--output", place]
        _run("-m", "benchmarks.source_models", "probes", "--images", str(images.resolve()), *probes)
        card = json.loads((folder / "model" / "card.json").read_text())
        rows = pd.read_csv(folder / "source_probes.csv").drop(columns="source")
    facts = {
        "variant": variant,
        "settings": " ".join((*SHORT, *VARIANTS[variant])),
        "training_images": card["images"],
        "classes": card["classes"],
        "epochs": card["epochs"],
        "seconds": card["seconds"],
        "held_out_accuracy": card["held_out_accuracy"],
    }
    for position, (name, value) in enumerate(facts.items()):
        rows.insert(position, name, value)
    return rows


def _run(*arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], check=True, cwd=ROOT)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--images", type=Path, required=True, help="folder with the sets' folders")
    parser.add_argument("--variants", nargs="*", choices=list(VARIANTS), help="all by default")
    parser.add_argument("--output", type=Path, default=ROOT / "results" / "source_models.csv")
    return parser


if __name__ == "__main__":
    main()
