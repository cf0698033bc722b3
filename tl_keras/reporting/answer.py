"""The question of an experiment and its answer in a few sentences."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import pandas as pd

from tl_keras.backbone_table import BACKBONES, FILE
from tl_keras.data.corrections import CORRECTED, counted, in_words
from tl_keras.evaluation.comparison import points
from tl_keras.evaluation.intervals import wilson_interval
from tl_keras.models.sources.source_places import network_in_words
from tl_keras.reporting.decision_words import found_and_flagged
from tl_keras.reporting.handed_over_words import handed_in_words
from tl_keras.results.finished_experiment import FinishedExperiment, tested_of
from tl_keras.results.learning_curves import FARTHEST, is_expected_to_help
from tl_keras.results.test_results import kind_name, rows_like, strategy_name
from tl_keras.strategy_table import STRATEGIES, names_where
from tl_keras.transfer.network_words import (
    chosen_in_words,
    enumerated,
    networks_in,
    reach_in_words,
    scaling_doubts,
)

Row = Mapping[Any, Any]

# Views beside the photo itself, and what they cost.
_VIEWS = {
    "flip": ", of each photo and its mirror image, which takes two passes",
    "turns": ", of each photo turned and mirrored in all eight ways, which takes eight passes",
}

# A class that is recognised less often is named in the answer.
WEAK_RECALL = 0.8
# So many right answers of as many have 90% for their lower bound (Wilson's, of a 95% interval).
PROMISING = 35
# So many times as wide as one model's interval, one of two seeds is wide because of the seeds.
_WIDE = 1.5
# Of photos, from which share of different groups on these are not worth a word: a few copies.
_ALONE = 0.9


def question(results: FinishedExperiment) -> str:
    """What the experiment was made to find out."""
    run, backbone = results.chosen, results.config["backbone"]
    name, weights = backbone["name"], backbone["weights"]
    if not isinstance(name, str):
        name = run["backbone"] if run["backbone"] in BACKBONES else FILE
        weights = None if pd.isna(run["weights"]) else run["weights"]
    borrowed = network_in_words(name, weights)
    return (
        f"How much of {borrowed} should be borrowed to tell {run['classes']} classes apart with "
        f"{_labelled(results)}?"
    )


def _labelled(results: FinishedExperiment) -> str:
    """How many photos of each class the chosen run learned from and was chosen with."""
    run, splits = results.chosen, results.table("splits")
    if splits is None:
        return f"{run['labelled_images_per_class']:.0f} labelled photos per class"
    known = _known(results, splits)
    counts = known["class_index"].value_counts()
    low, high = counts.min(), counts.max()
    each = f"{low}" if low == high else f"{low} to {high}"
    return f"{each} labelled photos of each class{_groups(results, known['image_id'])}"


def _known(results: FinishedExperiment, splits: pd.DataFrame) -> pd.DataFrame:
    """The rows of the photos that the chosen run learned from, or was chosen with."""
    own = rows_like(splits, results.chosen, ["seed", "train_per_class"])
    return own[own["part"] != "test"]


def _groups(results: FinishedExperiment, image_ids: Collection[str]) -> str:
    """How many groups some photos come in, where any group is shared."""
    images = results.table("images")
    if images is None or "group" not in images or images["group"].nunique() == len(images):
        return ""
    own = images.loc[images["image_id"].isin(image_ids), "group"]
    count = own.nunique()
    if count > _ALONE * len(own):
        return ""
    return f" in {count} group{'' if count == 1 else 's'}"


def answer(results: FinishedExperiment) -> list[str]:
    """What it gets right; what was chosen; how that compares; what is handed over; what to know."""
    handed = results.facts("handed_over")
    over = [] if handed is None or "measured" not in handed else [handed_in_words(handed)]
    return [
        *_found(results),
        " ".join((_chosen(results), *_read(results))),
        *_network(results),
        _compared(results),
        *over,
        *_cautions(results),
    ]


def choice_in_words(results: FinishedExperiment) -> str:
    """What was chosen, why, and what became of the advice on test, which chose nothing."""
    choice, advice = results.choice, results.facts("advice")
    if advice is None:
        return str(choice["sentence"])
    if choice["advised"] is None:
        name = kind_name(str(advice["strategy"]))
        reach = reach_in_words(str(advice["cut"]))
        after = f"The advice, {name} on {reach}, was not among the strategies."
    else:
        accuracy = {
            strategy_name(row): row["test_accuracy_mean"]
            for row in results.largest.to_dict("records")
        }
        after = f"On test what was advised is right in {_percent(accuracy[choice['advised']])}"
        if choice["overruled"]:
            chosen = results.summary_of(results.chosen)
            after += f", what was chosen in {_percent(chosen['test_accuracy_mean'])}"
        after += " of the photos."
    return f"{choice['sentence']} {after}"


def _found(results: FinishedExperiment) -> Iterator[str]:
    """What the chosen run, one model, got right on test: counts, and what to expect at least."""
    decision = results.facts("decision")
    if results.folds or decision is None:
        return
    if found := found_and_flagged(decision):
        yield found
        return
    right = decision["test"]["review"]["accuracy_of_all"]
    yield (
        f"Of {right['n']} test photos it answered {round(right['estimate'] * right['n'])} rightly: "
        f"of new photos like these expect at least {right['low']:.0%}."
    )


def _chosen(results: FinishedExperiment) -> str:
    """The method, apart from the one model whose counts were told."""
    row = results.summary_of(results.chosen)
    n, name = int(row["n"]), strategy_name(row)
    low, mean, high = (_percent(row[f"test_accuracy_{end}"]) for end in ("low", "mean", "high"))
    splits = results.table("splits")
    tested = f"{int(row['test_images'])} test photos"
    if splits is not None and not results.folds:
        tested += _groups(results, _tested(results, splits))
    decision = results.facts("decision")
    if decision is not None and decision["threshold"] is not None and not results.folds:
        # the counts above are of decisions
        tested += " by the most probable class, before any threshold"
    if n == 1:
        return (
            f"That is {name}, trained once: right in at least {low} of new photos ({mean} of "
            f"{tested}; 95% interval {low} to {high}). How much "
            "another training would differ, further seeds tell."
        )
    runs = "folds" if results.folds else "seeds"
    return (
        f"That is one model of the chosen method, {name}: trained anew on other photos of the "
        f"kind, such models are right in at least {low} of new photos ({mean} of "
        f"{tested}; 95% interval {low} to {high}; {n} {runs})."
    )


def _network(results: FinishedExperiment) -> Iterator[str]:
    """Which network was taken of those that were asked for."""
    if told := chosen_in_words(networks_in(results.facts("advice"))):
        yield told


def _read(results: FinishedExperiment) -> Iterator[str]:
    """What the head of the chosen run reads of a photo, where that is more than usual."""
    if read := what_is_read(results.chosen):
        yield f"Its head reads {read}."


def what_is_read(run: Row) -> str:
    """Of feature maps and of views of a photo, in words; empty for the means of the photo alone."""
    spread = "means and standard deviations" if run.get("pooling") == "mean_std" else "means"
    views = _VIEWS.get(str(run.get("views")), "")
    return f"{spread} of the network's features{views}" if views or spread != "means" else ""


def _compared(results: FinishedExperiment) -> str:
    """Against the yardsticks, each with its best depth; against all there is without any."""
    table, chosen = results.table("comparisons"), results.summary_of(results.chosen)
    if table is None:
        return "Nothing else was trained to compare it with."
    against = {}
    for row in rows_like(table, chosen, ["train_per_class"]).to_dict("records"):
        for mine, theirs, sign in (("a", "b", 1), ("b", "a", -1)):
            if row[f"{mine}_name"] == strategy_name(chosen):
                against[row[f"{theirs}_name"]] = _against(row, theirs, sign)
    if not against:
        return "It was compared with no other."
    parts = [against[name] for name in _yardsticks(results, chosen) if name in against]
    return f"It is {enumerated(parts or list(against.values()))}."


def _yardsticks(results: FinishedExperiment, chosen: Row) -> Iterator[str]:
    """Names of the other strategies to compare with, of each the depth that validation prefers."""
    same_size = rows_like(results.summary, chosen, ["train_per_class"])
    for name in names_where(lambda spec: spec.yardstick):
        rows = same_size[same_size["strategy"] == name].sort_values("selection_loss_mean")
        if name != chosen["strategy"] and len(rows):
            yield strategy_name(rows.iloc[0].to_dict())


def _against(row: Row, other: str, sign: int) -> str:
    """What a row of `comparisons.csv` says of the chosen strategy, whose sign is -1 as its b."""
    name = STRATEGIES[row[other]].noun or str(row[f"{other}_name"])
    gap = sign * row["difference"]
    ends = sorted(sign * row[f"difference_{end}"] for end in ("low", "high"))
    unclear = row["verdict"] == "not distinguishable"
    if unclear and ends[0] <= 0 <= ends[1]:
        return (
            f"not distinguishable from {name} ({points(gap)} points [{points(ends[0])}, "
            f"{points(ends[1])}])"
        )
    outcome = "better"
    if gap < 0:
        outcome, gap, ends = "worse", -gap, [-ends[1], -ends[0]]
    numbers = f"{points(gap)} points [{points(ends[0])}, {points(ends[1])}]"
    alone = " with its one seed, which another may turn round" if unclear else ""
    return f"{outcome} than {name} by {numbers}{alone}"


def _cautions(results: FinishedExperiment) -> Iterator[str]:
    """What to know before using it: pixels, a class that is missed, labels, more photos."""
    yield from scaling_doubts(results.facts("advice"))
    for part in (
        *(_few_tested, _two_seeds, _weakest, _look_alikes),
        *(_corrections, _doubtful_labels, _more_photos),
    ):
        yield from part(results)


def _few_tested(results: FinishedExperiment) -> Iterator[str]:
    """How many test photos a promise of 90% takes, where there are fewer."""
    decision = results.facts("decision")
    if results.folds or decision is None:
        return
    test, found = decision["test"], decision["threshold"] is not None
    figure = test["recall"] if found else test["review"]["accuracy_of_all"]
    if figure is not None and figure["n"] < PROMISING:
        what = "of those to be found " if found else ""
        yield (
            f"{figure['n']} test photos {what}are few: it takes {PROMISING}, all of them right, to "
            f"promise 90%. Of further labelled photos {_test_share(results)} go to the test."
        )


def _two_seeds(results: FinishedExperiment) -> Iterator[str]:
    """Whose intervals are wide as two trainings are all that tells how far trainings differ."""
    if results.folds:
        return
    size = _tested_groups(results)
    rows = rows_like(results.summary, results.chosen, ["train_per_class"])
    wide = [strategy_name(row) for row in rows.to_dict("records") if _is_wide(row, size)]
    if wide:
        yield (
            "Two trainings tell little of how far a third may be off, hence the wide intervals of "
            f"{enumerated(wide)}, and of differences from {'it' if len(wide) == 1 else 'them'}: "
            "with seeds 3 they are much narrower."
        )


def _is_wide(row: Row, size: int | None) -> bool:
    """Against one model's interval, where photos of a group count as few as they may."""
    low, high = wilson_interval(row["test_accuracy_mean"], size or row["test_images"])
    width = row["test_accuracy_high"] - row["test_accuracy_low"]
    return bool(row["n"] == 2 and width > _WIDE * (high - low))


