"""A decision rule and what it gives, in plain words."""

from collections.abc import Iterator, Mapping
from typing import Any

Facts = Mapping[str, Any]


def in_words(facts: Facts) -> str:
    """What the rule is and what it gives on test, then what speaks against it.

    Args:
        facts: as in `decision.json`.
    """
    return " ".join([_rule(facts), *remarks(facts)])


def in_short(facts: Facts) -> list[str]:
    """A line on calibration, one on the threshold and one on review, then the remarks.

    Args:
        facts: as in `decision.json`.
    """
    before, after = facts["calibration"]["before"], facts["calibration"]["after"]
    test, review = facts["test"], facts["test"]["review"]
    calibration = (
        f"how sure it is differs from how often it is right by {100 * after['ece']:.1f} points on "
        f"test ({100 * before['ece']:.1f} before calibration; with perfect probabilities about "
        f"{100 * after['ece_if_calibrated']:.1f}, by chance)"
    )
    threshold = f"no threshold: {facts['positive_reason']}"
    if facts["threshold"] is not None:
        threshold = (
            f"{_meant(facts)} from a probability of {facts['rule']['threshold']:.3g} on, "
            f"{_reason(facts)}: finds "
            f"{_share(test['recall'])}, false alarms {_share(test['false_alarm_rate'])}"
        )
    reviewed = (
        f"review: {review['share']['estimate']:.1%} of the test photos{_strange(review, ' (', ')')}"
        f"; {_right(review['accuracy_of_rest'])}, of all "
        f"{review['accuracy_of_all']['estimate']:.1%}"
    )
    lines = [calibration, threshold, *([reviewed] if _any_for_a_person(facts) else [])]
    return [*lines, *remarks(facts)]


def found_and_flagged(facts: Facts) -> str | None:
    """How many of the test photos the threshold finds and flags, as a sentence; None without one.

    Args:
        facts: as in `decision.json`.
    """
    if facts["threshold"] is None:
        return None
    test = facts["test"]
    found, flagged = test["recall"], test["false_alarm_rate"]
    sentences = []
    if found is not None:
        sentences.append(
            f"Of {found['n']} {_meant(facts)} it found {_hits(found)} (of new ones at least "
            f"{found['low']:.0%})"
        )
    if flagged is not None:
        subject = "flagged" if sentences else "It flagged"
        sentences.append(
            f"{subject} {_hits(flagged)} of {flagged['n']} others (of new ones at most "
            f"{flagged['high']:.0%})"
        )
    return " and ".join(sentences) + "."


def _hits(figure: Facts) -> int:
    return round(figure["estimate"] * figure["n"])


def remarks(facts: Facts) -> list[str]:
    """What speaks against the rule, a sentence each: promises not kept, cheaper ways, calibration.

    Args:
        facts: as in `decision.json`.
    """
    return list(_remarks(facts))


def figures(facts: Facts) -> list[list[str]]:
    """Every figure of the rule: rows of what it is, estimate, 95% interval, and what it is of.

    Args:
        facts: as in `decision.json`.
    """
    return list(_figures(facts))


def _rule(facts: Facts) -> str:
    review, told = facts["test"]["review"], f"No threshold: {facts['positive_reason']}."
    measured = facts.get("measured_with")
    if facts["threshold"] is not None:
        test = facts["test"]
        told = (
            f"A photo counts as {_meant(facts)} from a probability of "
            f"{facts['rule']['threshold']:.3g} on, {_reason(facts)} ({facts['positive_reason']}). "
            f"On test {_with_what(measured)} finds {_share(test['recall'])} of "
            f"{test['positives']} and flags {_share(test['false_alarm_rate'])} of the others."
        )
    if measured is not None:
        told += (
            f" The rule that is handed over is fitted to what is said of {_fitted_to(facts)} by "
            "models that did not learn them; the figures on test are those of one that is fitted "
            f"to {_counted(measured['images'], ' validation photos', measured['groups'])} alone."
        )
    if not _any_for_a_person(facts):
        every = review["accuracy_of_all"]
        return f"{told} No photo is for a person; {_share(every)} are answered rightly."
    return (
        f"{told} For a person are {_share(review['share'])} of the test photos "
        f"({facts['asked']['review_share']:.0%} asked{_strange(review, '; ', '')}); "
        f"{_right(review['accuracy_of_rest'])}."
    )


