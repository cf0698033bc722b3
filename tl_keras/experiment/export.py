"""The stage that hands over the chosen run: a SavedModel, checked and with its card."""

import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from tl_keras.atomic_files import write_json
from tl_keras.data.image_formats import is_served
from tl_keras.data.listing import some_of
from tl_keras.data.picture_reading import PictureReading
from tl_keras.data.rows import spread
from tl_keras.digests import forget, keep_json, known_json, whole_json
from tl_keras.errors import DamagedError, ExportError, NoExportError
from tl_keras.evaluation.decision_rule import DecisionRule
from tl_keras.experiment.as_source import export_source_model
from tl_keras.experiment.decide import read_decision
from tl_keras.experiment.prepare import Prepared
from tl_keras.experiment.strangers import RECORD as STRANGERS
from tl_keras.experiment.strangers import knowing_strangers
from tl_keras.experiment.strategies.making import making
from tl_keras.models.plain_classifier import plain_classifier
from tl_keras.quiet import quiet_tensorflow
from tl_keras.results.environment import environment
from tl_keras.results.repair import ASIDE, set_aside
from tl_keras.results.runs_table import FinishedRun
from tl_keras.results.store import Store
from tl_keras.serving.checksums import damaged_files
from tl_keras.serving.decision_record import RECORD, changed_decision
from tl_keras.serving.fresh import Ask, fresh_process
from tl_keras.serving.keras_file import LABELS_FILE, MODEL_FILE, write_model
from tl_keras.serving.litert import CALIBRATION_IMAGES
from tl_keras.serving.measure import exports_table, measure_saved_model, measure_target
from tl_keras.serving.model_card import (
    JSON_NAME,
    Evidence,
    model_card,
    served_formats_only,
    write_card,
)
from tl_keras.serving.saved_model import export_classifier
from tl_keras.serving.targets import caution, file_of, is_exact, write_target
from tl_keras.serving.verify import Verification, verify_export
from tl_keras.serving.versions import (
    EXPORT_FOLDER,
    EXTRA,
    find_version,
    next_number,
    record_latest,
)
from tl_keras.target_table import TARGETS

# What the newest version is of.
EXPORT_RECORD = "export.json"


def export(prepared: Prepared, chosen: FinishedRun) -> Path | None:
    """Export a run, once; the folder of its newest version, or None where there is none.

    Args:
        prepared: the experiment.
        chosen: a finished run, whose weights must still be there.

    Raises:
        ExportError: the exported model does not answer as the trained one.
    """
    if not prepared.config.export:
        return None
    if _is_on_record(prepared):
        return _exported_before(prepared)
    if chosen.spec.trivial:
        prepared.monitor.warn(
            f"Nothing was exported: the {chosen.spec.label} is no model to serve."
        )
        return None
    return publish(prepared, chosen, prepared.config.export_targets)


def _exported_before(prepared: Prepared) -> Path:
    """The version on record, made again where a kill or somebody has left it out."""
    store = prepared.store
    run = store.run(exported_run(store.folder))
    place = store.folder / EXPORT_FOLDER / _record(store.folder)["version"]
    if damaged := _damage(place):
        if place.is_dir():
            set_aside(store.folder, place)
            prepared.monitor.warn(
                f"Not as exported: {some_of(damaged)} of {place}, now in {ASIDE}. The model is "
                "exported again."
            )
        return publish(prepared, run, prepared.config.export_targets)
    if changes := _changed_decision(store, run, place):
        prepared.monitor.warn(
            f"The decision is another one than that of {place} ({'; '.join(changes)}): the model "
            "is exported again with it."
        )
        return publish(prepared, run, _targets_again(prepared, place), place)
    record_latest(place.parent)
    store.keep_weights_of(run.run_id)
    if not (store.folder / "exports.csv").exists():
        _write_targets_table(store, place.name, _card_of(place)["targets"])
    if not (store.folder / STRANGERS).exists():
        _write_strangers(store, _card_of(place).get("strangers"))
    # an earlier version of this package wrote neither
    if not all((store.folder / name).exists() for name in (MODEL_FILE, LABELS_FILE)):
        model = making(run.strategy).model(prepared, run, store.weights(run.run_id))
        write_model(store.folder, plain_classifier(model), prepared.classes)
    return place


def _changed_decision(store: Store, run: FinishedRun, version: Path) -> list[str]:
    """What the decision of a run tells from that of its exported version; nothing without one."""
    decision = read_decision(store.folder, run.run_id)
    if decision is None:
        return []
    return changed_decision(known_json(version / EXTRA / RECORD), decision)


def _targets_again(prepared: Prepared, version: Path) -> list[str]:
    """The formats asked for, and those that a version was also written in."""
    written = [row["target"] for row in _card_of(version)["targets"]]
    asked = [*prepared.config.export_targets, *written]
    return [name for name in dict.fromkeys(asked) if name in TARGETS]


