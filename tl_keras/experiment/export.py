"""The stage that hands over the chosen run: a SavedModel, checked and with its card."""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from tl_keras.atomic_files import write_json
from tl_keras.data.listing import some_of
from tl_keras.data.picture_reading import PictureReading
from tl_keras.data.rows import spread
from tl_keras.digests import forget, keep_json, known_json, whole_json
from tl_keras.errors import DamagedError, ExportError, NoExportError
from tl_keras.evaluation.decision_rule import DecisionRule
from tl_keras.experiment.as_source import export_source_model
from tl_keras.experiment.card_facts import card_facts, other_formats, write_handed_over
from tl_keras.experiment.decide import read_decision
from tl_keras.experiment.hand_over import HANDED_OVER, HandedOver, handed_before
from tl_keras.experiment.prepare import Prepared
from tl_keras.experiment.strangers import RECORD as STRANGERS
from tl_keras.experiment.strangers import knowing_strangers, without_strangers
from tl_keras.experiment.strategies.making import making, model_making
from tl_keras.invocation import settings
from tl_keras.models.plain_classifier import plain_classifier
from tl_keras.progress import making as telling
from tl_keras.quiet import quiet_tensorflow
from tl_keras.results.folder_lock import at_work
from tl_keras.results.repair import ASIDE, set_aside
from tl_keras.results.runs_table import FinishedRun
from tl_keras.results.store import Store
from tl_keras.results_layout import inner, place
from tl_keras.serving.checksums import damaged_files
from tl_keras.serving.decision_record import RECORD, changed_decision
from tl_keras.serving.fresh import Ask, fresh_process
from tl_keras.serving.handover import Handover
from tl_keras.serving.keras_file import LABELS_FILE, MODEL_FILE, write_model
from tl_keras.serving.litert import CALIBRATION_IMAGES
from tl_keras.serving.measure import AskedImages, exports_table, measure_saved_model, measure_target
from tl_keras.serving.model_card import (
    JSON_NAME,
    Evidence,
    model_card,
    served_formats_only,
    write_card,
)
from tl_keras.serving.saved_model import export_classifier
from tl_keras.serving.targets import (
    LEARNED,
    caution,
    file_of,
    furnish_target,
    is_exact,
    remove_target,
    write_target,
)
from tl_keras.serving.verify import Verification, verify_export
from tl_keras.serving.versions import (
    EXPORT_FOLDER,
    EXTRA,
    find_version,
    next_number,
    record_latest,
    version_folders,
)
from tl_keras.serving.wheels import HERE, Destination
from tl_keras.target_table import TARGETS

# What the newest version is of.
EXPORT_RECORD = "export.json"
_ACCURACY = ("test_accuracy", "test_accuracy_low", "test_accuracy_high")
_LEARNED = {
    True: "fitted anew on all photos",
    False: "the measured model, which learned from the training photos",
}


def export(
    prepared: Prepared, handed: HandedOver | None, curves: Callable[[], None] = lambda: None
) -> Path | None:
    """Export a run, once; the folder of its newest version, or None where there is none.

    Args:
        prepared: the experiment.
        handed: a finished run and what is handed over of it; None of what is no model.
        curves: has learning curves written, which the card quotes.

    Raises:
        ExportError: the exported model does not answer as the trained one.
    """
    if not prepared.config.export:
        return None
    if _is_on_record(prepared):
        before = _handed_before(prepared, handed)
        if before.facts["train_on"] == _record(prepared.store.folder).get("train_on", "training"):
            return _exported_before(prepared, before)
        place = prepared.store.folder / EXPORT_FOLDER / _record(prepared.store.folder)["version"]
        changes = _changed_decision(prepared.store, before.run, place)
        now = "; ".join([f"it is now {_LEARNED[before.learned_all]}", *changes])
        prepared.monitor.warn(
            f"The model of {prepared.name_of(before.run)} is exported again: {now}."
        )
        return publish(prepared, before, prepared.config.export_targets, curves=curves)
    if handed is None:
        prepared.monitor.warn("Nothing was exported: a majority class is no model to serve.")
        return None
    return publish(prepared, handed, prepared.config.export_targets, curves=curves)


