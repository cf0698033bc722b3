"""What the advice is worth, before training and after: its regret on test beside other rules.

    python -m benchmarks.advice --images DATA --weights FILE [--backbone file]

For sets of photos and training sizes, every seed is advised on its own training and validation
images. What was advised is then trained, and so is what the fixed rules say: always the probe
(averaged over good blocks), always the top (a head on the whole frozen backbone), always everything
(all blocks fine-tuned), always one middle block (a head on it). Two rules choose among what was
trained on the whole backbone: what an experiment with these strategies hands over, and the lowest
validation loss. Regret is the mean test accuracy of the candidate that is best in hindsight, of all
that were trained for the case, less that of the rule. Of an advised range of depths the one with
the lowest `selection_loss` counts. Writes advice.csv, a row per network, case and rule; a case that
a set has too few photos for is left out.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from benchmarks.representation import BRICKS
from benchmarks.rows import keep_in_table
from benchmarks.source_models import (
    SETS,
    PhotoSet,
    ask_for_network,
    load_network,
    network_name,
)
from tl_keras.config.files import parse_config
from tl_keras.errors import TooFewImagesError
from tl_keras.experiment.advise import advise
from tl_keras.experiment.stages import run_experiment

DEPTHS = (4, "all")
WHOLE = ("linear_probe", "feature_extraction", "fine_tuning")
# Training images per class, beside those of `SETS`.
LARGER = {"steel": 40, "digits": 30, "cats and dogs": 50}
# Validation images per class; ten faces of a person do not suffice for more.
VALIDATION = {"faces": 2}
MOST_VALIDATION = 10
RULES = {
    "always the probe": "linear_probe",
    "always the top": "feature_extraction",
    "always everything": "fine_tuning all",
}


def main() -> None:
    """Measure the cases asked for; rows of others stay as they are."""
    options = _parser().parse_args()
    for photos in (*SETS, BRICKS):
        for size in options.sizes or (photos.per_class, LARGER.get(photos.name)):
            for grouped, name in _grouped(photos, size):
                if size is None or options.only not in name:
                    continue
                try:
                    with TemporaryDirectory() as results:
                        regrets = Case(options, grouped, size, results).regrets(name)
                except TooFewImagesError as error:
                    print(f"{name}: {error}", flush=True)
                    continue
                regrets = regrets.assign(
                    network=network_name(options), image_size=options.image_size
                )
                keep_in_table(options.output, regrets, "case", "network", "image_size")


def _grouped(photos: PhotoSet, size: int | None) -> Iterator[tuple[PhotoSet, str]]:
    """The set and its name; where photos belong together, also as if nobody knew."""
    yield photos, f"{photos.name}, {size} per class"
    if photos.group_pattern is not None:
        alone = replace(photos, group_pattern=None)
        yield alone, f"{photos.name} without groups, {size} per class"


class Case:
    """A set of photos and a training size."""

    def __init__(
        self,
        options: argparse.Namespace,
        photos: PhotoSet,
        size: int,
        results: str,
    ) -> None:
        self._config: dict[str, Any] = {
            "data": {
                "folder": str(options.images / photos.folder),
                "group_pattern": photos.group_pattern,
                "train_per_class": size,
                "validation_per_class": VALIDATION.get(photos.name, MOST_VALIDATION),
            },
            "backbone": {
                "name": options.backbone,
                "weights": options.weights,
                "image_size": options.image_size,
            },
            "fine_tuning": {"unfrozen_blocks": list(DEPTHS)},
            "seeds": options.seeds,
            "export": False,
            "results_dir": results,
        }
        self._seeds = options.seeds
        names = load_network(options, options.image_size).block_names
        self._middle = names[(len(names) + 1) // 2]
        self._runs: dict[str, pd.DataFrame] = {}
        self._chosen: dict[str, str] = {}

    def regrets(self, name: str) -> pd.DataFrame:
        """A row per rule."""
        whole = self._run("top", WHOLE)
        after = {
            "an experiment's choice": self._chosen["top"],
            "the lowest validation loss": min(
                whole, key=lambda rule: float(self._runs[rule]["validation_loss"].mean())
            ),
        }
        self._run(self._middle, ("feature_extraction",))
        advised = [self._advised(seed) for seed in range(self._seeds)]
        accuracy = {rule: self._accuracy(rule) for rule in self._runs}
        best = max(values.mean() for values in accuracy.values())
        followed = pd.Series([accuracy[rule][seed] for seed, rule in enumerate(advised)])
        rows = [{"rule": "advice", "accuracy": followed.mean(), "said": "; ".join(advised)}]
        middle = {"always one middle block": f"feature_extraction at {self._middle}"}
        rows += [
            {"rule": rule, "accuracy": accuracy[said].mean(), "said": said}
            for rule, said in (RULES | middle | after).items()
        ]
        table = pd.DataFrame(rows)
        table.insert(0, "case", name)
        return table.assign(regret=best - table["accuracy"], best=best, seeds=self._seeds)

    def _advised(self, seed: int) -> str:
        """What was advised, as the name of a candidate, which is trained if it is not there."""
        config = parse_config(self._config | {"name": "advice"})
        advice = advise(config, seed=seed)
        strategy = advice.strategy
        cut = "top" if strategy == "linear_probe" else advice.cut
        candidates = self._run(cut, (strategy,))
        losses = {rule: float(self._runs[rule]["selection_loss"][seed]) for rule in candidates}
        return min(losses, key=lambda rule: losses[rule])

    def _run(self, cut: str, strategies: tuple[str, ...]) -> list[str]:
        """Names of the candidates of these strategies at a cut, each trained once."""
        at = "" if cut == "top" else f" at {cut}"
        names = [name for strategy in strategies for name in _names(strategy, at)]
        if not all(name in self._runs for name in names):
            changed = {"name": f"at_{cut}", "strategies": list(strategies)}
            backbone = self._config["backbone"] | {"cut": cut}
            result = run_experiment(self._config | changed | {"backbone": backbone})
            runs = result.runs
            kinds = runs["strategy"] + runs["unfrozen_blocks"].map(
                lambda depth: "" if depth == "0" else f" {depth}"
            )
            for name, rows in runs.groupby(kinds + at):
                self._runs[str(name)] = rows.set_index("seed")
                if (rows["run_id"] == result.choice.run_id).any():
                    self._chosen[cut] = str(name)
        return names

    def _accuracy(self, rule: str) -> pd.Series:
        return self._runs[rule]["test_accuracy"]


def _names(strategy: str, at: str) -> Iterator[str]:
    depths = [f" {depth}" for depth in DEPTHS] if strategy == "fine_tuning" else [""]
    return (f"{strategy}{depth}{at}" for depth in depths)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--images", type=Path, required=True, help="folder with the sets' folders")
    ask_for_network(parser)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="+", help="training images per class")
    parser.add_argument("--only", default="", metavar="TEXT", help="cases whose name has this")
    parser.add_argument(
        "--output", type=Path, default=Path("results/reference/advice.csv"), help="a CSV file"
    )
    return parser


if __name__ == "__main__":
    main()
