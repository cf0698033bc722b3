"""What was tried for the bundled source model: short trainings that differ in one thing each.

    python -m benchmarks.source_trials --images DATA

Runs `tl-keras pretrain` for every variant on about 80,000 crops, an eleventh of the
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
    if options.trained:
        name, folder = options.trained
        _keep(options.output, name, probed(name, "", Path(folder), options.images))
        return
    for variant in options.variants or VARIANTS:
        _keep(options.output, variant, trial(variant, options.images))


def _keep(path: Path, variant: str, rows: pd.DataFrame) -> None:
    """Put the rows of one variant into the table, in place of older ones."""
    table = rows
    if path.exists():
        old = pd.read_csv(path)
        table = pd.concat([old[old["variant"] != variant], rows])
    table.to_csv(path, index=False)
    print(rows.to_string(index=False), flush=True)


def trial(variant: str, images: Path) -> pd.DataFrame:
    """Rows of one variant: a data set and the last or best block each."""
    with TemporaryDirectory() as place:
        folder = Path(place)
        settings = [*SHORT, *VARIANTS[variant], f"output={folder / 'model'}"]
        sets = [word for text in (*settings, f"work={folder / 'work'}") for word in ("--set", text)]
        _run("-m", "tl_keras", "pretrain", str(TASK), *sets)
        settings_text = " ".join((*SHORT, *VARIANTS[variant]))
        return probed(variant, settings_text, folder / "model", images)


def probed(variant: str, settings: str, model: Path, images: Path) -> pd.DataFrame:
    """The probes of a source model, with what its card says of its training."""
    with TemporaryDirectory() as place:
        probes = ["--weights", str(model.resolve()), "--random", "0", "--output", place]
        _run("-m", "benchmarks.source_models", "probes", "--images", str(images.resolve()), *probes)
        rows = pd.read_csv(Path(place) / "source_probes.csv").drop(columns="source")
    card = json.loads((model / "card.json").read_text())
    facts = {
        "variant": variant,
        "settings": settings,
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
    parser.add_argument(
        "--trained", nargs=2, metavar=("NAME", "FOLDER"), help="probe a finished model in place"
    )
    parser.add_argument("--output", type=Path, default=ROOT / "results" / "source_models.csv")
    return parser


if __name__ == "__main__":
    main()