def _handed_before(prepared: Prepared, handed: HandedOver | None) -> HandedOver:
    """What is handed over of the run on record, which need not be the one that is chosen now."""
    run_id = exported_run(prepared.store.folder)
    same = handed is not None and handed.run.run_id == run_id
    return handed if handed is not None and same else handed_before(prepared, run_id)


def _exported_before(prepared: Prepared, handed: HandedOver) -> Path:
    """The version on record, made again where a kill or somebody has left it out."""
    store, run = prepared.store, handed.run
    place = store.folder / EXPORT_FOLDER / _record(store.folder)["version"]
    if damaged := _damage(place):
        if place.is_dir():
            set_aside(store.folder, place)
            prepared.monitor.warn(
                f"Not as exported: {some_of(damaged)} of {place}, now in {inner(ASIDE)}. The model "
                "is exported again."
            )
        return publish(prepared, handed, prepared.config.export_targets)
    if changes := _changed_decision(store, run, place):
        prepared.monitor.warn(
            f"The decision is another one than that of {place} ({'; '.join(changes)}): the model "
            "is exported again with it."
        )
        return publish(prepared, handed, _targets_again(prepared, place), former=place)
    record_latest(place.parent)
    store.keep_weights_of(run.run_id)
    if not store.place("exports.csv").exists():
        _write_targets_table(store, place.name, _card_of(place)["targets"])
    if not store.place(STRANGERS).exists():
        _write_strangers(store, _card_of(place).get("strangers"))
    told = known_json(store.place(HANDED_OVER))
    if told and "text" not in told:
        # made again, after it was damaged or removed
        write_handed_over(prepared, handed)
    # an earlier version of this package wrote neither
    if not all(store.place(name).exists() for name in (MODEL_FILE, LABELS_FILE)):
        model = making(run.strategy).model(prepared, run, handed.weights(store))
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
    if store.place(EXPORT_RECORD).exists():
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
        train_on = card.get("handed_over", {}).get("train_on", "training")
        _keep_record(prepared, run.run_id, train_on, str(version.number), card["verification"])
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
    if not place(folder, EXPORT_RECORD).exists():
        mend = (
            f"run the experiment to its end with {settings({'export': True})}; what is trained "
            "is kept."
        )
        if who := at_work(folder):
            mend = f"{who} is at work there. Wait until it has ended."
        raise NoExportError(f"{folder} has no exported run yet: {mend}")
    return str(_record(folder)["run_id"])


def _record(folder: Path) -> dict[str, str]:
    return whole_json(place(folder, EXPORT_RECORD), ("run_id", "version"))


def publish(
    prepared: Prepared,
    handed: HandedOver,
    targets: Sequence[str],
    *,
    curves: Callable[[], None] = lambda: None,
    former: Path | None = None,
    destination: Destination = HERE,
) -> Path:
    """Write the next version of a run, with its record, and its backbone as a source model.

    Args:
        prepared: the experiment.
        handed: a finished run, whose weights must still be there, and what is handed over of it.
        curves: as of `export`.
        targets: formats to write beside the SavedModel. One that cannot be written or answers
            otherwise is left out with a warning.
        former: a version of the same run, whose files that hold no decision are taken over.
        destination: where a target with libraries shall run; with a former version as that.

    Raises:
        ExportError: the exported model does not answer as the trained one; nothing is published
            then.
    """
    prepared.monitor.stage(f"Exporting the model of {prepared.name_of(handed.run)}")
    _warn_of_guessing(prepared, handed.run)
    if others := other_formats(prepared):
        prepared.monitor.warn(served_formats_only(others))
    # it loads TensorFlow while the model is written
    with fresh_process() as ask:
        path = _export(prepared, handed, targets, curves, ask, former, destination)
    prepared.store.keep_weights_of(handed.run.run_id)
    return path