def _tested_groups(results: FinishedExperiment) -> int | None:
    """How many groups the test photos come in; None where that is not known."""
    images, splits = results.table("images"), results.table("splits")
    if images is None or splits is None or "group" not in images:
        return None
    tested = images["image_id"].isin(_tested(results, splits))
    return images.loc[tested, "group"].nunique() or None


def _test_share(results: FinishedExperiment) -> str:
    return f"{results.config['data'].get('test_fraction', 0.3):.0%}"


def _weakest(results: FinishedExperiment) -> Iterator[str]:
    scores = results.class_scores.sort_values("recall")
    row = scores.iloc[0]
    if row["recall"] < WEAK_RECALL:
        least = row["recall_low"]
        new = "" if pd.isna(least) else f"; of new ones at least {least:.0%}"
        yield (
            f"It misses {row.name} most: of {row['support']:.0f} test photos it found "
            f"{row['recall'] * row['support']:.0f}{new}. Photos of this class help first."
        )


def _look_alikes(results: FinishedExperiment) -> Iterator[str]:
    """Test photos of what a labelled photo shows that the chosen run knew."""
    matches, splits = results.table("embedding_matches"), results.table("splits")
    if matches is None or splits is None:
        return
    tested = _tested(results, splits)
    learned = set(_known(results, splits)["image_id"])
    pairs = matches[["image_id", "other_image_id"]].to_numpy()
    twins = {a: b for pair in pairs for a, b in (pair, pair[::-1]) if a in tested and b in learned}
    if twins:
        verb = "looks" if len(twins) == 1 else "look"
        test, known = next(iter(twins.items()))
        yield (
            f"{len(twins)} of {len(tested)} test photos {verb} as if a training photo showed the "
            f"same thing ({'' if len(twins) == 1 else 'such as '}{test} and {known}), which "
            "flatters the figures: if so, give photos of one thing the same group, with "
            "data.group_pattern or a column group."
        )


