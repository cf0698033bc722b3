"""A decision rule from validation photos: temperature, threshold and band of review."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tl_keras.config.schema import DecisionConfig
from tl_keras.evaluation.calibration import fit_temperature, temperature_draws
from tl_keras.evaluation.decision_rule import DecisionRule
from tl_keras.evaluation.figures import Figure, around
from tl_keras.evaluation.pooled_predictions import HeldOut
from tl_keras.evaluation.positive_classes import PositiveClasses, choose_positive
from tl_keras.evaluation.thresholds import (
    cheapest_thresholds,
    cost_threshold,
    recall_threshold,
    review_limit,
)

RESAMPLES = 1000


@dataclass(frozen=True)
class FittedRule:
    """A rule with what it rests on.

    Attributes:
        rule: The rule.
        positive: Which classes are to be found, and why.
        temperature: With its interval, given the validation photos.
        threshold: How it was found, as JSON types; None without one.
        served_threshold: With two classes, the threshold of the probability of the positive class
            as the model gives it, with its interval; else None.
    """

    rule: DecisionRule
    positive: PositiveClasses
    temperature: Figure
    threshold: dict[str, Any] | None
    served_threshold: Figure | None


def fit_rule(
    config: DecisionConfig,
    validation: HeldOut,
    class_factors: NDArray[np.float64],
    labelled: Mapping[str, int],
) -> FittedRule:
    """Fit the rule that a configuration asks for.

    Args:
        config: What is wanted.
        validation: At least one photo of every class.
        class_factors: As in `tl_keras.evaluation.calibration.calibrate`.
        labelled: Images outside the test split by class, in the order of the probabilities.
    """
    positive = choose_positive(config.positive, labelled)
    resampled = validation.resampled_weights(RESAMPLES, seed=0)
    temperature = fit_temperature(validation, class_factors)
    rule = DecisionRule(tuple(labelled), temperature, tuple(class_factors.tolist()), positive.names)
    threshold = None
    if positive.names:
        share = sum(labelled[name] for name in positive.names) / sum(labelled.values())
        threshold = _threshold(config, rule, validation, resampled, share)
        rule = replace(rule, threshold=threshold["threshold"])
    doubt = rule.doubt(validation.probabilities)
    limit = review_limit(doubt, validation.weights, config.review_share)
    draws = temperature_draws(validation, class_factors)
    return FittedRule(
        rule=replace(rule, review_limit=limit, stranger_share=config.stranger_share),
        positive=positive,
        temperature=around(temperature, draws),
        threshold=threshold,
        served_threshold=_served(rule, draws),
    )


def _threshold(
    config: DecisionConfig,
    rule: DecisionRule,
    validation: HeldOut,
    resampled: NDArray[np.float64],
    share: float,
) -> dict[str, Any]:
    """The threshold by costs, lowered as far as the recall asked for needs.

    Below the threshold by costs every step costs more than it saves, so that of the thresholds that
    keep a recall the one nearest to it costs least.
    """
    by_costs = cost_threshold(
        config.miss_cost, config.false_alarm_cost, config.positive_share, share
    )
    found: dict[str, Any] = {
        "threshold": by_costs,
        "by": "costs",
        "by_costs": by_costs,
        "cheapest_on_validation": _cheapest(config, rule, validation, resampled, share),
        "for_recall": None,
    }
    if config.target_recall is not None:
        needed = _for_recall(config.target_recall, rule, validation, resampled)
        found["for_recall"] = needed
        if needed["threshold"] < by_costs:
            found |= {"threshold": needed["threshold"], "by": "recall"}
    return found


def _cheapest(
    config: DecisionConfig,
    rule: DecisionRule,
    validation: HeldOut,
    resampled: NDArray[np.float64],
    share: float,
) -> Figure:
    """What would have been cheapest on the validation photos themselves."""
    positive = rule.is_positive[validation.labels]
    wanted = config.positive_share or share
    importance = np.where(positive, wanted / share, (1 - wanted) / (1 - share))
    weights = np.vstack([validation.weights, resampled]) * importance
    score = rule.score(validation.probabilities)
    gaps = cheapest_thresholds(score, positive, weights, config.miss_cost, config.false_alarm_cost)
    return around(float(gaps[0].mean()), gaps[1:].ravel())


def _for_recall(
    target: float, rule: DecisionRule, validation: HeldOut, resampled: NDArray[np.float64]
) -> dict[str, Any]:
    """The highest threshold that keeps a recall."""
    rows = rule.is_positive[validation.labels]
    part, score = validation.part(rows), rule.score(validation.probabilities[rows])
    # their sum is the number of different positive photos, or of groups of them, which unlike
    # photos of one group are exchangeable with that of a new photo
    total = part.evenly_grouped
    weights = part.weights / part.weights.sum() * total
    found = recall_threshold(score, weights, target)
    scaled = resampled[:, rows] / resampled[:, rows].sum(axis=1, keepdims=True) * total
    draws = [recall_threshold(score, row, target).threshold for row in scaled]
    interval = around(found.threshold, np.array(draws))
    return {
        "threshold": found.threshold,
        "low": interval["low"],
        "high": interval["high"],
        "expected_recall": found.expected_recall,
        "validation_positives": part.n_images,
        "validation_groups": part.n_groups,
        "positives_needed": found.positives_needed,
    }


def _served(rule: DecisionRule, temperatures: NDArray[np.float64]) -> Figure | None:
    threshold = rule.threshold
    if threshold is None or len(rule.classes) != 2 or not 0 < threshold < 1:
        return None
    factors = np.array(rule.class_factors)
    (factor,) = factors[rule.is_positive] / factors[~rule.is_positive]
    log_odds = np.log(threshold / (1 - threshold) / factor)
    served = 1 / (1 + np.exp(-log_odds * np.append(rule.temperature, temperatures)))
    return around(float(served[0]), served[1:])
