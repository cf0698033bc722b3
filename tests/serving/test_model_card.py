"""The card of an export: figures of its test photos, limits that they show, text for people."""

import html
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from markdown_it import MarkdownIt

from tl_keras.evaluation.intervals import accuracy_interval
from tl_keras.serving.model_card import Evidence, literal, markdown, model_card, write_card
from tl_keras.serving.verify import Verification

CLASSES = ("crack", "dent|small", "fine")
LABELS = np.repeat([0, 1, 2], [4, 4, 2])
PREDICTED = np.array([0, 0, 0, 0, 1, 0, 0, 2, 2, 2])
_FIGURES = ("megabytes", "labels_equal", "milliseconds_batch_1", "milliseconds_batch_32")
EVIDENCE = Evidence(CLASSES, LABELS, 0.7 * np.eye(3)[PREDICTED] + 0.1)


def facts(**changed: Any) -> dict[str, Any]:
    counts = dict.fromkeys(CLASSES, 5)
    return {
        "name": "parts",
        "description": "Parts from above.",
        "notice": None,
        "other_formats": [],
        "doubtful_labels": {"training": 0, "validation": 0, "test": 0},
        "run": {"run_id": "fine_tuning-d2-n5-s0", "strategy": "fine_tuning"},
        "trained_on": {
            "training_images": 15,
            "validation_images": 6,
            "learned_from": "all",
            "groups": {"training": 15, "validation": 6, "test": 10},
            "per_class": {"training": counts, "validation": counts, "test": counts},
            "manifest_sha256": "ab" * 32,
            "corrections": {"corrected": 0, "left out": 0, "confirmed": 0},
            "division": "The test photos are fold 2 of 5.",
        },
        "handed_over": {"text": "It learned everything."},
        "source": {
            "name": "textures",
            "licence": "Apache-2.0",
            "description": "Drawn.",
            "scaling": "tf",
        },
        "model": {
            "backbone": "MobileNetV2",
            "cut": "top",
            "parameters": 12,
            "image_size": 96,
            "chosen_of": "Of 96 and 160 px, probes took 96 px.",
        },
        "decision": None,
        "strangers": None,
        "configuration": {"data": {"exif_rotation": "apply"}},
        "configuration_hash": "abcdef",
        "versions": {"keras": "3.15"},
    } | changed


def card(**changed: Any) -> dict[str, Any]:
    return model_card(facts(**changed), EVIDENCE, Verification(10, 2e-7, True, 5.0, 2.5), [], 9.3)


def test_metrics_are_those_of_the_test_photos() -> None:
    metrics = card()["metrics"]
    expected = accuracy_interval((PREDICTED == LABELS)[np.newaxis])
    assert (metrics["accuracy"], metrics["test_images"]) == (0.7, 10)
    assert metrics["accuracy_interval"]["low"] == pytest.approx(expected.low)
    assert "wilson" in metrics["accuracy_interval"]["method"].lower()
    assert metrics["confusion"]["counts"] == [[4, 0, 0], [2, 1, 1], [0, 0, 2]]
    assert [row["recall"] for row in metrics["per_class"]] == [1.0, 0.25, 1.0]


def test_limits_name_weak_classes_and_few_photos() -> None:
    limits = " ".join(card()["known_limits"])
    assert "Of 4 test photos of 'dent|small' it recognised 25%" in limits
    assert "'crack'" not in limits
    assert "Measured on 10 photos" in limits


def test_labels_that_look_wrong_are_a_limit() -> None:
    doubtful = {"training": 2, "validation": 0, "test": 1}
    limits = " ".join(card(doubtful_labels=doubtful)["known_limits"])
    assert "Labels that look wrong: 2 of training photos, 1 of test photos." in limits
    assert "look wrong" not in " ".join(card(doubtful_labels={})["known_limits"])


def test_the_card_says_which_labels_were_corrected() -> None:
    counts = {"corrected": 2, "left out": 1, "confirmed": 0}
    trained_on = {**facts()["trained_on"], "corrections": counts}
    assert "2 labels corrected, 1 photo left out" in markdown(card(trained_on=trained_on))
    assert "corrected" not in markdown(card())


