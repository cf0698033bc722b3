"""The report of a small experiment made by hand: what a reader finds in it."""

import base64
import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.reporting.finished_errors import add_errors
from tl_keras.atomic_files import write_json
from tl_keras.errors import ResultsError
from tl_keras.evaluation.intervals import wilson_interval
from tl_keras.evaluation.metrics import METRICS, Metric
from tl_keras.reporting import sections
from tl_keras.reporting.answer import PROMISING, answer, choice_in_words
from tl_keras.reporting.next_steps import next_steps
from tl_keras.reporting.report import content, write_report
from tl_keras.results.finished_experiment import FinishedExperiment
from tl_keras.results.store import Store
from tl_keras.results_layout import place
from tl_keras.transfer.network_words import INPUT

Finish = Callable[..., Path]

RIGHT = ("photo9", "crack", "crack")


def html_of(folder: Path) -> str:
    # elsewhere: the plots are not drawn again as files
    return write_report(folder, folder / "page.html").read_text(encoding="utf-8")


def test_the_page_needs_no_other_file_and_no_network(finish: Finish) -> None:
    html = html_of(finish())
    sources = re.findall(r'(?:src|href)="([^"]+)"', html)
    assert sources
    assert all(source.startswith(("data:", "#")) for source in sources)
    # the one that sorts tables, and the policy of the page lets nothing be sent
    assert html.count("<script") == 1
    assert html.count('<form class="mark"') == 0
    assert "default-src 'none'" in html
    assert "@import" not in html
    assert "url(" not in html


def correct(folder: Path) -> None:
    """Five corrections: of two test photos, a training photo, one left out and one confirmed."""
    rows = [("photo0", "dent", "crack"), ("photo39", "crack", "dent"), ("train1", "dent", "crack")]
    rows += [("gone", "dent", ""), ("photo1", "crack", "crack")]
    table = pd.DataFrame(rows, columns=["image_id", "was", "label"])
    table.to_csv(place(folder, "corrections.csv"), index=False)


def test_the_answer_says_what_corrections_did_and_how_they_are_answered(finish: Finish) -> None:
    """The chosen run is wrong about the first photos, which are cracks, alone."""
    folder = finish()
    assert not any("data.corrections" in sentence for sentence in answer_of(folder))
    correct(folder)
    (told,) = [sentence for sentence in answer_of(folder) if "data.corrections" in sentence]
    assert "3 labels corrected, 1 photo left out, 1 label confirmed" in told
    assert "Of 2 test photos with a corrected label it answers 1 with that label." in told


def test_wrong_answers_may_be_marked_with_what_the_source_calls_them(finish: Finish) -> None:
    folder = finish()
    correct(folder)
    add_errors(folder, [("photo0", "crack", "dent"), ("photo1", "crack", "dent"), RIGHT])
    found = content(FinishedExperiment.open(folder))["errors"]
    marks = [photo.mark for photo in found["pairs"][0]["photos"]]
    assert [(mark["image_id"], mark["was"], mark["suggested"]) for mark in marks] == [
        ("photo0", "dent", "dent"),
        ("photo1", "crack", "dent"),
    ]
    assert [photo.mark for photo in found["unsure_photos"]] == [None]
    html = html_of(folder)
    assert html.count("<script") == 2
    assert html.count('<form class="mark"') == 2
    assert "connect-src" not in html


def answer_of(folder: Path) -> list[str]:
    told: list[str] = content(FinishedExperiment.open(folder))["answer"]
    return told


def test_the_answer_names_the_choice_its_interval_and_what_it_is_better_than(
    finish: Finish,
) -> None:
    folder = finish()
    chosen, compared = answer_of(folder)
    results = FinishedExperiment.open(folder)
    row = results.summary_of(results.chosen)
    assert "fine-tuning (2 blocks)" in chosen
    assert chosen.index(f"at least {100 * row['test_accuracy_low']:.1f}%") < chosen.index("95.0%")
    assert "2 seeds" in chosen
    assert "better than training from scratch by 32.5 points [" in compared
    assert "better than feature extraction by 15.0 points [" in compared