def _corrections(results: FinishedExperiment) -> Iterator[str]:
    """What a person said of labels, and how those that were corrected are answered."""
    rows = results.corrections
    if not rows:
        return
    told, tested = in_words(counted(rows)), results.test_answers()
    wrong = {row.image_id for row in rows if row.kind == CORRECTED}
    if tested is None or not (own := tested["image_id"].isin(wrong)).any():
        yield told
        return
    right = int((tested["answered"] == tested["class_index"])[own].sum())
    photos = f"{own.sum()} test photo{'' if own.sum() == 1 else 's'}"
    yield f"{told} Of {photos} with a corrected label it answers {right} with that label."


def _doubtful_labels(results: FinishedExperiment) -> Iterator[str]:
    errors, splits = results.table("label_errors"), results.table("splits")
    if errors is not None and splits is not None:
        count, verb = len(errors), "looks" if len(errors) == 1 else "look"
        labels = "label" if count == 1 else "labels"
        among = int(errors["image_id"].isin(_tested(results, splits)).sum())
        where = "none of them among the test photos"
        if among:
            where = f"{among} of them among the test photos, which the figures take as right"
        yield (
            f"{count} {labels} {verb} wrong (see The photos), {where}: mark there which are, save "
            "corrections.csv and run again with data.corrections."
        )


