"""Experiments beside each other: paired where they answered the same photos."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tl_keras.errors import ResultsError
from tl_keras.evaluation.intervals import BOOTSTRAP_SEEDS_AND_IMAGES, IN_GROUPS
from tl_keras.reporting.comparison_page import Compared, comparison, difference, write_comparison
from tl_keras.results.finished_experiment import FinishedExperiment

FROZEN = {"strategies": ("feature_extraction",)}

Finish = Callable[..., Path]


def choices(*folders: Path) -> list[Compared]:
    return [
        Compared.of(FinishedExperiment.open(folder), place) for place, folder in enumerate(folders)
    ]


def test_the_same_photos_are_compared_in_pairs(finish: Finish) -> None:
    best, frozen = choices(finish("best"), finish("frozen", **FROZEN))
    found = difference(best, frozen)
    assert found.estimate == pytest.approx(0.15)
    assert found.method == BOOTSTRAP_SEEDS_AND_IMAGES
    (sentence,) = comparison([best, frozen])["sentences"]
    assert sentence.startswith(
        "best: fine-tuning (2 blocks) is better than frozen: feature extraction by 15.0 points"
    )
    assert sentence.endswith("(paired, on the same test photos).")


def test_groups_of_photos_are_drawn_together(finish: Finish) -> None:
    folders = finish("best"), finish("frozen", **FROZEN)
    for folder in folders:
        images = pd.read_csv(folder / "images.csv")
        images["group"] = np.arange(len(images)) // 4
        images.to_csv(folder / "images.csv", index=False)
    found = difference(*choices(*folders))
    assert found.method == BOOTSTRAP_SEEDS_AND_IMAGES + IN_GROUPS


def test_other_photos_are_compared_by_their_intervals(finish: Finish) -> None:
    one, other = choices(finish("one"), finish("other", photos="new"))
    found = difference(one, other)
    assert found.estimate == 0
    assert found.method == "intervals of both, joined by their squares"
    (sentence,) = comparison([one, other])["sentences"]
    assert sentence.endswith("(on different test photos).")


def test_the_page_says_what_is_different(finish: Finish, tmp_path: Path) -> None:
    folders = [finish("first"), finish("second", head={"dropout": 0.4}, **FROZEN)]
    html = write_comparison(folders, tmp_path / "page.html").read_text(encoding="utf-8")
    assert "head.dropout: 0.2 -&gt; 0.4" in html
    assert "<h1>first, second compared</h1>" in html


def test_every_strategy_of_every_experiment_is_in_the_table(finish: Finish) -> None:
    both = choices(finish("a"), finish("b", **FROZEN))
    rows = {row[0]: row[1:] for row in comparison(both)["strategies"].rows}
    assert rows["feature extraction"] == ["0.800", "0.800"]
    assert rows["from scratch"] == ["0.625", ""]


def test_a_page_that_cannot_be_written_is_refused(finish: Finish, tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="must be a file that can be written"):
        write_comparison([finish("a"), finish("b")], tmp_path / "missing" / "page.html")
