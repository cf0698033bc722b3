"""Labels that are probably wrong: found where probes know the classes, else nothing is said."""

import numpy as np

from tl_keras.transfer.label_errors import check_labels, find_label_errors


def blobs(per_class: int, distance: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.repeat([0, 1, 2], per_class)
    centres = distance * np.eye(3, 8)
    return (centres[labels] + rng.normal(0, 1, (len(labels), 8))).astype(np.float32), labels


def test_confident_learning_by_hand() -> None:
    # mean probability of class 0 over the images with label 0: (0.9 + 0.95 + 0.04) / 3 = 0.63
    # and of class 1: (0.8 + 0.9 + 0.6) / 3 = 0.77
    first = np.array([0.9, 0.95, 0.04, 0.2, 0.1, 0.4])
    probabilities = np.stack([first, 1 - first], axis=1)
    found = find_label_errors(np.log(probabilities)[None], np.array([0, 0, 0, 1, 1, 1]))
    assert found["position"].tolist() == [2]
    assert found["rank"].tolist() == [1]
    assert found[["label", "suggested_label"]].to_numpy().tolist() == [[0, 1]]
    np.testing.assert_allclose(
        found[["probability_label", "probability_suggested"]], [[0.04, 0.96]], atol=1e-12
    )


def test_changed_labels_are_found() -> None:
    features, labels = blobs(30, 8)
    given = labels.copy()
    given[[3, 40, 70]] = [1, 2, 0]
    result = check_labels([("block", features)], given, np.arange(90))
    assert sorted(result.suspects["position"]) == [3, 40, 70]
    by_position = result.suspects.set_index("position")
    assert by_position.loc[[3, 40, 70], "suggested_label"].tolist() == [0, 1, 2]
    assert result.suspects["rank"].tolist() == [1, 2, 3]
    assert (result.checked, result.note) == (90, "")


def test_right_labels_give_no_alarm() -> None:
    features, labels = blobs(30, 8)
    result = check_labels([("block", features)], labels, np.arange(90))
    assert len(result.suspects) == 0


def test_what_misreads_more_is_expected_to_name_more_right_labels() -> None:
    features, labels = blobs(60, 2, seed=2)
    result = check_labels([("block", features)], labels, np.arange(180))
    named = len(result.suspects) / result.checked
    assert 1 / 200 < named < result.false_alarms
    features, labels = blobs(30, 8)
    assert check_labels([("block", features)], labels, np.arange(90)).false_alarms == 1 / 200


def test_probes_that_guess_doubt_no_label() -> None:
    features, labels = blobs(30, 0.3)
    result = check_labels([("block", features)], labels, np.arange(90))
    assert (len(result.suspects), result.checked, result.accuracy) == (0, 0, None)
    assert "guessing: 33%" in result.note


def test_small_classes_are_left_out_and_it_is_said() -> None:
    features, labels = blobs(30, 8)
    rows = np.r_[:64]
    result = check_labels([("block", features[rows])], labels[rows], rows)
    assert result.checked == 60
    assert "1 classes of fewer than 8" in result.note


def test_copies_do_not_judge_each_other() -> None:
    features, labels = blobs(10, 8)
    result = check_labels([("block", features)], labels, np.repeat(np.arange(6), 5))
    assert "two classes of 8 images" in result.note