def test_formats_that_are_read_and_not_served_are_a_limit() -> None:
    assert "takes JPEG, PNG, BMP or GIF" not in " ".join(card()["known_limits"])
    limits = " ".join(card(other_formats=["TIFF", "WEBP"])["known_limits"])
    assert "takes JPEG, PNG, BMP or GIF; some of the photos are TIFF and WEBP" in limits
    assert "JPEG, PNG, BMP or GIF files" in card()["how_to_call"]["input"]


def test_generated_images_are_a_limit() -> None:
    assert any(
        "drawn by a program" in limit
        for limit in card(notice="Images drawn by a program.")["known_limits"]
    )
    assert not any("photographs" in limit for limit in card()["known_limits"])


def decision() -> dict[str, Any]:
    scores = {"before": {"ece": 0.09}, "after": {"ece": 0.03}}
    names = ["accept", "accept", "review", "unknown"]
    return {"text": "In words.", "decisions": names, "calibration": scores}


def test_without_a_decision_the_probabilities_are_not_calibrated(tmp_path: Path) -> None:
    assert any("were not calibrated" in limit for limit in card()["known_limits"])
    write_card(tmp_path, card())
    assert "How to decide" not in (tmp_path / "MODEL_CARD.md").read_text()


def test_the_card_says_how_to_decide(tmp_path: Path) -> None:
    made = card(decision=decision())
    limits = " ".join(made["known_limits"])
    assert "not calibrated" not in limits
    assert (
        "error of 0.090 on the test photos; its confidence is calibrated, with one of 0.030"
        in limits
    )
    write_card(tmp_path, made)
    text = (tmp_path / "MODEL_CARD.md").read_text()
    assert "## How to decide\n\nIn words." in text
    assert "one of accept, review, unknown," in text
    assert 'answer["decision"]' in text
    assert json.loads((tmp_path / "model_card.json").read_text())["decision"] == decision()


def test_the_card_shows_a_request_and_its_answer() -> None:
    answer = {"label": "dent|small", "probability": 0.75, "decision": "review", "confidence": 0.5}
    told = Verification(10, 2e-7, True, 5.0, 2.5, {"file": "a_*b*.png", "answer": answer})
    made = model_card(facts(decision=decision()), EVIDENCE, told, [], 9.3)
    assert made["how_to_call"]["output"] == "label, probability, decision, confidence"
    tokens = MarkdownIt("commonmark").parse(markdown(made))
    (shown,) = [each.content for each in tokens if each.type == "fence" and each.info == "json"]
    assert json.loads(shown) == {"predictions": [answer]}
    (named,) = [each for each in tokens if "answer to the test photo" in each.content]
    assert MarkdownIt("commonmark").renderInline(named.content).endswith("a_*b*.png:")


def test_times_and_size_are_there() -> None:
    made = card()
    assert made["milliseconds_per_image"] == {"batch_1": 5.0, "batch_32": 2.5}
    assert made["saved_model_megabytes"] == 9.3
    assert made["verification"]["images"] == 10


def test_undefined_scores_are_null(tmp_path: Path) -> None:
    never = Evidence(CLASSES, np.array([0, 1]), 0.7 * np.eye(3)[[0, 1]] + 0.1)
    made = model_card(facts(), never, Verification(2, 0.0, True), [], 1.0)
    write_card(tmp_path, made | {"milliseconds_per_image": {"batch_1": 1.0, "batch_32": 1.0}})
    text = (tmp_path / "model_card.json").read_text()
    assert "NaN" not in text
    assert json.loads(text)["metrics"]["per_class"][2]["recall"] is None


@pytest.mark.parametrize("source", [facts()["source"], None])
def test_markdown_says_all_that_matters(tmp_path: Path, source: dict[str, Any] | None) -> None:
    write_card(tmp_path, card(source=source))
    text = (tmp_path / "MODEL_CARD.md").read_text()
    start = "licence: Apache-2.0" if source else "random weights"
    for words in ("# parts", start, "dent\\|small", "70.0%", "models/parts:predict", "MobileNetV2"):
        assert words in text
    assert "| crack | 4 | 0 | 0 |" in text


