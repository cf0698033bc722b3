"""What is known of strangers, in words: the promise, what was measured, what was not."""

from typing import Any

from tl_keras.reporting.stranger_words import MOST_NAMED, in_words, refused_photos


def facts(**changed: Any) -> dict[str, Any]:
    return {
        "run_id": "linear_probe-n5-s0",
        "stranger_share": 0.05,
        "blocks": ["block_5"],
        "images": 60,
        "refused_images": [{"image_id": "a/1.png", "class": "a", "familiar": 1 / 60}],
        "refused_test": {"estimate": 0.04, "low": 0.01, "high": 0.1, "n": 100},
        "refused_classes": {"a": 0.5, "b": 0.9, "c": 0.1},
    } | changed


def test_promise_and_figures_are_said() -> None:
    text = " ".join(in_words(facts()))
    for said in ("5.0%", "4.0% [1.0%, 10.0%]", "60 labelled photos", "50%", "'c' 10%", "'b' 90%"):
        assert said in text


def test_a_model_that_learned_the_test_photos_says_by_what_they_were_judged() -> None:
    learned, measured = (in_words(facts(train_on=name))[0] for name in ("all", "training"))
    assert learned != measured
    assert "without them" in learned


def test_what_was_not_measured_is_said() -> None:
    text = " ".join(in_words(facts(refused_test=None, refused_classes={})))
    assert "not measured" in text
    assert "test photos" not in text


def test_photos_are_named_with_their_p_values() -> None:
    assert refused_photos(facts()) == [["a/1.png", "a", "0.017"]]
    many = [{"image_id": f"{n}.png", "class": "a", "familiar": 0.01} for n in range(99)]
    assert len(refused_photos(facts(refused_images=many))) == MOST_NAMED