def test_counts_of_one_model_come_before_what_is_said_of_its_method(
    finish: Finish, decision_facts: dict[str, Any]
) -> None:
    folder = finish()
    write_json(place(folder, "decision.json"), decision_facts)
    first, second, *_ = answer_of(folder)
    # recall .95 of 20, with its lower bound; false alarms .1 of 30, with their upper one
    assert re.findall(r"\d+%?", first) == ["20", "19", "48%", "3", "30", "55%"]
    assert "fine-tuning (2 blocks)" in second
    decision_facts["threshold"] = None
    write_json(place(folder, "decision.json"), decision_facts)
    assert re.findall(r"\d+%?", answer_of(folder)[0]) == ["50", "46", "46%"]


def test_few_test_photos_are_said_with_how_many_it_takes(
    finish: Finish, decision_facts: dict[str, Any]
) -> None:
    low, _ = wilson_interval(1.0, PROMISING)
    assert wilson_interval(1.0, PROMISING - 1)[0] < 0.9 <= low
    folder = finish()

    def sentences() -> int:
        write_json(place(folder, "decision.json"), decision_facts)
        return len(answer_of(folder))

    few = sentences()
    decision_facts["test"]["recall"]["n"] = PROMISING
    assert sentences() == few - 1
    # without a threshold all test photos count
    decision_facts["threshold"] = None
    assert sentences() == few - 1
    decision_facts["test"]["review"]["accuracy_of_all"]["n"] = 9
    assert sentences() == few


def test_photos_per_class_are_those_of_each_class(finish: Finish) -> None:
    folder = finish()
    assert "with 10 labelled photos of each class" in question_of(folder)
    splits = pd.read_csv(place(folder, "splits.csv"))
    fewer = (splits["part"] == "train") & (splits["class_index"] == 1)
    splits[~fewer].to_csv(place(folder, "splits.csv"), index=False)
    assert "with 5 to 10 labelled photos of each class" in question_of(folder)


def test_groups_are_counted_where_any_is_shared(finish: Finish) -> None:
    folder = finish()
    assert "group" not in question_of(folder) + answer_of(folder)[0]
    splits = pd.read_csv(place(folder, "splits.csv"))
    parts = splits.drop_duplicates("image_id").set_index("image_id")["part"]
    groups = [f"{part}{number // 10}" for number, part in enumerate(parts)]
    pd.DataFrame({"image_id": parts.index, "group": groups}).to_csv(
        place(folder, "images.csv"), index=False
    )
    # 40 test photos come first, then ten for training and ten for validation
    assert "in 2 groups" in question_of(folder)
    assert "40 test photos in 4 groups" in answer_of(folder)[0]


def question_of(folder: Path) -> str:
    return str(content(FinishedExperiment.open(folder))["question"])


def test_a_test_photo_whose_like_was_learned_is_part_of_the_answer(finish: Finish) -> None:
    folder = finish()
    splits = pd.read_csv(place(folder, "splits.csv"))
    learned = splits.loc[splits["part"] == "train", "image_id"].iloc[0]
    tested = splits.loc[splits["part"] == "test", "image_id"].unique()

    def told() -> bool:
        return any("data.group_pattern" in sentence for sentence in answer_of(folder))

    def match(one: str, other: str) -> None:
        pairs = pd.DataFrame({"image_id": [one], "other_image_id": [other]})
        pairs.to_csv(place(folder, "embedding_matches.csv"), index=False)

    match(tested[0], tested[1])
    assert not told()
    for pair in ((tested[0], learned), (learned, tested[0])):
        match(*pair)
        assert told()
        assert any(
            sentence.startswith(f"1 of {len(tested)} test photos") for sentence in answer_of(folder)
        )


