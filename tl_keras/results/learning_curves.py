"""Learning curves of the strategies: as a table, and what they say in words."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from tl_keras.evaluation.comparison import points, verdict
from tl_keras.evaluation.intervals import Interval
from tl_keras.evaluation.power_law import LearningCurve, fit_learning_curve
from tl_keras.results.test_results import TestResults, by_strategy, strategy_name
from tl_keras.strategy_table import REFERENCE, STRATEGIES, names_where

MORE_PHOTOS = 50
# Of the largest size: beyond, a law fitted to what was measured is no measurement any more.
FARTHEST = 2.0


@dataclass(frozen=True)
class Curve:
    """The learning curve of one strategy and depth.

    Attributes:
        strategy: as in `runs.csv`.
        unfrozen_blocks: likewise; None of a search, which may win with another depth in every size.
        runs: by training images per class, the rows of `runs.csv`.
        measured: by training images per class, the accuracy with its interval.
        law: fitted to them.
    """

    strategy: str
    unfrozen_blocks: str | None
    runs: Mapping[int, pd.DataFrame]
    measured: Mapping[int, Interval]
    law: LearningCurve

    @property
    def name(self) -> str:
        """For people."""
        return strategy_name(vars(self))

    @property
    def largest(self) -> int:
        return max(self.measured)

    def more_photos(self, photos: int, classes: int) -> dict[str, Any]:
        """What so many more labelled photos, spread over the classes, would buy, for JSON."""
        per_class = photos / classes
        size = self.largest + per_class
        return {
            "photos": photos,
            "train_per_class": size,
            "beyond_measured": size / self.largest,
            "accuracy": _bounds(self.law.at(size)),
            "gain": _bounds(self.law.gain(self.largest, size)),
        }


def learning_curves(runs: pd.DataFrame, results: TestResults) -> list[Curve]:
    """One for every strategy and depth with at least two training sizes.

    Args:
        runs: as `runs.csv`; those that train on all images of a class are left out, because their
            size differs by class.
        results: predictions of the same runs.
    """
    trivial = runs["strategy"].isin(names_where(lambda spec: spec.trivial))
    learned = runs[~trivial & runs["train_per_class"].notna()]
    methods: dict[tuple[str, str | None], dict[int, pd.DataFrame]] = {}
    for keys, group in by_strategy(learned):
        searched = STRATEGIES[keys["strategy"]].searches
        depth = None if searched else keys["unfrozen_blocks"]
        method = (str(keys["strategy"]), depth)
        methods.setdefault(method, {})[int(keys["train_per_class"])] = group
    return [
        Curve(
            *method,
            dict(sorted(sizes.items())),
            {size: results.accuracy(group) for size, group in sorted(sizes.items())},
            fit_learning_curve(
                {size: results.answers(group) for size, group in sizes.items()},
                results.answer_groups(next(iter(sizes.values()))),
            ),
        )
        for method, sizes in methods.items()
        if len(sizes) > 1
    ]


def curve_table(curves: Sequence[Curve]) -> pd.DataFrame:
    """Measured and fitted accuracies.

    Returns:
        `strategy, unfrozen_blocks, train_per_class, kind` (measured or fitted), `accuracy`,
        `accuracy_low`, `accuracy_high` (95% interval); the fitted ones at 25 sizes up to twice the
        largest that was measured.
    """
    rows = []
    for curve in curves:
        ahead = np.geomspace(min(curve.measured), FARTHEST * curve.largest, 25)
        fitted = {float(size): curve.law.at(size) for size in ahead}
        for kind, sizes in (("measured", curve.measured), ("fitted", fitted)):
            for size, interval in sizes.items():
                rows.append(
                    {
                        "strategy": curve.strategy,
                        "unfrozen_blocks": curve.unfrozen_blocks,
                        "train_per_class": float(size),
                        "kind": kind,
                        "accuracy": interval.estimate,
                        "accuracy_low": interval.low,
                        "accuracy_high": interval.high,
                    }
                )
    return pd.DataFrame(rows)


def expected_accuracy(
    table: pd.DataFrame, run: Mapping[str, Any], more: float
) -> dict[str, float] | None:
    """What a strategy's learning curve says of more photos than it was measured with.

    Args:
        table: as `curve_table` gives it.
        run: a row of `runs.csv`, of the largest size.
        more: how many times the photos that the run learned from.

    Returns:
        estimate, low and high (95% interval), and by how many times the photos they are for: more
        than `FARTHEST` are as good as these. None where the strategy has no curve.
    """
    own = table["strategy"] == run["strategy"]
    depth = table["unfrozen_blocks"].astype("string")
    own &= depth.isna() | (depth == str(run["unfrozen_blocks"]))
    fitted = table[own & (table["kind"] == "fitted")].sort_values("train_per_class")
    if not len(fitted):
        return None
    largest = float(table.loc[own & (table["kind"] == "measured"), "train_per_class"].max())
    times = min(more, FARTHEST)
    sizes = np.log(fitted["train_per_class"].astype(float))
    found = {
        name: float(np.interp(np.log(times * largest), sizes, fitted[column]))
        for name, column in (
            ("estimate", "accuracy"),
            ("low", "accuracy_low"),
            ("high", "accuracy_high"),
        )
    }
    return {**found, "times": times}


def curve_facts(curves: Sequence[Curve], results: TestResults) -> dict[str, Any]:
    """What the curves say, as JSON types.

    Args:
        curves: from `learning_curves`.
        results: that they were made of.

    Returns:
        `laws`: per strategy its parameters and what 50 more photos would buy; `overtaking`: for
        every depth of fine-tuning a sentence on where it overtakes feature extraction;
        `sentences`: all of it in words.
    """
    laws = [
        {
            "strategy": curve.strategy,
            "unfrozen_blocks": curve.unfrozen_blocks,
            "name": curve.name,
            "asymptote": float(curve.law.law.asymptote[0]),
            "scale": float(curve.law.law.scale[0]),
            "exponent": float(curve.law.law.exponent[0]),
            "measured": curve.measured[curve.largest].estimate,
            "more_photos": curve.more_photos(MORE_PHOTOS, len(results.classes)),
        }
        for curve in curves
    ]
    overtaking = list(_overtaking(curves, results))
    bought = [_more_sentence(law) for law in laws if STRATEGIES[str(law["strategy"])].borrows]
    return {"laws": laws, "overtaking": overtaking, "sentences": [*overtaking, *bought]}


def is_expected_to_help(law: Mapping[str, Any]) -> bool:
    """Whether a curve promises of more photos what could be measured.

    The law is fitted to all sizes, and may lie below the accuracy that was measured at the largest:
    what it says of more photos is then no promise.

    Args:
        law: of `curve_facts`.
    """
    more = law["more_photos"]
    gains = points(more["gain"]["estimate"]) != points(0)
    return bool(gains and more["accuracy"]["estimate"] > law["measured"])


def _more_sentence(law: Mapping[str, Any]) -> str:
    more = law["more_photos"]
    gain = more["gain"]
    if law["measured"] == 1:
        return (
            f"{law['name']}: every test photo was answered rightly, so that what more photos would "
            "add cannot be told; it takes more test photos."
        )
    gained = f"{points(gain['estimate'])} points [{points(gain['low'])}, {points(gain['high'])}]"
    photos = (
        f"{more['photos']} more labelled photos ({more['train_per_class']:.0f} training photos per "
        "class)"
    )
    if not is_expected_to_help(law):
        return (
            f"{law['name']}: {photos} are not expected to raise the measured "
            f"{law['measured']:.3f}: the curve that fits all sizes rises by {gained}, and not "
            "above that."
        )
    far = (
        f"; that is {more['beyond_measured']:.1f} times the largest size measured, so take it as "
        "a guess"
        if more["beyond_measured"] > FARTHEST
        else ""
    )
    return (
        f"{law['name']}: {photos} would add about {gained}, to "
        f"{more['accuracy']['estimate']:.3f} [{more['accuracy']['low']:.3f}, "
        f"{more['accuracy']['high']:.3f}]{far}."
    )


def _overtaking(curves: Sequence[Curve], results: TestResults) -> Iterator[str]:
    """From which measured size on fine-tuning is better than feature extraction."""
    reference = next((curve for curve in curves if curve.strategy == REFERENCE), None)
    for curve in curves:
        if STRATEGIES[curve.strategy].asks_depths and reference is not None:
            outcomes = {
                size: _outcome(runs, reference.runs[size], results)
                for size, runs in curve.runs.items()
                if size in reference.runs
            }
            yield f"{curve.name} {_overtaking_words(outcomes)}."


def _outcome(own: pd.DataFrame, reference: pd.DataFrame, results: TestResults) -> str:
    found = results.difference(own, reference)
    return "unknown" if found is None else verdict(found[0], "", "").outcome


def _overtaking_words(outcomes: Mapping[int, str]) -> str:
    """What the verdicts by size say, after the name of the strategy."""
    sizes = list(outcomes)
    reach = f"from {sizes[0]} to {sizes[-1]} training photos per class"
    reference = STRATEGIES[REFERENCE].label
    better = [size for size in sizes if outcomes[size] == "better"]
    lasting = [size for size in sizes if all(outcomes[s] == "better" for s in sizes if s >= size)]
    if lasting and lasting[0] == sizes[0]:
        return f"is better than {reference} {reach}"
    if lasting:
        return f"overtakes {reference} at {lasting[0]} training photos per class"
    if better:
        listed = ", ".join(map(str, better))
        return f"is better than {reference} at {listed} per class, but not beyond"
    if all(outcome == "worse" for outcome in outcomes.values()):
        return f"is worse than {reference} {reach}"
    return f"does not clearly overtake {reference} {reach}"


def _bounds(interval: Interval) -> dict[str, float]:
    kept = asdict(interval)
    return {name: kept[name] for name in ("estimate", "low", "high")}