def _tested(results: FinishedExperiment, splits: pd.DataFrame) -> set[str]:
    """The test photos of the chosen run."""
    return set(tested_of(splits, results.chosen["seed"])["image_id"])


def _more_photos(results: FinishedExperiment) -> Iterator[str]:
    curve = results.facts("learning_curve")
    law = _law_of(curve, results.chosen) if curve else None
    if law and law["measured"] < 1:
        more = law["more_photos"]
        gain = ", ".join(points(more["gain"][end]) for end in ("low", "high"))
        guess = (
            ", a guess so far from what was measured" if more["beyond_measured"] > FARTHEST else ""
        )
        gained = f"{points(more['gain']['estimate'])} points [{gain}]"
        yield (
            f"{more['photos']} more labelled photos would add about {gained}{guess}."
            if is_expected_to_help(law)
            else f"{more['photos']} more labelled photos are not expected to help measurably (the "
            f"learning curve rises by {gained}, and not above what was measured)."
        )
    yield from _unused_photos(results)


def _unused_photos(results: FinishedExperiment) -> Iterator[str]:
    run, images = results.chosen, results.table("images")
    used = run["training_images"] + run["validation_images"] + run["test_images"]
    # a new fit learns what the runs of all seeds used
    used = max(int(used), (results.facts("handed_over") or {}).get("images", 0))
    unused = 0 if images is None else len(images) - used
    if unused > 0 and not pd.isna(run["train_per_class"]):
        yield (
            f"{unused} labelled photos were not used, neither for measuring nor for the model that "
            f"is handed over, as data.train_per_class is {int(run['train_per_class'])}: a larger "
            "one would train on them."
        )


def _law_of(curve: Row, run: Row) -> Row | None:
    laws = [law for law in curve["laws"] if law["strategy"] == run["strategy"]]
    if STRATEGIES[run["strategy"]].asks_depths:
        laws = [law for law in laws if law["unfrozen_blocks"] == run["unfrozen_blocks"]]
    return laws[0] if laws else None


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f}%"