def test_the_next_commands_fit_what_there_is(
    finish: Finish, decision_facts: dict[str, Any]
) -> None:
    folder = finish()
    assert content(FinishedExperiment.open(folder))["next"] == []
    write_json(place(folder, "export.json"), {"run_id": "a", "version": "1"})
    write_json(place(folder, "decision.json"), decision_facts)
    commands = [shlex.split(command) for _, command in next_steps(FinishedExperiment.open(folder))]
    assert [words[:2] for words in commands] == [
        ["tl-keras", name] for name in ("predict", "serve", "export", "run", "run")
    ]
    assert all(Path(words[2]).exists() for words in commands)
    # the decision asks for 4 and for a tenth
    assert [words[-1] for words in commands[3:]] == [
        "decision.miss_cost=10",
        "decision.review_share=0.2",
    ]
    decision_facts["asked"] |= {"miss_cost": 20.0, "false_alarm_cost": 2.0, "review_share": 0.2}
    write_json(place(folder, "decision.json"), decision_facts)
    *_, (purpose, dearer) = next_steps(FinishedExperiment.open(folder))
    assert dearer.endswith("decision.miss_cost=40")
    assert "20 false alarms" in purpose


def test_the_page_says_why_this_was_chosen_and_what_became_of_the_advice(finish: Finish) -> None:
    folder = finish()
    lowest = "Fine-tuning (2 blocks) has the lowest loss on validation photos (0.200)."
    assert content(FinishedExperiment.open(folder))["strategies"]["choice"] == lowest
    assert words(folder) == lowest
    write_json(place(folder, "advice.json"), {"strategy": "linear_probe", "cut": "top"})
    assert (
        words(folder)
        == f"{lowest} The advice, linear probe on the whole network, was not among the strategies."
    )
    write_json(place(folder, "advice.json"), {"strategy": "fine_tuning", "cut": "block_7"})
    assert words(folder).endswith(
        "The advice, fine-tuning on the network up to block_7, was not among the strategies."
    )


def test_what_the_advice_gives_on_test_is_said_beside_what_was_chosen(finish: Finish) -> None:
    folder = finish()
    write_json(place(folder, "advice.json"), {"strategy": "feature_extraction", "cut": "top"})
    choice = {"run_id": "fine_tuning-n5-s0", "sentence": "So it is."}
    kept = {"advised": "fine-tuning (2 blocks)", "overruled": False}
    write_json(place(folder, "choice.json"), choice | kept)
    after = "So it is. On test what was advised is right in"
    assert words(folder) == f"{after} 95.0% of the photos."
    write_json(
        place(folder, "choice.json"), choice | {"advised": "feature extraction", "overruled": True}
    )
    assert words(folder) == f"{after} 80.0%, what was chosen in 95.0% of the photos."


def words(folder: Path) -> str:
    return choice_in_words(FinishedExperiment.open(folder))


def test_the_answer_names_a_class_that_is_missed(finish: Finish) -> None:
    results = FinishedExperiment.open(finish(strategies=("feature_extraction",)))
    (told,) = [sentence for sentence in content(results)["answer"] if "crack" in sentence]
    # 12 of 20, and Wilson's lower bound of that
    assert re.findall(r"\d+%?", told) == ["20", "12", "39%"]


def test_a_choice_that_is_no_better_says_so(finish: Finish) -> None:
    folder = finish(strategies=("feature_extraction", "from_scratch"))
    table = pd.read_csv(place(folder, "comparisons.csv"))
    # as the other way round: the chosen one is b
    table = table.assign(verdict="worse", difference=-0.175)
    table = table.assign(difference_low=-0.3, difference_high=-0.05)
    table.to_csv(place(folder, "comparisons.csv"), index=False)
    assert table[["a", "b"]].iloc[0].tolist() == ["from_scratch", "feature_extraction"]
    compared = content(FinishedExperiment.open(folder))["answer"][1]
    assert compared == "It is better than training from scratch by 17.5 points [5.0, 30.0]."
    # as of one seed each
    table = table.assign(verdict="not distinguishable")
    table.to_csv(place(folder, "comparisons.csv"), index=False)
    compared = content(FinishedExperiment.open(folder))["answer"][1]
    assert "better than training from scratch by 17.5 points [5.0, 30.0] with" in compared
    assert "distinguishable" not in compared
    table = table.assign(difference_high=0.1)
    table.to_csv(place(folder, "comparisons.csv"), index=False)
    compared = content(FinishedExperiment.open(folder))["answer"][1]
    assert (
        compared
        == "It is not distinguishable from training from scratch (17.5 points [-10.0, 30.0])."
    )