def _right(rest: Facts | None) -> str:
    """How many of the photos that no person looks at are answered rightly."""
    if rest is None:
        return "none is left to the model"
    counted = f"{_hits(rest)} of {rest['n']} are right"
    return f"of the rest {counted} (of new ones at least {rest['low']:.1%})"


def _any_for_a_person(facts: Facts) -> bool:
    return bool(facts["asked"]["review_share"]) or "refused" in facts["test"]["review"]


def _strange(review: Facts, before: str, after: str) -> str:
    """How many of the photos for a person are refused as unknown; nothing where none can be."""
    if "refused" not in review:
        return ""
    refused = review["refused"]["estimate"]
    every = 0 < refused == review["share"]["estimate"]
    return f"{before}{'all of them' if every else f'{refused:.1%}'} as unknown{after}"


def _with_what(measured: Facts | None) -> str:
    """Which rule was measured, as the subject of a sentence."""
    return "this" if measured is None else f"one of {measured['threshold']:.3g}"


def _fitted_to(facts: Facts) -> str:
    return _counted(facts["validation_images"], " photos", facts.get("validation_groups"))


def _meant(facts: Facts) -> str:
    word, names = facts["words"]["positive"], ", ".join(facts["rule"]["positive"])
    return f'"{word}"' if word == names else f'"{word}" ({names})'


def _reason(facts: Facts) -> str:
    threshold, asked = facts["threshold"], facts["asked"]
    if threshold["by"] == "recall":
        return f"for a recall of {asked['target_recall']:.1%}"
    where = "" if asked["positive_share"] is None else f", {asked['positive_share']:.1%} such"
    told = (
        f"by costs (a miss {asked['miss_cost']:g}, a false alarm {asked['false_alarm_cost']:g}"
        f"{where})"
    )
    if threshold["for_recall"] is not None:
        told += f", which a recall of {asked['target_recall']:.1%} does not lower"
    return told


def _remarks(facts: Facts) -> Iterator[str]:
    if facts["threshold"] is not None:
        yield from _recall_remarks(facts)
        yield from _cost_remarks(facts)
    calibrated = facts["calibration"]["after"]
    before, after = facts["calibration"]["before"]["ece"], calibrated["ece"]
    # more than chance makes of probabilities that are right
    if after > max(before, calibrated["ece_if_calibrated_high"]):
        yield (
            f"The calibration did not help on test (error {before:.3f} before, {after:.3f} "
            "after): the validation photos, which it is fitted to, are not quite like these."
        )


def _recall_remarks(facts: Facts) -> Iterator[str]:
    needed, asked = facts["threshold"]["for_recall"], facts["asked"]["target_recall"]
    found = facts["test"]["recall"]
    if needed is None:
        return
    if needed["expected_recall"] < asked:
        have, groups = needed["validation_positives"], needed.get("validation_groups")
        each = ", each of a group of its own" if groups not in (None, have) else ""
        yield (
            f"A recall of {asked:.1%} needs {needed['positives_needed']} such validation photos"
            f"{each}; with {_counted(have, '', groups)} at least "
            f"{needed['expected_recall']:.1%} can be expected."
        )
    if found is not None and found["high"] < asked:
        yield (
            f"On test the recall of {asked:.1%} is not kept ({_share(found)}): the validation "
            "photos, which it rests on, are not like these."
        )


def _cost_remarks(facts: Facts) -> Iterator[str]:
    costs = facts["test"]["cost_per_100"]
    more = costs["rule_less_most_probable_class"]
    if more["estimate"] > 0:
        chance = " (chance explains that)" if more["low"] <= 0 else ""
        yield (
            f"On test this costs {costs['rule']['estimate']:.3g} per 100 photos, more than taking "
            f"the most probable class, {costs['most_probable_class']['estimate']:.3g}{chance}."
        )
    for key, words in (("flag_all", "Flagging every photo"), ("flag_none", "Flagging none")):
        if costs[key]["estimate"] < costs["rule"]["estimate"]:
            yield (
                f"{words} would cost less on test: {costs[key]['estimate']:.3g} against "
                f"{costs['rule']['estimate']:.3g} per 100 photos."
            )