def _export(
    prepared: Prepared,
    handed: HandedOver,
    targets: Sequence[str],
    curves: Callable[[], None],
    ask: Ask,
    former: Path | None,
    destination: Destination,
) -> Path:
    """Write the next version, checked by what a process answers that is asked once."""
    store, chosen = prepared.store, handed.run
    evidence, weights = _evidence(prepared, chosen), handed.weights(store)
    decision = read_decision(store.folder, chosen.run_id)
    rule = None if decision is None else DecisionRule.from_json(decision)
    model = making(chosen.strategy).model(prepared, chosen, weights)
    answers = _answers(prepared, handed, evidence)
    # after what else the trainer does: it is built of the network as it is now
    telling("how strange a photo may be")
    served, strangers = knowing_strangers(prepared, handed, model)
    wanted = rule is not None and rule.stranger_share > 0
    if wanted and strangers is None and (text := without_strangers(handed)):
        prepared.monitor.warn(text)
    checks: list[Verification] = []
    rows: list[dict[str, object]] = []

    def complete(version: Path) -> None:
        """Check and describe a version before it is published."""
        files = prepared.images.table.frame["path"].iloc[prepared.test_of(chosen)]
        paths = [Path(name) for name in files]
        prepared.monitor.stage("Checking the SavedModel")
        found = verify_export(version, paths, answers, evidence.classes, ask, rule)
        checks.append(found)
        if targets:
            reading = PictureReading.of(prepared.config.data)
            handover = Handover(reading, rule, paths, answers, destination, former)
            kept = {name: _kept(name, former) for name in targets}
            measured = replace(evidence, probabilities=answers)
            rows.extend(_write_targets(prepared, handed, kept, served, version, measured, handover))
        curves()
        facts = {**card_facts(prepared, handed), "strangers": strangers}
        card = model_card(facts, evidence, checks[0], rows, _megabytes(version))
        write_card(version / EXTRA, card)
        if decision is not None:
            write_json(version / EXTRA / RECORD, decision)
        write_model(store.folder, plain_classifier(model), prepared.classes)
        export_source_model(prepared, chosen, store.weights(chosen.run_id))
        _write_strangers(store, strangers)
        # Before the version is there: a kill between them leaves a record of what is still to
        # publish, and no version that nothing tells of.
        _write_record(prepared, handed, checks[0], rows)

    prepared.monitor.stage("Writing the SavedModel")
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
    prepared: Prepared, handed: HandedOver, check: Verification, rows: list[dict[str, object]]
) -> None:
    """Write how the targets of the next version compare, and at last whose it is."""
    version = str(next_number(prepared.store.folder / EXPORT_FOLDER))
    _write_targets_table(prepared.store, version, rows)
    train_on = handed.facts["train_on"]
    _keep_record(prepared, handed.run.run_id, train_on, version, check.as_dict())


def _write_strangers(store: Store, facts: Mapping[str, Any] | None) -> None:
    path = store.place(STRANGERS)
    if facts is None:
        forget(path)
    else:
        keep_json(path, dict(facts))