def test_the_choice_is_compared_with_the_linear_probe_too(finish: Finish) -> None:
    folder = finish()
    for title in ("summary", "comparisons"):
        table = pd.read_csv(place(folder, f"{title}.csv"))
        # as if what was trained from scratch had been a probe
        table = table.replace({"from_scratch": "linear_probe", "from scratch": "linear probe"})
        table.to_csv(place(folder, f"{title}.csv"), index=False)
    compared = content(FinishedExperiment.open(folder))["answer"][1]
    assert "better than linear probe by 32.5 points [" in compared


def test_a_choice_that_is_not_fine_tuned_is_compared_with_the_best_depth(finish: Finish) -> None:
    folder = finish(strategies=("feature_extraction", "fine_tuning"))
    choice = {"run_id": "feature_extraction-n5-s0", "sentence": "", "advised": None}
    write_json(place(folder, "choice.json"), choice | {"overruled": False})
    assert "worse than fine-tuning (2 blocks) by 15.0 points [" in answer_of(folder)[1]
    # as if more blocks had a lower loss on validation and made no difference on test
    deeper: dict[str, Any] = {"unfrozen_blocks": "all", "selection_loss_mean": 0.1}
    unlike: dict[str, Any] = {
        "a_name": "fine-tuning (all blocks)",
        "verdict": "not distinguishable",
        "difference_low": -0.3,
        "difference_high": 0.3,
    }
    for title, changed in (("summary", deeper), ("comparisons", unlike)):
        table = pd.read_csv(place(folder, f"{title}.csv"))
        more = table[table.get("strategy", table.get("a")) == "fine_tuning"].assign(**changed)
        pd.concat([table, more]).to_csv(place(folder, f"{title}.csv"), index=False)
    assert "It is not distinguishable from fine-tuning (all blocks) (" in answer_of(folder)[1]


def test_what_is_no_yardstick_is_compared_where_there_is_no_other(finish: Finish) -> None:
    folder = finish(strategies=("from_scratch", "fine_tuning"))
    table = pd.read_csv(place(folder, "comparisons.csv"))
    table = table.replace({"from_scratch": "majority_class", "from scratch": "majority class"})
    table.to_csv(place(folder, "comparisons.csv"), index=False)
    assert "better than majority class by 32.5 points [" in answer_of(folder)[1]


def test_intervals_that_are_wide_because_of_two_seeds_are_named(finish: Finish) -> None:
    folder = finish()
    assert not any("seeds 3" in sentence for sentence in answer_of(folder))
    summary = pd.read_csv(place(folder, "summary.csv"))
    for seeds, said in ((2, True), (3, False)):
        wide = summary["strategy"] == "feature_extraction"
        changed = summary.assign(n=seeds)
        changed.loc[wide, "test_accuracy_low"] = 0.2
        changed.to_csv(place(folder, "summary.csv"), index=False)
        told = [sentence for sentence in answer_of(folder) if "seeds 3" in sentence]
        assert len(told) == said
        assert all("feature extraction" in each and "scratch" not in each for each in told)


def test_doubtful_labels_are_part_of_the_answer(finish: Finish) -> None:
    folder = finish()
    suspects = pd.DataFrame({"image_id": ["trained", "photo3"]})
    suspects.to_csv(place(folder, "label_errors.csv"), index=False)
    caution = answer_of(folder)[2]
    assert caution.startswith("2 labels look wrong (see The photos), 1 of them among the test")
    suspects[:1].to_csv(place(folder, "label_errors.csv"), index=False)
    assert "figures" not in answer_of(folder)[2]


def test_the_chosen_strategy_is_set_off(finish: Finish) -> None:
    table = content(FinishedExperiment.open(finish()))["strategies"]["table"]
    assert [table.rows[place][0] for place in table.marked] == ["fine-tuning (2 blocks)"]
    assert table.rows[0][:2] == ["from scratch", "0.625"]


def test_the_confusion_matrix_is_that_of_the_chosen_run(finish: Finish) -> None:
    classes = content(FinishedExperiment.open(finish()))["classes"]
    counts = {
        row["name"]: [cell["count"] for cell in row["cells"]] for row in classes["matrix"]["rows"]
    }
    assert counts == {"crack": [18, 2], "dent": [0, 20]}
    assert classes["confused"] == ["crack taken for dent: 2"]


