"""What a decision rule gives on test photos, which had no part in it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tl_keras.config.schema import DecisionConfig
from tl_keras.evaluation.calibration import calibration_scores, reliability_table
from tl_keras.evaluation.decision_rule import DecisionRule
from tl_keras.evaluation.figures import number_of_groups, proportion
from tl_keras.evaluation.pooled_predictions import HeldOut, Predictions
from tl_keras.evaluation.screening import (
    auroc,
    average_precision,
    cost_per_100,
    photo_costs,
    rates,
    threshold_table,
)

CURVE = np.linspace(0, 1, 101)


@dataclass(frozen=True)
class RuleFigures:
    """The figures of one rule on the test photos of one run.

    Attributes:
        rule: The rule.
        config: Costs and shares to count with.
        test: The run's predictions.
        familiar: p-values of these photos of being like the labelled ones, (n,); None where no
            photo is taken for a stranger.
    """

    rule: DecisionRule
    config: DecisionConfig
    test: Predictions
    familiar: NDArray[np.floating] | None = None

    def calibration(self) -> dict[str, dict[str, float]]:
        """`CalibrationScores` of the model's answers, `before` and `after`.

        Where class shares differ, another class may be the most probable one after calibration;
        the answer is the model's all the same.
        """
        return {
            stage: calibration_scores(
                self.test.labels, probabilities, self._answers, groups=self.test.groups
            ).as_dict()
            for stage, probabilities in self._stages().items()
        }

    def reliability(self) -> pd.DataFrame:
        """As `calibration.csv`: `reliability_table` after a column `stage`."""
        tables = []
        for stage, probabilities in self._stages().items():
            table = reliability_table(
                self.test.labels, probabilities, self._answers, self.test.groups
            )
            table.insert(0, "stage", stage)
            tables.append(table)
        return pd.concat(tables, ignore_index=True)

    def curve(self, validation: HeldOut) -> pd.DataFrame:
        """As `thresholds.csv`: `threshold_table` between columns `part` and `chosen`.

        Args:
            validation: Photos that fitted the rule; it must have a threshold.
        """
        thresholds = np.unique(np.append(CURVE, self.rule.threshold or 0.0))
        parts = {
            "validation": (validation.labels, validation.probabilities, validation.weights),
            "test": (self.test.labels, self.test.probabilities, np.ones(len(self.test.labels))),
        }
        tables = []
        for part, (labels, probabilities, weights) in parts.items():
            table = threshold_table(
                self.rule.is_positive[labels],
                self.rule.score(probabilities),
                weights,
                thresholds,
                *self._cost_settings,
            )
            table.insert(0, "part", part)
            tables.append(table.assign(chosen=table["threshold"] == self.rule.threshold))
        return pd.concat(tables, ignore_index=True)

    def tested(self) -> dict[str, Any]:
        """Rates, costs, ranking and what the band of review leaves, as JSON types."""
        labels, probabilities = self.test.labels, self.test.probabilities
        groups = self.test.groups
        images = {"images": len(labels)} | number_of_groups(groups)
        if self.rule.threshold is None:
            return images | {"review": self._reviewed(self._answers != labels)}
        positive = self.rule.is_positive[labels]
        flagged, score = self.rule.flagged(probabilities), self.rule.score(probabilities)
        return images | {
            "positives": int(positive.sum()),
            **rates(positive, flagged, groups),
            "cost_per_100": self._costs(positive, flagged),
            "auroc": auroc(positive, score, groups),
            "average_precision": average_precision(positive, score, groups),
            "review": self._reviewed(flagged != positive),
        }

    @property
    def _answers(self) -> NDArray[np.integer]:
        return np.asarray(self.test.probabilities.argmax(axis=1))

    @property
    def _cost_settings(self) -> tuple[float, float, float | None]:
        return self.config.miss_cost, self.config.false_alarm_cost, self.config.positive_share

    def _stages(self) -> dict[str, NDArray[np.float64]]:
        probabilities = self.test.probabilities
        return {
            "before": np.asarray(probabilities, np.float64),
            "after": self.rule.calibrated(probabilities),
        }

    def _reviewed(self, wrong: NDArray[np.bool_]) -> dict[str, Any]:
        """Of the photos that a person looks at: those in doubt, and those taken for strangers."""
        looked, groups = self.rule.reviewed(self.test.probabilities), self.test.groups
        everything, shares = np.ones_like(wrong), {}
        if self.familiar is not None:
            strange = self.rule.unknown(self.familiar)
            looked, shares = looked | strange, {"refused": (strange, everything)}
        shares |= {
            "share": (looked, everything),
            "accuracy_of_all": (~wrong, everything),
            "accuracy_of_rest": (~wrong, ~looked),
            "errors_caught": (looked, wrong),
        }
        return {
            name: proportion(hits[of], None if groups is None else groups[of])
            for name, (hits, of) in shares.items()
        }

    def _costs(self, positive: NDArray[np.bool_], flagged: NDArray[np.bool_]) -> dict[str, Any]:
        """Per 100 photos: of the rule, of the model's answers, of flagging all or none."""
        rules = {
            "rule": flagged,
            "most_probable_class": self.rule.is_positive[self._answers],
            "flag_all": np.ones_like(positive),
            "flag_none": np.zeros_like(positive),
        }
        costs = {
            name: photo_costs(positive, decided, *self._cost_settings)
            for name, decided in rules.items()
        }
        most = max(float(costs[name].max()) for name in ("flag_all", "flag_none"))
        difference = costs["rule"] - costs["most_probable_class"]
        groups = self.test.groups
        return {
            **{name: cost_per_100(values, (0.0, most), groups) for name, values in costs.items()},
            "rule_less_most_probable_class": cost_per_100(difference, (-most, most), groups),
        }