def _is_on_record(prepared: Prepared) -> bool:
    """Whether the experiment has exported a run; a record that is gone comes back from the card."""
    store = prepared.store
    if (store.folder / EXPORT_RECORD).exists():
        return True
    try:
        version = find_version(store.folder / EXPORT_FOLDER)
    except NoExportError:
        return False
    card = _card_of(version.path)
    try:
        run = store.run(card["run"]["run_id"])
        if card["configuration_hash"] != run.as_row()["configuration_hash"]:
            return False
        _keep_record(prepared, run.run_id, str(version.number), card["verification"])
    # of another experiment, or damaged as well
    except (DamagedError, KeyError, TypeError, ValueError):
        return False
    return True


def _damage(version: Path) -> list[str]:
    """Files of a version that are not as they were exported; the model, where there is none."""
    try:
        find_version(version)
    except NoExportError:
        return ["saved_model.pb"]
    return damaged_files(version)


def _card_of(version: Path) -> Mapping[str, Any]:
    """The card of a version; where it is damaged, that of one of which nothing is known."""
    return {"targets": []} | known_json(version / EXTRA / JSON_NAME)


def exported_run(folder: Path) -> str:
    """The run_id of an experiment's newest export.

    Raises:
        ExportError: nothing was exported.
        DamagedError: its record.
    """
    if not (folder / EXPORT_RECORD).exists():
        raise NoExportError(
            f"{folder} has no exported run yet: set export to true and run the experiment to its "
            "end; what is trained is kept."
        )
    return str(_record(folder)["run_id"])


def _record(folder: Path) -> dict[str, str]:
    return whole_json(folder / EXPORT_RECORD, ("run_id", "version"))


def publish(
    prepared: Prepared, chosen: FinishedRun, targets: Sequence[str], former: Path | None = None
) -> Path:
    """Write the next version of a run, with its record, and its backbone as a source model.

    Args:
        prepared: the experiment.
        chosen: a finished run, whose weights must still be there.
        targets: formats to write beside the SavedModel. One that cannot be written or answers
            otherwise is left out with a warning.
        former: a version of the same run, whose files that hold no decision are taken over.

    Raises:
        ExportError: the exported model does not answer as the trained one; nothing is published
            then.
    """
    prepared.monitor.stage(f"Exporting {chosen.run_id}")
    _warn_of_guessing(prepared, chosen)
    if others := _other_formats(prepared):
        prepared.monitor.warn(served_formats_only(others))
    # it loads TensorFlow while the model is written
    with fresh_process() as ask:
        path = _export(prepared, chosen, targets, ask, former)
    prepared.store.keep_weights_of(chosen.run_id)
    return path


def _export(
    prepared: Prepared,
    chosen: FinishedRun,
    targets: Sequence[str],
    ask: Ask,
    former: Path | None,
) -> Path:
    """Write the next version, checked by what a process answers that is asked once."""
    store, evidence = prepared.store, _evidence(prepared, chosen)
    decision = read_decision(store.folder, chosen.run_id)
    rule = None if decision is None else DecisionRule.from_json(decision)
    weights = store.weights(chosen.run_id)
    model = making(chosen.strategy).model(prepared, chosen, weights)
    served, strangers = knowing_strangers(prepared, chosen, model, weights)
    checks: list[Verification] = []
    rows: list[dict[str, object]] = []

    def complete(version: Path) -> None:
        """Check and describe a version before it is published."""
        files = prepared.images.table.frame["path"].iloc[prepared.test_of(chosen)]
        paths = [Path(name) for name in files]
        found = verify_export(version, paths, evidence.probabilities, evidence.classes, ask, rule)
        checks.append(found)
        if targets:
            kept = {name: _kept(name, former) for name in targets}
            rows.extend(_write_targets(prepared, chosen, kept, served, version, evidence, rule))
        facts = {**_facts(prepared, chosen), "strangers": strangers}
        card = model_card(facts, evidence, checks[0], rows, _megabytes(version))
        write_card(version / EXTRA, card)
        if decision is not None:
            write_json(version / EXTRA / RECORD, decision)
        write_model(store.folder, plain_classifier(model), prepared.classes)
        export_source_model(prepared, chosen, weights)
        _write_strangers(store, strangers)
        # Before the version is there: a kill between them leaves a record of what is still to
        # publish, and no version that nothing tells of.
        _write_record(prepared, chosen, checks[0], rows)

    return export_classifier(
        served,
        labels=evidence.classes,
        image_size=prepared.backbone.image_size,
        reading=PictureReading.of(prepared.config.data),
        directory=store.folder / EXPORT_FOLDER,
        rule=rule,
        complete=complete,
    )


def _write_record(
    prepared: Prepared, chosen: FinishedRun, check: Verification, rows: list[dict[str, object]]
) -> None:
    """Write how the targets of the next version compare, and at last whose it is."""
    version = str(next_number(prepared.store.folder / EXPORT_FOLDER))
    _write_targets_table(prepared.store, version, rows)
    _keep_record(prepared, chosen.run_id, version, check.as_dict())