def test_the_chosen_probe_says_which_blocks_it_reads(finish: Finish) -> None:
    folder = finish()
    advice = {"strategy": "linear_probe", "cut": "b", "confidence": "clear", "reasons": []}
    write_json(place(folder, "advice.json"), {**advice, "checks": []})
    results = FinishedExperiment.open(folder)
    shown = sections.blocks(results)
    assert shown is not None
    assert shown["exported"] is None
    probe = {"strategy": "linear_probe", "run_id": "probe", "head_blocks": "a b c"}
    vars(results)["chosen"] = {**results.chosen, **probe}
    shown = sections.blocks(results)
    assert shown is not None
    assert shown["exported"].startswith("The chosen probe averages 3 blocks, a to c:")


def test_the_answer_says_what_is_read_beyond_the_means_of_the_photo(finish: Finish) -> None:
    results = FinishedExperiment.open(finish())
    plain = answer(results)
    vars(results)["chosen"] = {**results.chosen, "pooling": "mean_std", "views": "flip"}
    told = [sentence for sentence in answer(results) if sentence not in plain]
    assert len(told) == 1
    assert "standard deviations" in told[0] and "two passes" in told[0]
    vars(results)["chosen"] = {**results.chosen, "pooling": "mean", "views": "none"}
    assert answer(results) == plain


def test_pixels_that_are_scaled_wrongly_are_part_of_the_answer(finish: Finish) -> None:
    folder = finish()
    check = {"name": INPUT, "sentence": "It wants other pixels."}
    for finding in ("fulfilled", "not fulfilled"):
        advice = {"strategy": "linear_probe", "cut": "top"}
        checks = [{**check, "finding": finding}]
        write_json(place(folder, "advice.json"), {**advice, "checks": checks})
        told = check["sentence"] in answer(FinishedExperiment.open(folder))
        assert told == (finding == "not fulfilled")


def test_a_section_without_results_is_left_out(finish: Finish) -> None:
    html = html_of(finish())
    assert 'id="training"' in html
    assert 'id="curve"' not in html
    assert 'id="blocks"' not in html


def test_a_learning_curve_is_shown_with_its_sentences(finish: Finish) -> None:
    folder = finish()
    pd.DataFrame(
        {
            "strategy": ["fine_tuning"] * 4,
            "unfrozen_blocks": ["2"] * 4,
            "train_per_class": [5.0, 10.0, 5.0, 20.0],
            "kind": ["measured", "measured", "fitted", "fitted"],
            "accuracy": [0.6, 0.8, 0.6, 0.9],
            "accuracy_low": [0.5, 0.7, 0.5, 0.8],
            "accuracy_high": [0.7, 0.9, 0.7, 1.0],
        }
    ).to_csv(place(folder, "learning_curve.csv"), index=False)
    law = write_law(folder)
    assert "<p>50 more photos would help.</p>" in html_of(folder)
    caution = answer_of(folder)[2]
    assert caution == "50 more labelled photos would add about 3.1 points [1.2, 5.0]."
    law["more_photos"]["beyond_measured"] = 6.0
    write_law(folder, law)
    assert "[1.2, 5.0], a guess so far from" in answer_of(folder)[2]
    write_law(folder, law | {"measured": 0.95})
    assert "not expected to help" in answer_of(folder)[2]
    write_law(folder, law | {"measured": 1.0})
    assert len(answer_of(folder)) == 2


def write_law(folder: Path, law: dict[str, Any] | None = None) -> dict[str, Any]:
    """Write a law of the choice into a folder, with what 50 more photos would buy."""
    gain = {"estimate": 0.031, "low": 0.012, "high": 0.05}
    law = law or {
        "strategy": "fine_tuning",
        "unfrozen_blocks": "2",
        "measured": 0.9,
        "more_photos": {
            "photos": 50,
            "gain": gain,
            "accuracy": {"estimate": 0.94, "low": 0.9, "high": 0.97},
            "beyond_measured": 1.5,
        },
    }
    facts = {"laws": [law], "sentences": ["50 more photos would help."]}
    write_json(place(folder, "learning_curve.json"), facts)
    return law