@pytest.mark.parametrize(
    "text",
    [
        *(
            "crack",
            "pitted_surface",
            "x_",
            "__init__",
            "50 % of 3.5 mm",
            "97.5%",
            "-5",
            "R&D",
            "a[1]",
        ),
        *("# big", "## big", "- a", "+ a", "1. a", "12) a", "> a", "---", "===", "***", "~~~"),
        *("*a*", "_a_", "**a**", "`a`", "~~a~~", "<b>a</b>", "<script>", "&lt;", "&#60;"),
        *("[a](http://b)", "![a](b)", "[a]: http://b", "[a][b]", "<http://a>", "a\\*b*", "a\\"),
    ],
)
def test_markup_in_a_name_is_shown_as_it_stands(text: str) -> None:
    reader = MarkdownIt("commonmark").enable("strikethrough")
    # between text that an underline or a definition would change
    shown = reader.render(f"a\n\n{literal(text)}\n\n[a]")
    assert shown == f"<p>a</p>\n<p>{html.escape(text)}</p>\n<p>[a]</p>\n"


@pytest.mark.parametrize("text", ["pitted_surface", "97.5%", "-5", "R&D", "[90%, 98%]", "1.5 mm"])
def test_a_name_without_markup_stays_readable(text: str) -> None:
    assert literal(text) == text


def test_markup_in_a_name_leaves_the_card_as_it_is() -> None:
    classes = ("a|b", "c\nd", "<b>")
    counts = dict.fromkeys(classes, 5)
    parts = dict.fromkeys(("training", "validation", "test"), counts)
    told = facts(description="# Parts", trained_on=facts()["trained_on"] | {"per_class": parts})
    evidence = Evidence(classes, LABELS, EVIDENCE.probabilities)
    made = model_card(told, evidence, Verification(10, 2e-7, True, 5.0, 2.5), [], 9.3)
    text = markdown(made)
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    assert sum(token.type == "table_open" for token in tokens) == 3
    assert sum(token.type == "td_open" for token in tokens) == 3 * 4 + 3 * 4 + 3 * 4
    assert [token.content for token in tokens if token.type == "html_block"] == []
    plain = markdown(card(description="Parts"))
    assert text.count("\n#") == plain.count("\n#")


@pytest.mark.parametrize(
    ("target", "method", "decided", "words"),
    [
        ("litert_int8", "learned", 0.9, (True, True, True)),
        ("litert_int8", "Wilson score", None, (True, False, False)),
        ("litert", "learned", 0.9, (False, False, False)),
        ("saved_model", "learned", 0.9, (False, False, False)),
    ],
)
def test_figures_of_a_rough_format_say_what_they_are_of(
    target: str, method: str, decided: float | None, words: tuple[bool, ...]
) -> None:
    row: dict[str, Any] = dict.fromkeys((*_FIGURES, "test_accuracy"), 1.0)
    row |= {"target": target, "file": "f", "interval_method": method, "test_images": 36}
    row |= {"decisions_equal": decided, "largest_probability_difference": 0.0039}
    made = model_card(facts(), EVIDENCE, Verification(10, 2e-7, True, 5.0, 2.5), [row], 9.3)
    after = markdown(made).partition("## Other formats")[2].partition("## How to call")[0]
    told = ("answers probabilities alone", "as if the rule", "which it has learned")
    assert tuple(word in after for word in told) == words
    assert ("0.004" in after) == words[0]


def test_shots_of_a_few_parts_are_few() -> None:
    groups = np.arange(len(LABELS)) // 5
    found = replace(EVIDENCE, groups=groups)
    made = model_card(facts(), found, Verification(10, 2e-7, True, 5.0, 2.5), [], 9.3)
    text = markdown(made)
    assert f"{len(LABELS)} test photos in {len(np.unique(groups))} groups" in text
    alone, together = EVIDENCE.accuracy, found.accuracy
    assert together.high - together.low > alone.high - alone.low


def test_groups_are_counted_where_any_is_shared() -> None:
    assert "groups" not in markdown(card()).partition("The measured model:")[2].partition("(")[0]
    groups = {"training": 4, "validation": 3, "test": 2}
    told = card(trained_on=facts()["trained_on"] | {"groups": groups})
    assert "15 training and 6 validation photos in 4 and 3 groups" in markdown(told)
