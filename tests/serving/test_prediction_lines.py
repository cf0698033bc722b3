"""A line says of a file what its export answers, and why there is no answer."""

import numpy as np

from tl_keras.serving.exported_classifier import Answers
from tl_keras.serving.prediction_lines import columns, lines_of

PROBABILITIES = np.array([[0.25, 0.75], [0.0, 0.0]], np.float32)
DECODED = np.array([True, False])


def test_a_line_has_the_columns_but_for_the_name_of_the_file() -> None:
    answers = Answers(
        ["crack", ""],
        PROBABILITIES,
        DECODED,
        ["unknown", ""],
        np.array([0.5, 0.0], np.float32),
        np.array([0.125, 0.0], np.float32),
    )
    first, second = lines_of([b"", b""], answers, 1.0)
    assert first == {
        "label": "crack",
        "probability": 0.75,
        "confidence": 0.5,
        "decision": "unknown",
        "familiar": 0.125,
        "problem": "",
    }
    assert second["problem"] == "empty file"
    assert ["file", *first] == ["file", *second] == columns(True, True)


def test_what_an_export_leaves_out_is_no_column() -> None:
    (line, _) = lines_of([b"", b""], Answers(["crack", ""], PROBABILITIES, DECODED), 1.0)
    assert ["file", *line] == columns(False, False) == ["file", "label", "probability", "problem"]