def _figures(facts: Facts) -> Iterator[list[str]]:
    before, after = facts["calibration"]["before"], facts["calibration"]["after"]
    test = facts["test"]
    yield _row("temperature", facts["temperature"], _validation(facts))
    photos = _counted(after["n"], " test photos", test.get("groups"))
    yield ["calibration error, as the model says", f"{before['ece']:.3f}", "", photos]
    yield ["calibration error, calibrated", f"{after['ece']:.3f}", "", photos]
    yield [
        "calibration error of perfect probabilities",
        f"{after['ece_if_calibrated']:.3f}",
        f"to {after['ece_if_calibrated_high']:.3f}",
        photos,
    ]
    if facts["threshold"] is not None:
        yield from _threshold_figures(facts)
    yield from _band_figures(facts["review"])
    yield _share_row("photos for a person", test["review"]["share"])
    if "refused" in test["review"]:
        yield _share_row("photos decided as unknown, for a person too", test["review"]["refused"])
    yield _share_row("right, of the others", test["review"]["accuracy_of_rest"])
    yield _share_row("right, of all", test["review"]["accuracy_of_all"])
    yield _share_row("errors among the photos for a person", test["review"]["errors_caught"])


def _threshold_figures(facts: Facts) -> Iterator[list[str]]:
    threshold, test = facts["threshold"], facts["test"]
    yield ["threshold", f"{threshold['threshold']:.3g}", "", _reason(facts)]
    yield _row(
        "threshold that is cheapest on validation",
        threshold["cheapest_on_validation"],
        _validation(facts),
    )
    if facts["served_threshold"] is not None:
        served = f"the same on the probability of {facts['rule']['positive'][0]} as the model says"
        yield _row(served, facts["served_threshold"], _validation(facts))
    if threshold["for_recall"] is not None:
        needed = threshold["for_recall"]
        figure = {**needed, "estimate": needed["threshold"]}
        have = _counted(needed["validation_positives"], " photos", needed.get("validation_groups"))
        yield _row("highest threshold for the recall", figure, have)
    yield _share_row(f"found, of {_meant(facts)}", test["recall"])
    yield _share_row("flagged, of the others", test["false_alarm_rate"])
    yield _share_row("precision of what is flagged", test["precision"])
    for key, words in (
        ("rule", "this threshold"),
        ("most_probable_class", "the most probable class"),
        ("flag_all", "flagging all"),
        ("flag_none", "flagging none"),
    ):
        of = _counted(test["images"], " test photos", test.get("groups"))
        yield _row(f"cost per 100 photos, {words}", test["cost_per_100"][key], of)


def _band_figures(review: Facts) -> Iterator[list[str]]:
    low, high, below = (review[name] for name in ("score_low", "score_high", "confidence_below"))
    if low is not None:
        yield ["scores for a person", f"{low:.3g} to {high:.3g}", "", "calibrated"]
    if below is not None:
        yield ["confidence for a person", f"below {below:.3g}", "", "calibrated"]


def _row(what: str, figure: Facts, of: str) -> list[str]:
    return [what, f"{figure['estimate']:.3g}", f"{figure['low']:.3g} to {figure['high']:.3g}", of]


def _share_row(what: str, figure: Facts | None) -> list[str]:
    if figure is None:
        return [what, "", "", "no photo"]
    interval = f"{figure['low']:.1%} to {figure['high']:.1%}"
    of = _counted(figure["n"], " test photos", figure.get("groups"))
    return [what, f"{figure['estimate']:.1%}", interval, of]


def _validation(facts: Facts) -> str:
    kind = " val. photos" if facts.get("measured_with") is None else " photos, held out"
    return _counted(facts["validation_images"], kind, facts.get("validation_groups"))


def _counted(photos: int, kind: str, groups: int | None) -> str:
    """Photos, and how many groups they come in, where any is shared."""
    where = "" if groups in (None, photos) else f" in {groups} group{'' if groups == 1 else 's'}"
    return f"{photos}{kind}{where}"


def _share(figure: Facts | None) -> str:
    if figure is None:
        return "(no photos)"
    return f"{figure['estimate']:.1%} [{figure['low']:.1%}, {figure['high']:.1%}]"