def _write_targets_table(store: Store, version: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the rows of a version, and behind them those of the older ones, of their cards."""
    tables = [exports_table(rows).assign(version=version)] if rows else []
    for folder in version_folders(store.folder / EXPORT_FOLDER):
        # a damaged card, or one of an earlier version of this package
        with suppress(ValueError, TypeError, KeyError):
            older = _card_of(folder)["targets"]
            if older and folder.name != version:
                tables.append(exports_table(older).assign(version=folder.name))
    if tables:
        table = pd.concat(tables, ignore_index=True)
        table.insert(0, "version", table.pop("version"))
        store.write("exports", table)


def _keep_record(
    prepared: Prepared, run_id: str, train_on: str, version: str, verification: Mapping[str, Any]
) -> None:
    keep_json(
        prepared.store.place(EXPORT_RECORD),
        {
            "run_id": run_id,
            "train_on": train_on,
            "version": version,
            "verified_images": verification["images"],
            "largest_probability_difference": verification["largest_difference"],
            "labels": list(prepared.classes),
        },
    )


def _write_targets(
    prepared: Prepared,
    handed: HandedOver,
    targets: Mapping[str, Path | None],
    model: keras.Model,
    version: Path,
    evidence: Evidence,
    handover: Handover,
) -> Iterator[dict[str, object]]:
    """Rows of `exports.csv`: the SavedModel, and each target, written or copied beside it."""
    pixels = prepared.bench.images.pixels
    training = spread(prepared.draw_of(handed.run).train, CALIBRATION_IMAGES)
    asked = AskedImages(
        pixels[prepared.test_of(handed.run)],
        evidence.labels,
        evidence.probabilities,
        evidence.groups,
        handover.rule,
    )
    # its folder is named by the version only once it is published
    yield _unlearned(measure_saved_model(version, asked) | {"file": ""}, handed)
    for number, (name, kept) in enumerate(targets.items(), 1):
        place = f"{name} ({number} of {len(targets)})" if len(targets) > 1 else name
        prepared.monitor.stage(f"Writing {place}")
        try:
            # Converters and runtimes report on standard error what they do.
            with quiet_tensorflow():
                path = (
                    Path(shutil.copy(kept, version / EXTRA))
                    if kept
                    else write_target(
                        name,
                        model,
                        version / EXTRA,
                        pixels[training],
                        evidence.classes,
                        handover.rule,
                    )
                )
                if TARGETS[name].furnish:
                    prepared.monitor.stage(f"Completing {place}")
                remarks = furnish_target(name, path, handover)
                prepared.monitor.stage(f"Trying {place} on the test photos")
                row = _unlearned(measure_target(name, path, asked), handed)
            for remark in remarks:
                prepared.monitor.warn(remark)
            if text := caution(row):
                prepared.monitor.warn(text)
            yield row
        except ExportError as error:
            remove_target(name, version / EXTRA)
            prepared.monitor.warn(f"{name} is left out: {error}")


def _unlearned(row: dict[str, object], handed: HandedOver) -> dict[str, object]:
    """A row of `exports.csv` without an accuracy on photos that the model has learned."""
    if not handed.learned_all:
        return row
    return row | dict.fromkeys(_ACCURACY, float("nan")) | {"interval_method": LEARNED}


def _answers(prepared: Prepared, handed: HandedOver, evidence: Evidence) -> np.ndarray:
    """What the classifier that is handed over says of the test photos."""
    if not handed.learned_all:
        return evidence.probabilities
    rows, weights = prepared.test_of(handed.run), handed.weights(prepared.store)
    making_again = model_making(handed.run.strategy)
    assert making_again is not None, "it was fitted anew"
    return making_again.probabilities(prepared, handed.run, weights, rows)


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
            f"The model of {prepared.name_of(chosen)} is exported and hardly better than guessing: "
            f"validation loss {chosen.validation_loss:.3f}, that of guessing {guessing:.3f}."
        )


def _evidence(prepared: Prepared, chosen: FinishedRun) -> Evidence:
    # what was measured when the run finished, maybe before a restart
    probabilities = prepared.store.test_probabilities(chosen.run_id)
    rows = prepared.test_of(chosen)
    groups = pd.factorize(prepared.groups[rows])[0]
    return Evidence(prepared.classes, prepared.labels[rows], probabilities, groups)


def _megabytes(version: Path) -> float:
    """Of the SavedModel itself, without what lies beside it, in 2^20 bytes."""
    files = [path for path in version.rglob("*") if path.is_file()]
    own = [path for path in files if EXTRA not in path.relative_to(version).parts]
    return sum(path.stat().st_size for path in own) / 2**20
