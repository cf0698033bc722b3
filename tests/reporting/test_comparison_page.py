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
from tl_keras.results.store import Store
from tl_keras.results_layout import place

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
        images = pd.read_csv(place(folder, "images.csv"))
        images["group"] = np.arange(len(images)) // 4
        images.to_csv(place(folder, "images.csv"), index=False)
    found = difference(*choices(*folders))
    assert found.method == BOOTSTRAP_SEEDS_AND_IMAGES + IN_GROUPS


def test_other_photos_are_compared_by_their_intervals(finish: Finish) -> None:
    one, other = choices(finish("one"), finish("other", photos="new"))
    found = difference(one, other)
    assert found.estimate == 0
    assert found.method == "intervals of both, joined by their squares"
    (sentence,) = comparison([one, other])["sentences"]
    # before any verdict
    assert sentence.index("different test photos") < sentence.index("one: ")


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


def test_an_experiment_is_not_compared_with_itself(finish: Finish, tmp_path: Path) -> None:
    folder, other, page = finish("a"), finish("b"), tmp_path / "page.html"
    (tmp_path / "link").symlink_to(folder)
    for same in (folder, folder / ".." / folder.name, tmp_path / "link"):
        with pytest.raises(ResultsError, match="must be different ones"):
            write_comparison([other, folder, same], page)
    assert not page.exists()


def test_other_photos_are_said(finish: Finish, tmp_path: Path) -> None:
    said: list[str] = []
    page = write_comparison(
        [finish("one"), finish("other", photos="new")], tmp_path / "page.html", said.append
    )
    (caution,) = said
    assert " 0 are among those of " in caution
    assert f'<p class="notice">{caution}</p>' in page.read_text(encoding="utf-8")


def test_experiments_with_other_classes_are_not_compared(finish: Finish, tmp_path: Path) -> None:
    one, other, page = finish("one"), finish("other", **FROZEN), tmp_path / "page.html"
    store = Store(other)
    store.write("confusion", store.read("confusion").replace("crack", "scratch"))
    with pytest.raises(ResultsError, match=r"same classes.*crack, dent.*scratch"):
        write_comparison([one, other], page)
    assert not page.exists()


def test_photos_with_other_labels_are_not_the_same(finish: Finish) -> None:
    one, other = finish("one"), finish("other", **FROZEN)
    splits = Store(other).read("splits")
    Store(other).write("splits", splits.assign(class_index=1 - splits["class_index"]))
    both = choices(one, other)
    assert not both[0].tested_like(both[1])
    (caution,) = comparison(both)["cautions"]
    assert " 0 are among those of " in caution


def test_two_strategies_on_the_same_photos_need_no_caution(finish: Finish) -> None:
    both = choices(finish("best"), finish("frozen", head={"dropout": 0.4}, **FROZEN))
    assert comparison(both)["cautions"] == []


def test_the_same_experiment_made_twice_is_said(finish: Finish) -> None:
    (caution,) = comparison(choices(finish("a"), finish("b")))["cautions"]
    assert "made twice" in caution
