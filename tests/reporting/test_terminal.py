"""What a person sees, in a terminal of 80 columns and in a log file."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.reporting.consoles import console, shown
from tl_keras.evaluation.fold_intervals import CORRECTED_T
from tl_keras.reporting.terminal import (
    TerminalMonitor,
    show_answer,
    show_decision,
    show_next_steps,
    show_probes,
    show_summary,
)
from tl_keras.results.runs_table import FinishedRun
from tl_keras.transfer.run_plan import Run
from tl_keras.transfer.trials import Trial

ROW = {
    "seed": 1,
    "train_per_class": 10,
    "strategy": "fine_tuning",
    "unfrozen_blocks": "2",
    "phase_1_seconds": 1.0,
    "phase_2_seconds": 2.4,
    "validation_accuracy": 0.9,
    "test_accuracy": 0.8765,
}
RUN = Run("fine_tuning", 1, 10, 2)


def summary(sizes: tuple[int | None, ...] = (10,)) -> pd.DataFrame:
    """Two strategies for each size; the second one is compared with the first."""
    rows = []
    for size in sizes:
        common = {
            "train_per_class": size,
            "n": 3,
            "test_accuracy_low": 0.7,
            "test_accuracy_high": 0.9512,
            "interval_method": "Wilson score",
            "test_balanced_accuracy_mean": 0.765,
            "test_class_ratio": 1.5,
            "needed": None,
            "test_accuracy_sd": 0.0211,
            "validation_accuracy_mean": 0.85,
            "training_seconds_mean": 123.4,
        }
        rows += [
            common
            | {
                "strategy": "feature_extraction",
                "unfrozen_blocks": "0",
                "test_accuracy_mean": 0.8123,
                "sentence": None,
            },
            common
            | {
                "strategy": "fine_tuning",
                "unfrozen_blocks": "all",
                "test_accuracy_mean": 0.8734,
                "sentence": "fine-tuning (all blocks) is better than feature extraction by 6.1 "
                "points [3.0, 9.2]",
            },
        ]
    return pd.DataFrame(rows)


def test_the_summary_is_a_table_with_whole_numbers() -> None:
    screen = console()
    show_summary(screen, summary(), None)
    text = shown(screen)
    assert "per class" not in text
    (line,) = [line for line in text.splitlines() if "0.873" in line]
    cells = [cell.strip() for cell in line.split("│")]
    assert cells == ["fine-tuning (all blocks)", "0.873", "0.700-0.951", "0.021", "0.850", "123"]


def test_unequal_classes_have_a_column_of_balanced_accuracy() -> None:
    screen = console()
    show_summary(screen, summary().assign(test_class_ratio=1.6), None)
    text = shown(screen)
    assert "balanced" in text
    assert "│    0.765 │" in text
    assert all(len(line) <= 80 for line in text.splitlines())


def test_what_would_be_needed_stands_beside_the_sentence() -> None:
    screen = console()
    show_summary(screen, summary().assign(needed="about 400 test images would be needed"), None)
    sentences = " ".join(shown(screen).split())
    assert "6.1 points [3.0, 9.2]; about 400 test images would be needed." in sentences


def test_folds_are_named() -> None:
    screen = console()
    show_summary(screen, summary().assign(interval_method=CORRECTED_T), None)
    assert "Accuracy on held-out folds" in shown(screen)


def test_one_sentence_per_comparison() -> None:
    screen = console()
    show_summary(screen, summary(), None)
    sentences = " ".join(shown(screen).split())
    assert sentences.count("is better than feature extraction by 6.1 points [3.0, 9.2].") == 1


def test_several_sizes_have_a_column_and_are_named_in_the_sentences() -> None:
    screen = console()
    show_summary(screen, summary((10, 200)), None)
    text = shown(screen)
    assert "per class" in text
    assert "│  0.700-0.951 │" in text, "the interval is whole in 80 columns"
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "With 10 images per class: fine-tuning" in text
    assert "With 200 images per class: fine-tuning" in text


def test_all_images_as_the_size_have_no_column() -> None:
    screen = console()
    show_summary(screen, summary((None,)), None)
    assert "per class" not in shown(screen)


def test_one_seed_has_no_spread() -> None:
    screen = console()
    show_summary(screen, summary().assign(test_accuracy_sd=float("nan")), None)
    assert "nan" not in shown(screen)


def test_the_notice_stands_beside_the_figures() -> None:
    screen = console()
    show_summary(screen, summary(), "Generated images: no evidence that transfer works.")
    assert "note Generated images: no evidence that transfer works." in shown(screen)


@pytest.mark.parametrize("name", ["x[/b].png", "[red].png", "[copy] 1.png"])
def test_names_of_files_are_shown_as_they_are(name: str) -> None:
    screen = console()
    TerminalMonitor(screen).warn(f"1 unreadable images are left out: {name}.")
    assert shown(screen) == f"warning 1 unreadable images are left out: {name}.\n"


def test_a_finished_run_is_one_line() -> None:
    screen = console()
    with TerminalMonitor(screen) as monitor:
        monitor.plan((RUN,), 0, 10.0)
        monitor.run(RUN, FinishedRun.from_row(ROW))
    line = "  fine-tuning (2 blocks), 10 per class, seed 1: validation 0.900, test 0.876 (3 s)"
    assert line in shown(screen).splitlines()


def test_a_finished_trial_is_one_line() -> None:
    screen = console()
    trial = Trial("top", "2", 1e-4, 1.0, 0, "none", 5, "mean", 1, 9, 0.25, 0.1, 0.9, 99, 1.5)
    TerminalMonitor(screen).trial(trial)
    assert shown(screen) == (
        "  trial: up to top, 2 unfrozen blocks at 0.0001, augmentation none: "
        "validation loss 0.250\n"
    )


@pytest.mark.parametrize(
    ("depth", "words"),
    [("1", "1 unfrozen block at"), ("all", "all unfrozen blocks at"), ("a:b", "a:b unfrozen at")],
)
def test_a_trial_names_its_depth(depth: str, words: str) -> None:
    screen = console()
    trial = Trial("top", depth, 1e-4, 1.0, 0, "none", 5, "mean", 1, 9, 0.25, 0.1, 0.9, 99, 1.5)
    TerminalMonitor(screen).trial(trial)
    assert f"up to top, {words} 0.0001" in shown(screen)


def test_a_trial_without_a_second_phase_has_no_rate() -> None:
    screen = console()
    TerminalMonitor(screen).trial(
        Trial("top", "0", None, None, 0, "none", None, "mean", 3, 9, 0.25, 0.1, 0.9, 21, 1.5)
    )
    assert " at " not in shown(screen)


def test_a_log_file_names_the_stages() -> None:
    screen = console()
    with TerminalMonitor(screen) as monitor:
        monitor.stage("Decoding the images")
    assert "Decoding the images ...\n" in shown(screen)


def test_a_terminal_shows_how_far_it_is_and_the_time_left() -> None:
    screen = console(terminal=True)
    with TerminalMonitor(screen) as monitor:
        monitor.plan((RUN, RUN), 1, 10.0)
        monitor.stage("Exporting the model")
    text = shown(screen)
    assert "Exporting the model" in text
    assert "1/2 runs" in text
    assert "left:" in text
    assert "1 of 2 runs were finished before." in text


def test_the_bar_is_full_only_when_all_is_done_and_not_when_all_runs_are() -> None:
    screen = console(terminal=True)
    with TerminalMonitor(screen) as monitor:
        monitor.plan((RUN,), 0, 10.0)
        monitor.run(RUN, FinishedRun.from_row(ROW))
        monitor.progress(6.0)
        (bar,) = monitor._line._bar.tasks
        assert (bar.completed, bar.total) == (6.0, 10.0)
        monitor.progress(4.0)
        assert bar.finished
    assert "1/1 runs" in shown(screen)


def test_a_run_is_a_seed_or_a_fold() -> None:
    row = {"strategy": "fine_tuning", "seed": 1, "unfrozen_blocks": "2", "phase_1_seconds": 1.0}
    row |= {"phase_2_seconds": 2.0, "validation_accuracy": 0.9, "test_accuracy": 0.8}
    for folds, name in ((None, "seed 1"), (5, "fold 2 of 5")):
        screen = console()
        with TerminalMonitor(screen, folds) as monitor:
            monitor.run(RUN, FinishedRun.from_row(row))
        assert f", {name}: validation 0.900, test 0.800 (3 s)" in shown(screen)


def test_a_decision_is_a_few_lines(decision_facts: dict[str, Any]) -> None:
    screen = console()
    show_decision(screen, decision_facts, "linear probe, seed 0")
    assert " ".join(shown(screen).split()).startswith("Decisions with linear probe, seed 0: ")
    assert shown(screen).count("\n  ") >= 3


def probes() -> pd.DataFrame:
    """Of a small size, then of two seeds of a larger one."""
    return pd.DataFrame(
        {
            "block": ["stem", "top", "average"] * 3,
            "depth": pd.array([1, 2, None] * 3, "Int64"),
            "train_per_class": [3] * 3 + [10] * 6,
            "images": [9] * 3 + [60] * 6,
            "accuracy": [0.1, 0.1, 0.1, 0.6, 1.0, 0.9, 0.8, 1.0, 0.9],
            "accuracy_low": 0.05,
            "accuracy_high": 1.0,
            "cross_entropy": 0.3,
            "weight": [1.0, 0.0, None, 0.0, 1.0, None, 0.5, 0.5, None],
        }
    )


def test_probes_are_a_row_per_block_for_the_largest_size() -> None:
    screen = console()
    show_probes(screen, probes())
    lines = [line.split("│") for line in shown(screen).splitlines() if "│" in line]
    stem, top, average = ([cell.strip() for cell in line] for line in lines[-3:])
    assert stem == ["stem", "0.700", "█" * 21, "25%"]
    assert top == ["top", "1.000", "█" * 30, "75%"]
    assert average == ["average", "0.900", "█" * 27, ""]
    assert "cross-validated on 60 training images" in " ".join(shown(screen).split())


def test_the_answer_ends_with_commands_that_can_be_copied() -> None:
    screen = console()
    long = "tl-keras run " + "results/" * 30 + "config.json"
    show_answer(screen, ["It found 19."], {"Report": Path("results/parts/report.html")})
    show_next_steps(screen, [("try", "tl-keras predict a b.jpg"), ("again", long)])
    lines = shown(screen).splitlines()
    assert "It found 19." in lines
    assert any(line.endswith("results/parts/report.html") for line in lines)
    assert lines[-2].endswith("  tl-keras predict a b.jpg")
    # in one line, however narrow the terminal is
    assert lines[-1].endswith(long)