def _write_strangers(store: Store, facts: Mapping[str, Any] | None) -> None:
    path = store.folder / STRANGERS
    if facts is None:
        forget(path)
    else:
        keep_json(path, dict(facts))


def _write_targets_table(store: Store, version: str, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        table = exports_table(rows)
        table.insert(0, "version", version)
        store.write("exports", table)


def _keep_record(
    prepared: Prepared, run_id: str, version: str, verification: Mapping[str, Any]
) -> None:
    keep_json(
        prepared.store.folder / EXPORT_RECORD,
        {
            "run_id": run_id,
            "version": version,
            "verified_images": verification["images"],
            "largest_probability_difference": verification["largest_difference"],
            "labels": list(prepared.classes),
        },
    )


def _write_targets(
    prepared: Prepared,
    chosen: FinishedRun,
    targets: Mapping[str, Path | None],
    model: keras.Model,
    version: Path,
    evidence: Evidence,
    rule: DecisionRule | None,
) -> Iterator[dict[str, object]]:
    """Rows of `exports.csv`: the SavedModel, and each target, written or copied beside it."""
    pixels = prepared.bench.images.pixels
    training = spread(prepared.draw_of(chosen).train, CALIBRATION_IMAGES)
    test = (
        pixels[prepared.test_of(chosen)],
        evidence.labels,
        evidence.probabilities,
        evidence.groups,
        rule,
    )
    # its folder is named by the version only once it is published
    yield measure_saved_model(version, *test) | {"file": ""}
    for name, kept in targets.items():
        prepared.monitor.stage(f"Writing {name}")
        try:
            # Converters report on standard error what they do.
            with quiet_tensorflow():
                path = (
                    Path(shutil.copy(kept, version / EXTRA))
                    if kept
                    else write_target(
                        name, model, version / EXTRA, pixels[training], evidence.classes, rule
                    )
                )
            row = measure_target(name, path, *test)
            if text := caution(row):
                prepared.monitor.warn(text)
            yield row
        except ExportError as error:
            (version / EXTRA / file_of(name)).unlink(missing_ok=True)
            prepared.monitor.warn(f"{name} is left out: {error}")


def _kept(name: str, former: Path | None) -> Path | None:
    """The file of a target in an earlier version of the same network, where it holds no decision.

    None where it must be written anew.
    """
    if former is None or is_exact(name):
        return None
    file = former / EXTRA / file_of(name)
    return file if file.is_file() else None


def _warn_of_guessing(prepared: Prepared, chosen: FinishedRun) -> None:
    guessing = float(np.log(chosen.classes))
    if chosen.validation_loss > 0.95 * guessing:
        prepared.monitor.warn(
            f"{chosen.run_id} is exported and hardly better than guessing: validation "
            f"cross-entropy {chosen.validation_loss:.3f}, that of guessing {guessing:.3f}."
        )


def _evidence(prepared: Prepared, chosen: FinishedRun) -> Evidence:
    # what was measured when the run finished, maybe before a restart
    probabilities = prepared.store.test_probabilities(chosen.run_id)
    rows = prepared.test_of(chosen)
    groups = pd.factorize(prepared.groups[rows])[0]
    return Evidence(prepared.classes, prepared.labels[rows], probabilities, groups)


def _facts(prepared: Prepared, chosen: FinishedRun) -> dict[str, Any]:
    """What is known without asking the export."""
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
        "source": None if borrowed is None else asdict(borrowed),
        "model": {key: row[key] for key in model},
        "other_formats": _other_formats(prepared),
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


def _trained_on(prepared: Prepared, chosen: FinishedRun) -> dict[str, Any]:
    parts = _parts(prepared, chosen)
    return {
        "training_images": len(parts["training"]),
        "validation_images": len(parts["validation"]),
        "learned_from": chosen.train_on or "training",
        "per_class": {name: _counts(prepared, rows) for name, rows in parts.items()},
        "manifest_sha256": _manifest_digest(prepared, np.concatenate(list(parts.values()))),
        "division": _division(prepared, chosen),
    }


def _other_formats(prepared: Prepared) -> list[str]:
    """Formats among the images that an export does not take."""
    images = prepared.images.audit.images
    formats = images.loc[images["error"].isna(), "format"].dropna().unique()
    return sorted(name for name in formats if not is_served(name))


def _doubtful_labels(prepared: Prepared, chosen: FinishedRun) -> dict[str, int]:
    """How many labels look wrong, by the part of the images; {} where none was checked."""
    if not (prepared.store.folder / "label_errors.csv").exists():
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
        "over all folds stands in summary.csv of the experiment."
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


def _megabytes(version: Path) -> float:
    """Of the SavedModel itself, without what lies beside it, in 2^20 bytes."""
    files = [path for path in version.rglob("*") if path.is_file()]
    own = [path for path in files if EXTRA not in path.relative_to(version).parts]
    return sum(path.stat().st_size for path in own) / 2**20