def test_photos_that_were_not_used_are_counted(finish: Finish) -> None:
    folder = finish()
    images = pd.DataFrame({"image_id": [f"photo{number}" for number in range(99)]})
    images.to_csv(place(folder, "images.csv"), index=False)
    # 10 for training, 10 for validation, 40 for the test
    caution = answer_of(folder)[2]
    assert (
        caution.startswith("39 labelled photos were not used") and "train_per_class is 5" in caution
    )


def test_how_it_was_made_can_be_repeated(finish: Finish) -> None:
    folder = finish()
    made = content(FinishedExperiment.open(folder))["made"]
    assert f"{folder.as_posix()}/config.json" in made["command"]
    assert ["tensorflow", "2.21"] in list(made["facts"].rows)
    assert '"train_per_class": 5' in made["configuration"]


def test_the_same_results_give_the_same_page(finish: Finish) -> None:
    folder = finish()
    assert html_of(folder) == html_of(folder)


def test_the_scores_of_classes_are_those_of_the_chosen_run(finish: Finish) -> None:
    results = FinishedExperiment.open(finish())
    table = results.table("per_class")
    assert table is not None
    own = table[table["run_id"] == results.chosen["run_id"]].set_index("class")
    for name in ("support", "recall", "precision", "f1"):
        np.testing.assert_allclose(results.class_scores[name], own[name])


def test_a_class_that_is_never_answered_has_no_precision(finish: Finish) -> None:
    folder = finish()
    table = pd.read_csv(place(folder, "confusion.csv"))
    table.loc[table["predicted_class"] == table["predicted_class"].iloc[0], "count"] = 0
    table.to_csv(place(folder, "confusion.csv"), index=False)
    scores = FinishedExperiment.open(folder).class_scores
    assert scores["precision"].isna().tolist() == [True, False]
    assert scores["f1"].iloc[0] == 0


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="must be the folder of a finished experiment"):
        write_report(tmp_path)


def test_folds_are_called_folds(finish: Finish) -> None:
    folder = finish()
    config = json.loads((folder / "config.json").read_text())
    config["estimate"] |= {"method": "k_fold", "folds": 2, "repeats": 1}
    write_json(folder / "config.json", config)
    shown = content(FinishedExperiment.open(folder))
    assert "40 test photos" in shown["answer"][0]
    assert "2 folds" in shown["answer"][0]
    assert shown["test_photos"] == "fold 1 of 2"
    # both folds of the fixture tested all 40 photos
    assert [row[1] for row in shown["classes"]["scores"].rows] == [40, 40]
    assert shown["classes"]["of"] == "the chosen strategy, all folds together"


def test_errors_whose_label_looks_wrong_are_marked(finish: Finish) -> None:
    folder = finish()
    add_errors(folder, [("photo0", "crack", "dent"), ("photo1", "crack", "dent")])
    pd.DataFrame({"image_id": ["photo0"]}).to_csv(place(folder, "label_errors.csv"), index=False)
    (pair,) = content(FinishedExperiment.open(folder))["errors"]["pairs"]
    marked, clear = pair["photos"]
    assert marked.lines[-1] == "this label looks wrong"
    assert clear.lines[-1] == "dent 90%, crack 10%"
    assert "Of those shown 1 has a label that looks wrong" in html_of(folder)


def test_wrong_answers_stand_by_pair_and_every_one_is_listed(finish: Finish) -> None:
    """Of nine photos that were answered wrongly one has a picture."""
    folder = finish("parts", ("feature_extraction",))
    classes = FinishedExperiment.open(folder).confusion.index.tolist()
    splits = Store(folder).read("splits")
    # the last photo, rightly called a dent, is now a crack
    splits.loc[splits["image_id"] == "photo39", "class_index"] = 0
    Store(folder).write("splits", splits)
    add_errors(folder, [("photo39", "crack", "dent"), RIGHT])
    found = content(FinishedExperiment.open(folder))["errors"]
    (pair,) = found["pairs"]
    assert (pair["label"], pair["predicted"], pair["count"]) == (*classes, 9)
    assert [photo.path for photo in pair["photos"]] == ["photo39"]
    assert found["table"].rows[0][2] == 9
    listed = [row[0].title for row in found["list"].rows]
    assert sorted(listed) == sorted(["photo39", *(f"photo{k}" for k in range(8))])
    html = html_of(folder)
    assert '<h3 id="pair_1">crack, answered dent: 9 photos</h3>' in html
    # from the table of pairs, and from the confusion matrix
    assert html.count('href="#pair_1"') == 2
    assert "8 more without a picture" in html


