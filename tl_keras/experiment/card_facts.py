"""What an experiment tells of the model that it hands over, for its card."""

import hashlib
from dataclasses import asdict
from typing import Any

import numpy as np

from tl_keras.data.corrections import counted
from tl_keras.data.image_formats import is_served
from tl_keras.digests import keep_json, known_json
from tl_keras.experiment.decide import read_decision
from tl_keras.experiment.hand_over import HANDED_OVER, HandedOver, learned_rows
from tl_keras.experiment.prepare import ADVICE, Prepared
from tl_keras.reporting.handed_over_words import handed_in_words, measured_in_words
from tl_keras.results.environment import environment
from tl_keras.results.learning_curves import expected_accuracy
from tl_keras.results.runs_table import FinishedRun
from tl_keras.results.test_results import rows_like
from tl_keras.transfer.network_words import chosen_in_words, networks_in


def card_facts(prepared: Prepared, handed: HandedOver) -> dict[str, Any]:
    """What `model_card` needs beside what the export answers."""
    chosen = handed.run
    config, row = prepared.config, chosen.as_row()
    keys = ("run_id", "strategy", "seed", "learning_rate", "epochs", "validation_accuracy")
    model = (
        *("backbone", "cut", "head_blocks", "unfrozen_blocks", "image_size", "parameters"),
        *("pooling", "views", "penalty"),
    )
    borrowed = prepared.card if chosen.spec.borrows else None
    return {
        "name": config.name,
        "description": config.description,
        "notice": prepared.images.table.notice,
        "run": {key: row[key] for key in keys},
        "trained_on": _trained_on(prepared, chosen),
        "handed_over": write_handed_over(prepared, handed),
        "source": None if borrowed is None else asdict(borrowed),
        "model": {**{key: row[key] for key in model}, "chosen_of": _chosen_of(prepared)},
        "other_formats": other_formats(prepared),
        "doubtful_labels": _doubtful_labels(prepared, chosen),
        "decision": read_decision(prepared.store.folder, chosen.run_id),
        "configuration": config.as_dict(),
        "configuration_hash": row["configuration_hash"],
        "versions": {
            key: value
            for key, value in environment().items()
            if key not in ("processors", "accelerators")
        },
    }


def _chosen_of(prepared: Prepared) -> str:
    """Which network was taken of those that were asked for; empty without a choice."""
    return chosen_in_words(networks_in(known_json(prepared.store.place(ADVICE))))


def write_handed_over(prepared: Prepared, handed: HandedOver) -> dict[str, Any]:
    """What it learned from, what was measured, and what it is worth by the learning curve; kept."""
    store, run = prepared.store, handed.run
    measured = learned_rows(prepared, run)
    learned = prepared.bench.rows if handed.learned_all else measured
    row = rows_like(store.read("summary"), run.as_row()).iloc[0]
    curve = store.place("learning_curve.csv")
    more = len(learned) / len(measured)
    facts = {
        **handed.facts,
        "images": len(learned),
        "per_class": _counts(prepared, learned),
        "measured": {"images": len(measured), "per_class": _counts(prepared, measured)},
        "measured_accuracy": {
            "estimate": float(row["test_accuracy_mean"]),
            "low": float(row["test_accuracy_low"]),
            "high": float(row["test_accuracy_high"]),
        },
        "expected": expected_accuracy(store.read("learning_curve"), run.as_row(), more)
        if curve.exists()
        else None,
    }
    facts |= {"text": f"{measured_in_words(facts)} {handed_in_words(facts)}"}
    keep_json(store.place(HANDED_OVER), facts)
    return facts


def _trained_on(prepared: Prepared, chosen: FinishedRun) -> dict[str, Any]:
    parts = _parts(prepared, chosen)
    return {
        "training_images": len(parts["training"]),
        "validation_images": len(parts["validation"]),
        "groups": {name: len(set(prepared.groups[rows])) for name, rows in parts.items()},
        "learned_from": chosen.train_on or "training",
        "per_class": {name: _counts(prepared, rows) for name, rows in parts.items()},
        "manifest_sha256": _manifest_digest(prepared, np.concatenate(list(parts.values()))),
        "corrections": counted(prepared.images.table.corrections),
        "division": _division(prepared, chosen),
    }


def other_formats(prepared: Prepared) -> list[str]:
    """Formats among the images that an export does not take."""
    images = prepared.images.audit.images
    formats = images.loc[images["error"].isna(), "format"].dropna().unique()
    return sorted(name for name in formats if not is_served(name))


def _doubtful_labels(prepared: Prepared, chosen: FinishedRun) -> dict[str, int]:
    """How many labels look wrong, by the part of the images; {} where none was checked."""
    if not prepared.store.place("label_errors.csv").exists():
        return {}
    suspects = prepared.store.read("label_errors")["image_id"]
    names = prepared.images.table.frame["image_id"]
    return {
        part: int(names.iloc[rows].isin(suspects).sum())
        for part, rows in _parts(prepared, chosen).items()
    }


def _parts(prepared: Prepared, chosen: FinishedRun) -> dict[str, np.ndarray]:
    """Rows of the images of a run, by what they were for."""
    draw, tested = prepared.draw_of(chosen), prepared.test_of(chosen)
    return {"training": draw.train, "validation": draw.validation, "test": tested}


def _division(prepared: Prepared, chosen: FinishedRun) -> str:
    """In words, what the test images are beside the others."""
    estimate = prepared.config.estimate
    if estimate.folds is None:
        return "The test photos are a split that no run of the experiment learned from."
    repeat, fold = divmod(chosen.seed, estimate.folds)
    return (
        f"The test photos are fold {fold + 1} of {estimate.folds} (division {repeat + 1} of "
        f"{estimate.repeats}); it learned from photos of the other folds. How good the method is "
        "over all folds stands in tables/summary.csv of the experiment."
    )


def _counts(prepared: Prepared, rows: np.ndarray) -> dict[str, int]:
    counts = np.bincount(prepared.labels[rows], minlength=len(prepared.classes))
    return dict(zip(prepared.classes, counts.tolist(), strict=True))


def _manifest_digest(prepared: Prepared, rows: np.ndarray) -> str:
    """Of the names, contents and classes of the images used, in their order."""
    frame = prepared.images.table.frame.iloc[rows][["image_id", "class_index"]]
    contents = prepared.images.audit.images.set_index("image_id")["sha256"]
    lines = frame.assign(sha256=contents.loc[frame["image_id"]].to_numpy()).to_csv(index=False)
    return hashlib.sha256(lines.encode()).hexdigest()
