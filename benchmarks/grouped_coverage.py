"""Cases of `benchmarks.coverage` with few groups of about ten images that are alike.

`one model`: the accuracy of an export or a card. `decision`: every figure of a decision rule; the
images of a group share half of the variance of their scores, and are of one class (`parts`) or of
both (`pictures`). `probe`: the cross-validated accuracy of a block. Truths of decisions are those
of 400,000 images, that of a probe is the mean over the repeats.
"""

from collections.abc import Iterator
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm

from tl_keras.config.schema import DecisionConfig
from tl_keras.evaluation.calibration import fit_temperature, temperature_draws
from tl_keras.evaluation.decision_rule import DecisionRule
from tl_keras.evaluation.figures import Figure, around
from tl_keras.evaluation.intervals import accuracy_interval
from tl_keras.evaluation.pooled_predictions import HeldOut, Predictions
from tl_keras.evaluation.rule_figures import RuleFigures
from tl_keras.transfer.probing import cross_validate

# Truth, and the bounds of an interval for it.
Bounds = tuple[float, float, float]
FEW_GROUPS, OF_ONE = (5, 10, 20, 40), 10
# How far the classes lie apart, in deviations, and how many times too large the logits are.
APART, TOO_SURE = 1.8, 1.5
DIMENSIONS = 8


def export_cases(repeats: int) -> Iterator[dict[str, object]]:
    """Accuracy of one model, with and without knowledge of the groups."""
    for accuracy, groups, even in product((0.8, 0.95), FEW_GROUPS, (True, False)):
        random = np.random.default_rng([round(100 * accuracy), groups, even])
        found: dict[bool, list[Bounds]] = {False: [], True: []}
        for _ in range(repeats):
            group = _groups(random, groups, even)
            alike = random.standard_normal(groups)[group]
            own = random.standard_normal(len(group))
            correct = norm.ppf(accuracy) + 0.5**0.5 * (alike + own) > 0
            for known, bounds in found.items():
                interval = accuracy_interval(correct[np.newaxis], groups=group if known else None)
                bounds.append((accuracy, interval.low, interval.high))
        case = f"accuracy {accuracy}, {'even' if even else 'uneven'} groups"
        for known, bounds in found.items():
            yield _row("one model", case, groups, OF_ONE, known, bounds)


def decision_cases(repeats: int) -> Iterator[dict[str, object]]:
    """Every figure of a decision; last where no image shares its group."""
    counts = [*((groups, OF_ONE) for groups in FEW_GROUPS), (200, 1)]
    for kind, (groups, of_one) in product(("parts", "pictures"), counts):
        random = np.random.default_rng([groups, of_one, kind == "parts"])
        truths = _figures(_photos(random, 400_000 // of_one, of_one, kind))
        truths["temperature"] = {"estimate": TOO_SURE}
        found: dict[str, list[Bounds]] = {name: [] for name in truths}
        for _ in range(repeats):
            photos = _photos(random, groups, of_one, kind)
            for name, figure in (_figures(photos) | {"temperature": _temperature(photos)}).items():
                if figure is not None:
                    bounds = truths[name]["estimate"], figure["low"], figure["high"]
                    found[name].append(bounds)
        for name, all_bounds in found.items():
            yield _row(f"decision, {kind}", name, groups, of_one, of_one > 1, all_bounds)


def probe_cases(repeats: int) -> Iterator[dict[str, object]]:
    """Accuracy of a probe on parts of one class each, which share half of their variance."""
    for groups in FEW_GROUPS:
        random = np.random.default_rng(groups)
        tables = []
        for _ in range(repeats):
            group = np.arange(groups).repeat(OF_ONE)
            alike = random.standard_normal((groups, DIMENSIONS))[group]
            values = 0.5**0.5 * (alike + random.standard_normal(alike.shape))
            values[:, 0] += APART * (group % 2)
            tables.append(cross_validate([("only", values)], group % 2, group, repeats=1).head(1))
        found = pd.concat(tables)[["accuracy", "accuracy_low", "accuracy_high"]].to_numpy()
        truth = float(found[:, 0].mean())
        bounds = [(truth, low, high) for _, low, high in found.tolist()]
        yield _row("probe", f"accuracy {truth:.2f}", groups, OF_ONE, True, bounds)


def _groups(random: np.random.Generator, groups: int, even: bool) -> NDArray[np.int64]:
    sizes = np.full(groups, OF_ONE) if even else random.geometric(1 / OF_ONE, groups)
    return np.arange(groups).repeat(sizes)


def _photos(random: np.random.Generator, groups: int, of_one: int, kind: str) -> Predictions:
    group = np.arange(groups).repeat(of_one)
    labels = (group if kind == "parts" else np.arange(len(group))) % 2
    alike, own = random.standard_normal(groups)[group], random.standard_normal(len(group))
    score = APART * (0.5 - labels) + 0.5**0.5 * (alike + own)
    # the right logits are those of two normal distributions
    bad = 1 / (1 + np.exp(-TOO_SURE * APART * score))
    return Predictions(np.arange(len(group)), labels, np.stack([bad, 1 - bad], axis=1), group)


def _figures(photos: Predictions) -> dict[str, Figure]:
    rule = DecisionRule(("bad", "good"), TOO_SURE, (1.0, 1.0), ("bad",), 0.25, 0.1)
    tested = RuleFigures(rule, DecisionConfig(miss_cost=3.0), photos).tested()
    shares = ("recall", "false_alarm_rate", "precision", "auroc", "average_precision")
    costs = ("rule", "rule_less_most_probable_class")
    return {
        **{name: tested[name] for name in shares},
        **{f"cost, {name}": tested["cost_per_100"][name] for name in costs},
        **{f"review, {name}": figure for name, figure in tested["review"].items()},
    }


def _temperature(photos: Predictions) -> Figure:
    pooled = HeldOut.pooled([photos], np.array([0.5, 0.5]))
    return around(fit_temperature(pooled), temperature_draws(pooled))


def _row(
    estimate: str, case: str, groups: int, of_one: int, known: bool, bounds: list[Bounds]
) -> dict[str, object]:
    truth, low, high = np.array(bounds).T
    return {
        "estimate": estimate,
        "case": case,
        "runs": 1,
        "images": groups * of_one,
        "images_per_group": of_one,
        "groups_known": known,
        "repeats": len(bounds),
        "coverage": round(float(np.mean((low <= truth) & (truth <= high))), 4),
        "mean_width": round(float(np.mean(high - low)), 4),
    }
