"""Rates, costs and rankings against numbers worked out by hand."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tl_keras.evaluation.screening import (
    _ranks,
    auroc,
    average_precision,
    cost_per_100,
    photo_costs,
    rates,
    threshold_table,
)

POSITIVE = np.array([True, True, True, True, False, False, False, False, False, False])
SCORES = np.array([0.9, 0.8, 0.7, 0.3, 0.6, 0.2, 0.2, 0.1, 0.1, 0.1])
FLAGGED = SCORES >= 0.5


def test_rates_by_hand() -> None:
    found = {
        name: figure and figure["estimate"] for name, figure in rates(POSITIVE, FLAGGED).items()
    }
    assert found == {"recall": 0.75, "false_alarm_rate": pytest.approx(1 / 6), "precision": 0.75}


def test_nothing_flagged_has_no_precision() -> None:
    assert rates(POSITIVE, np.zeros(10, bool))["precision"] is None


def test_costs_of_photos() -> None:
    costs = photo_costs(POSITIVE, FLAGGED, 5.0, 2.0)
    assert costs.tolist() == [0, 0, 0, 5, 2, 0, 0, 0, 0, 0]


def test_costs_where_positive_photos_are_rarer() -> None:
    costs = photo_costs(POSITIVE, FLAGGED, 5.0, 2.0, share=0.1)
    # a quarter of one in ten missed, a sixth of nine in ten flagged
    assert costs.mean() == pytest.approx(0.1 / 4 * 5 + 0.9 / 6 * 2)


def test_cost_per_100_has_an_interval_that_does_not_close() -> None:
    figure = cost_per_100(np.zeros(30), (0.0, 1.0))
    assert figure["estimate"] == figure["low"] or figure["low"] >= 0
    assert 2 < figure["high"] < 15
    assert cost_per_100(np.array([5.0] * 2 + [0.0] * 8), (0, 5))["estimate"] == 100


def test_auroc_is_the_share_of_pairs_in_order() -> None:
    figure = auroc(POSITIVE, SCORES)
    assert figure is not None
    # 23 of 24 pairs
    assert figure["estimate"] == pytest.approx(23 / 24)
    assert figure["low"] < 23 / 24 < figure["high"] < 1


@pytest.mark.parametrize(("sign", "estimate"), [(1, 1.0), (-1, 0.0)])
def test_a_perfect_order_keeps_a_width(sign: int, estimate: float) -> None:
    figure = auroc(POSITIVE, np.where(POSITIVE, sign, 0.0))
    assert figure is not None
    assert figure["estimate"] == estimate
    assert 0.2 < figure["high"] - figure["low"] < 0.6


def test_the_interval_of_auroc_holds_the_true_one() -> None:
    generator = np.random.default_rng(0)
    held = 0
    for _ in range(200):
        scores = generator.normal(POSITIVE.repeat(5) * 2.0, 1)
        figure = auroc(POSITIVE.repeat(5), scores)
        # two normal distributions two deviations apart
        held += figure is not None and figure["low"] <= 0.9214 <= figure["high"]
    assert held >= 184


def test_average_precision_by_hand() -> None:
    figure = average_precision(POSITIVE, SCORES)
    assert figure is not None
    assert figure["estimate"] == pytest.approx((1 + 1 + 1 + 4 / 5) / 4)
    perfect = average_precision(POSITIVE, POSITIVE.astype(float))
    assert perfect is not None
    # that of Wilson, 4 of 4
    assert (perfect["low"], perfect["high"]) == (pytest.approx(0.5101, abs=1e-4), 1.0)


def test_one_group_alone_has_no_ranking() -> None:
    assert auroc(np.ones(5, bool), np.arange(5.0)) is None
    assert average_precision(np.zeros(5, bool), np.arange(5.0)) is None


def test_the_table_of_thresholds_agrees_with_the_costs() -> None:
    thresholds = np.array([0.0, 0.5, 1.0])
    for share in (None, 0.1):
        table = threshold_table(POSITIVE, SCORES, np.ones(10), thresholds, 5.0, 2.0, share)
        for row in table.to_dict("records"):
            costs = photo_costs(POSITIVE, row["threshold"] <= SCORES, 5.0, 2.0, share)
            assert row["cost_per_100"] == pytest.approx(100 * costs.mean())
    assert table["recall"].tolist() == [1, 0.75, 0]
    assert table["precision"].tolist()[:2] == [0.4, 0.75]
    assert np.isnan(table["precision"].iloc[2])


def test_the_table_of_thresholds_weighs_photos() -> None:
    weights = np.where(POSITIVE, 1.0, 3.0)
    table = threshold_table(POSITIVE, SCORES, weights, np.array([0.5]), 1.0, 1.0)
    assert table["precision"].tolist() == [pytest.approx(3 / 6)]
    assert table["false_alarm_rate"].tolist() == [pytest.approx(1 / 6)]


# Each photo five times, as five crops of one picture.
CROPS = np.repeat(np.arange(10), 5)


def repeated(values: np.ndarray) -> np.ndarray:
    return values.repeat(5)


def test_crops_of_a_picture_tell_no_more_than_the_picture() -> None:
    alone = rates(POSITIVE, FLAGGED)
    crops = rates(repeated(POSITIVE), repeated(FLAGGED), CROPS)
    for name, pictures in (("recall", 4), ("false_alarm_rate", 6), ("precision", 4)):
        one, many = alone[name], crops[name]
        assert one is not None and many is not None
        assert (many["low"], many["high"]) == pytest.approx((one["low"], one["high"]))
        assert (many["n"], many["groups"]) == (5 * pictures, pictures)


@pytest.mark.parametrize("ranking", [auroc, average_precision])
def test_a_ranking_of_crops_is_no_surer_than_that_of_pictures(ranking: Callable[..., Any]) -> None:
    one = ranking(POSITIVE, SCORES)
    many = ranking(repeated(POSITIVE), repeated(SCORES), CROPS)
    assert many["estimate"] == pytest.approx(one["estimate"])
    assert (many["low"], many["high"]) == pytest.approx((one["low"], one["high"]), abs=0.01)
    unaware = ranking(repeated(POSITIVE), repeated(SCORES))
    assert many["high"] - many["low"] > 1.5 * (unaware["high"] - unaware["low"])


@pytest.mark.parametrize("ranking", [auroc, average_precision])
def test_photos_that_are_groups_of_their_own_change_no_ranking(
    ranking: Callable[..., Any],
) -> None:
    assert ranking(POSITIVE, SCORES, np.arange(10)) == ranking(POSITIVE, SCORES)


def test_costs_of_crops_are_no_surer_than_those_of_pictures() -> None:
    costs = photo_costs(POSITIVE, FLAGGED, 5.0, 2.0)
    one, many = cost_per_100(costs, (0, 5)), cost_per_100(repeated(costs), (0, 5), CROPS)
    assert many["estimate"] == pytest.approx(one["estimate"])
    assert many["high"] - many["low"] == pytest.approx(one["high"] - one["low"], rel=0.25)
    unaware = cost_per_100(repeated(costs), (0, 5))
    assert many["high"] - many["low"] > 1.5 * (unaware["high"] - unaware["low"])
    assert cost_per_100(costs, (0, 5), np.arange(10)) == one


def test_the_cost_of_a_threshold_weighs_photos() -> None:
    weights = np.where(POSITIVE, 1.0, 3.0)
    table = threshold_table(POSITIVE, SCORES, weights, np.array([0.5]), 5.0, 2.0)
    # 4 of 22 are positive, a quarter of them missed; a sixth of the others flagged
    cost = 100 * (4 / 22 / 4 * 5 + 18 / 22 / 6 * 2)
    assert table["cost_per_100"].tolist() == [pytest.approx(cost)]


def test_a_rank_is_the_share_of_others_below_and_half_of_those_beside() -> None:
    ranks = _ranks(np.array([1.0, 2.0]), np.array([1.0, 1.0, 2.0, 3.0]))
    assert ranks.tolist() == [0.25, 0.625]
    found = auroc(POSITIVE, np.round(SCORES))
    own, others = np.round(SCORES)[POSITIVE], np.round(SCORES)[~POSITIVE]
    assert found is not None
    assert _ranks(own, others).mean() == pytest.approx(found["estimate"])
