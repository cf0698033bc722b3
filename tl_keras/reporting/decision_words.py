"""A decision rule and what it gives, in plain words."""

from collections.abc import Iterator, Mapping
from typing import Any

Facts = Mapping[str, Any]


def in_words(facts: Facts) -> str:
    """A paragraph on calibration, threshold and review.

    Args:
        facts: as in `decision.json`.
    """
    return " ".join([_calibration(facts), _threshold(facts), _review(facts)])


def in_short(facts: Facts) -> list[str]:
    """A line on calibration, one on the threshold and one on review.

    Args:
        facts: as in `decision.json`.
    """
    before, after = facts["calibration"]["before"], facts["calibration"]["after"]
    test, review = facts["test"], facts["test"]["review"]
    calibration = (
        f"calibration error on test: {before['ece']:.3f}, calibrated {after['ece']:.3f}, of "
        f"perfect probabilities about {after['ece_if_calibrated']:.3f}"
    )
    threshold = f"no threshold: {facts['positive_reason']}"
    if facts["threshold"] is not None:
        word, names = facts["words"]["positive"], ", ".join(facts["rule"]["positive"])
        meant = f'"{word}"' if word == names else f'"{word}" ({names})'
        threshold = (
            f"{meant} from {facts['rule']['threshold']:.3g} on, {_reason(facts)}: finds "
            f"{_share(test['recall'])}, false alarms {_share(test['false_alarm_rate'])}"
        )
    reviewed = (
        f"review: {review['share']['estimate']:.1%} of the test photos, of the rest "
        f"{_share(review['accuracy_of_rest'])} are right, of all "
        f"{review['accuracy_of_all']['estimate']:.1%}"
    )
    return [calibration, threshold, *([reviewed] if facts["asked"]["review_share"] else [])]


def _calibration(facts: Facts) -> str:
    before, after = facts["calibration"]["before"], facts["calibration"]["after"]
    temperature = facts["temperature"]
    return (
        f"Calibration: temperature {_number(temperature)}, from {facts['validation_images']} "
        f"validation photos; calibration error on {after['n']} test photos {before['ece']:.3f} "
        f"before, {after['ece']:.3f} after (a perfectly calibrated model shows "
        f"{after['ece_if_calibrated']:.3f} with as many, at most "
        f"{after['ece_if_calibrated_high']:.3f} in 95% of cases)."
    )


def _threshold(facts: Facts) -> str:
    if facts["threshold"] is None:
        return f"No threshold: {facts['positive_reason']}."
    test, word = facts["test"], facts["words"]["positive"]
    names = ", ".join(facts["rule"]["positive"])
    return " ".join(
        [
            f'"{word}" ({names}; {facts["positive_reason"]}) from a calibrated score of '
            f"{facts['rule']['threshold']:.3g} on, {_reason(facts)}:",
            f"on test it finds {_share(test['recall'])} of {test['positives']} and flags "
            f"{_share(test['false_alarm_rate'])} of the others; {_costs(facts)}.",
        ]
    )


def _reason(facts: Facts) -> str:
    threshold, asked = facts["threshold"], facts["asked"]
    if threshold["by"] == "costs":
        where = "" if asked["positive_share"] is None else f", {asked['positive_share']:.1%} such"
        return (
            f"by costs (a miss {asked['miss_cost']:g}, a false alarm "
            f"{asked['false_alarm_cost']:g}{where})"
        )
    told = f"for a recall of {asked['target_recall']:.1%}"
    if threshold["expected_recall"] < asked["target_recall"]:
        told += (
            f", which needs {threshold['positives_needed']} such validation photos; with "
            f"{threshold['validation_positives']} at least {threshold['expected_recall']:.1%} can "
            "be expected"
        )
    return told


def _costs(facts: Facts) -> str:
    costs = facts["test"]["cost_per_100"]
    return (
        f"cost per 100 photos {_number(costs['rule'])}, of the most probable class "
        f"{_number(costs['most_probable_class'])}, of flagging all "
        f"{costs['flag_all']['estimate']:.3g}, none {costs['flag_none']['estimate']:.3g}"
    )


def _review(facts: Facts) -> str:
    review, asked = facts["test"]["review"], facts["asked"]["review_share"]
    if asked == 0:
        return f"No review; {_share(review['accuracy_of_all'])} of the test photos are right."
    caught = review["errors_caught"]
    errors = "there was none" if caught is None else f"it holds {_of(caught)} errors"
    return (
        f"Review: {_share(review['share'])} of the test photos lie in the band ({asked:.0%} "
        f"asked); of the rest {_share(review['accuracy_of_rest'])} are right, of all "
        f"{_share(review['accuracy_of_all'])}; {errors}."
    )


def how_to_apply(facts: Facts) -> list[str]:
    """Steps from the probabilities that the model gives to a decision.

    Args:
        facts: as in `decision.json`.
    """
    return list(_steps(facts))


def _steps(facts: Facts) -> Iterator[str]:
    rule, review = facts["rule"], facts["review"]
    yield (
        "Take the logarithm of each probability that the model gives (at least 1e-7) and divide "
        f"it by the temperature, {rule['temperature']:.4g}."
    )
    if any(abs(factor - 1) > 1e-9 for factor in rule["class_factors"]):
        factors = ", ".join(
            f"{name} {factor:.4g}"
            for name, factor in zip(rule["classes"], rule["class_factors"], strict=True)
        )
        yield f"Add the logarithm of the factor of its class: {factors}."
    yield "Take the exponentials and divide them by their sum: the calibrated probabilities."
    if facts["threshold"] is None:
        if review["confidence_below"] is not None:
            yield (
                "The confidence is the calibrated probability of the answer: below "
                f"{review['confidence_below']:.4g} let a person look (review), else accept."
            )
        return
    yield f"The score is their sum over {', '.join(rule['positive'])}."
    yield (
        f'From {rule["threshold"]:.4g} on the photo is "{facts["words"]["positive"]}", below '
        f'"{facts["words"]["negative"]}".'
    )
    if facts["served_threshold"] is not None:
        yield (
            f"That is the same as {facts['served_threshold']['estimate']:.4g} on the probability "
            f"of {rule['positive'][0]} that the model gives."
        )
    if review["score_low"] is not None:
        yield (
            f"Between {review['score_low']:.4g} and {review['score_high']:.4g} let a person look "
            "(review)."
        )


def _share(figure: Facts | None) -> str:
    if figure is None:
        return "(no photos)"
    return f"{figure['estimate']:.1%} [{figure['low']:.1%}, {figure['high']:.1%}]"


def _of(figure: Facts) -> str:
    return f"{round(figure['estimate'] * figure['n'])} of {figure['n']}"


def _number(figure: Facts) -> str:
    return f"{figure['estimate']:.3g} [{figure['low']:.3g}, {figure['high']:.3g}]"