def test_pairs_of_one_photo_stand_together(finish: Finish) -> None:
    folder = finish("parts", ("fine_tuning",))
    splits = Store(folder).read("splits")
    splits.loc[splits["image_id"].isin(["photo0", "photo39"]), "class_index"] = [1, 0]
    splits.loc[splits["image_id"] == "photo9", "class_index"] = 1
    Store(folder).write("splits", splits)
    add_errors(folder, [("photo1", "crack", "dent"), ("photo9", "dent", "crack")])
    found = content(FinishedExperiment.open(folder))["errors"]
    counts = {(row[0].text, row[1]): (row[2], row[0].place) for row in found["table"].rows}
    assert counts == {("crack", "dent"): (2, "pair_1"), ("dent", "crack"): (1, "pair_2")}
    assert [pair["place"] for pair in found["pairs"]] == ["pair_1"]
    (single,) = found["single_photos"]
    assert (single.place, list(single.lines)[:2]) == ("pair_2", ["photo9", "dent, answered crack"])
    html = html_of(folder)
    assert all(f'id="{place}"' in html for place in ("pair_1", "pair_2", "wrong_answers"))


def test_where_nothing_was_answered_wrongly_no_heading_says_so(finish: Finish) -> None:
    folder = finish("parts", ("feature_extraction",))
    splits = Store(folder).read("splits")
    answered = FinishedExperiment.open(folder).chosen_answers()
    assert answered is not None
    right = dict(zip(answered["image_id"], answered["answered"], strict=True))
    index = splits["image_id"].map(right).fillna(splits["class_index"]).astype(int)
    Store(folder).write("splits", splits.assign(class_index=index))
    add_errors(folder, [RIGHT])
    html = html_of(folder)
    assert '<h2 id="errors">The least sure answers</h2>' in html
    assert 'id="pair_' not in html
    assert "Every wrong answer" not in html


def test_every_plot_is_a_file_too_and_the_same_every_time(finish: Finish) -> None:
    folder = finish("parts", ("feature_extraction", "fine_tuning"))
    (folder / "plots").mkdir()
    (folder / "plots" / "thresholds.svg").touch()
    page = write_report(folder).read_text(encoding="utf-8")
    written = {path.name: path.read_bytes() for path in (folder / "plots").iterdir()}
    names = ("strategies", "training")
    assert set(written) == {f"{name}.{end}" for name in names for end in ("svg", "png")}
    for name in names:
        assert base64.b64encode(written[f"{name}.svg"]).decode() in page
    write_report(folder)
    assert written == {path.name: path.read_bytes() for path in (folder / "plots").iterdir()}


def test_plots_tell_their_numbers_to_those_who_do_not_see_them(finish: Finish) -> None:
    html = html_of(finish("parts", ("feature_extraction",)))
    told = re.findall(r'<img src="data:image/svg[^"]*" alt="([^"]*)"', html)
    assert "feature extraction 0.80 (0." in told[0]
    assert "training from 1.00 to 0.30 and validation from 1.10 to 0.50 in 4 epochs" in told[1]


def test_a_new_metric_has_a_column_among_the_strategies(
    finish: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = finish("before", ("feature_extraction", "fine_tuning"))
    monkeypatch.setitem(METRICS, "errors", Metric(lambda labels, predicted: 0.0, "wrong ones"))
    after = finish("after", ("feature_extraction", "fine_tuning"))
    shown = [
        sections.strategies(FinishedExperiment.open(folder))["table"] for folder in (before, after)
    ]
    assert [("wrong ones" in table.columns) for table in shown] == [False, True]
    assert {"macro F1", "balanced accuracy"} <= set(shown[0].columns)
    assert all(len(row) == len(table.columns) for table in shown for row in table.rows)
