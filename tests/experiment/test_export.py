"""An experiment exports its run once; what somebody removed of that is made again."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tl_keras.atomic_files import write_json
from tl_keras.digests import keep_json, whole_json
from tl_keras.experiment import export as stage
from tl_keras.experiment.export import EXPORT_RECORD, export, exported_run
from tl_keras.experiment.hand_over import HandedOver
from tl_keras.experiment.monitor import Silent
from tl_keras.results.store import Store
from tl_keras.results_layout import place
from tl_keras.serving.checksums import write_checksums
from tl_keras.serving.keras_file import LABELS_FILE, MODEL_FILE
from tl_keras.serving.model_card import JSON_NAME
from tl_keras.serving.versions import EXTRA

EXPORTED, OTHER = "fine_tuning-n5-s1", "feature_extraction-n5-s0"

Made = list[tuple[str, tuple[str, ...]]]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Made:
    """The runs of which versions were published, and their targets."""
    published: Made = []

    def publish(prepared: Any, handed: HandedOver, targets: Sequence[str], **how: Any) -> Path:
        published.append((handed.run.run_id, tuple(targets)))
        return Path("made again")

    monkeypatch.setattr(stage, "publish", publish)
    return published


@pytest.fixture
def exported(finish: Callable[..., Path]) -> Any:
    """An experiment whose third version is that of one run; an older version is there as well."""
    store = Store(finish())
    for version in "13":
        (store.folder / "export" / version).mkdir(parents=True)
        (store.folder / "export" / version / "saved_model.pb").touch()
    keep_json(place(store.folder, EXPORT_RECORD), {"run_id": EXPORTED, "version": "3"})
    for name in (MODEL_FILE, LABELS_FILE):
        store.place(name).parent.mkdir(exist_ok=True)
        store.place(name).touch()
    config = SimpleNamespace(export=True, export_targets=("litert",))
    return SimpleNamespace(config=config, store=store, monitor=Silent())


def measured(prepared: Any, run_id: str) -> HandedOver:
    return HandedOver(prepared.store.run(run_id), [], {"run_id": run_id, "train_on": "training"})


def test_a_version_that_is_there_is_not_made_again(exported: Any, made: Made) -> None:
    path = export(exported, measured(exported, OTHER))
    assert path == exported.store.folder / "export" / "3"
    assert made == []


def remove_all(versions: Path) -> None:
    shutil.rmtree(versions)


def remove_version(versions: Path) -> None:
    shutil.rmtree(versions / "3")


def remove_model(versions: Path) -> None:
    (versions / "3" / "saved_model.pb").unlink()


def damage_model(versions: Path) -> None:
    (versions / "3" / EXTRA).mkdir()
    write_checksums(versions / "3")
    (versions / "3" / "saved_model.pb").write_text("other")


def put_a_file_in_its_place(versions: Path) -> None:
    shutil.rmtree(versions)
    versions.touch()


@pytest.mark.parametrize(
    "remove", [remove_all, remove_version, remove_model, damage_model, put_a_file_in_its_place]
)
def test_what_was_removed_is_made_again_of_the_same_run(
    exported: Any, made: Made, remove: Callable[[Path], None]
) -> None:
    remove(exported.store.folder / "export")
    assert export(exported, measured(exported, OTHER)) == Path("made again")
    assert made == [(EXPORTED, ("litert",))]


@pytest.fixture
def unrecorded(exported: Any) -> Any:
    """The same, with the card of its version and without the record."""
    card_of(exported).parent.mkdir()
    write_json(card_of(exported), card() | {"targets": [ROW, ROW | {"target": "litert"}]})
    place(exported.store.folder, EXPORT_RECORD).unlink()
    exported.classes = ("good", "scratch")
    return exported


def card_of(exported: Any) -> Path:
    return Path(exported.store.folder / "export" / "3" / EXTRA / JSON_NAME)


def card(**changes: Any) -> dict[str, Any]:
    facts = {
        "run": {"run_id": EXPORTED},
        "configuration_hash": "abc",
        "verification": {"images": 40, "largest_difference": 1e-6},
    }
    return facts | changes


ROW = {
    "target": "saved_model",
    "file": "",
    "megabytes": 9.5,
    "test_images": 40,
    "test_groups": 40,
    "test_accuracy": 0.95,
    "milliseconds_batch_1": 4.0,
    "milliseconds_batch_32": None,
}


def test_a_record_that_is_gone_comes_back_from_the_card_of_the_version(
    unrecorded: Any, made: Made
) -> None:
    path = export(unrecorded, measured(unrecorded, OTHER))
    assert path == unrecorded.store.folder / "export" / "3"
    assert made == []
    assert exported_run(unrecorded.store.folder) == EXPORTED
    assert whole_json(place(unrecorded.store.folder, EXPORT_RECORD)) == {
        "run_id": EXPORTED,
        "train_on": "training",
        "version": "3",
        "verified_images": 40,
        "largest_probability_difference": 1e-6,
        "labels": ["good", "scratch"],
    }


def test_the_table_of_targets_comes_back_from_the_card(unrecorded: Any, made: Made) -> None:
    export(unrecorded, measured(unrecorded, OTHER))
    table = unrecorded.store.read("exports")
    assert table["target"].tolist() == ["saved_model", "litert"]
    assert table["version"].tolist() == [3, 3]
    assert table["megabytes"].tolist() == [9.5, 9.5]
    assert table["milliseconds_batch_32"].isna().all()


def test_versions_that_are_there_follow_in_the_table_of_targets(
    unrecorded: Any, made: Made
) -> None:
    first = unrecorded.store.folder / "export" / "1"
    older: list[tuple[Any, list[str]]] = [
        ([ROW, ROW | {"target": "onnx", "megabytes": 9.0}], ["saved_model", "onnx"]),
        # of an earlier version of the package, of none, and damaged
        ([{"target": "onnx"}], []),
        ([], []),
        ("text", []),
    ]
    (first / EXTRA).mkdir()
    for rows, kept in older:
        write_json(first / EXTRA / JSON_NAME, {"targets": rows})
        place(unrecorded.store.folder, "exports.csv").unlink(missing_ok=True)
        export(unrecorded, measured(unrecorded, OTHER))
        table = unrecorded.store.read("exports")
        assert table["target"].tolist() == ["saved_model", "litert", *kept]
        assert table["version"].tolist() == [3, 3, *[1] * len(kept)]
    (first / EXTRA / JSON_NAME).write_bytes(b"\xff")
    place(unrecorded.store.folder, "exports.csv").unlink()
    export(unrecorded, measured(unrecorded, OTHER))
    assert unrecorded.store.read("exports")["version"].tolist() == [3, 3]


@pytest.mark.parametrize(
    "content",
    [
        card(configuration_hash="that of another configuration"),
        card(run={"run_id": "of-another-experiment"}),
        card(run=None),
        card(verification={"images": 40}),
        {},
    ],
    ids=["other configuration", "other run", "no run", "no figures", "nothing"],
)
def test_a_version_of_something_else_is_not_taken_for_the_export(
    unrecorded: Any, made: Made, content: dict[str, Any]
) -> None:
    write_json(card_of(unrecorded), content)
    assert export(unrecorded, measured(unrecorded, OTHER)) == Path("made again")
    assert made == [(OTHER, ("litert",))]
    assert not place(unrecorded.store.folder, EXPORT_RECORD).exists()


def test_where_no_export_is_asked_for_none_is_made_again(exported: Any, made: Made) -> None:
    remove_all(exported.store.folder / "export")
    exported.config.export = False
    assert export(exported, measured(exported, OTHER)) is None
    assert made == []


def decided(exported: Any, threshold: float) -> None:
    rule = {"threshold": threshold, "positive": ["scratch"]}
    keep_json(place(exported.store.folder, "decision.json"), {"run_id": EXPORTED, "rule": rule})


@pytest.fixture
def with_decision(exported: Any) -> Any:
    """The same, with a decision of which its version knows, and a format that somebody added."""
    decided(exported, 0.5)
    extra = exported.store.folder / "export" / "3" / EXTRA
    extra.mkdir()
    shutil.copy(place(exported.store.folder, "decision.json"), extra)
    write_json(extra / JSON_NAME, {"targets": [ROW, ROW | {"target": "onnx"}]})
    return exported


def test_the_same_decision_is_not_exported_again(with_decision: Any, made: Made) -> None:
    decided(with_decision, 0.5 + 1e-9)
    export(with_decision, measured(with_decision, OTHER))
    assert made == []


def test_another_decision_is_exported_in_the_formats_that_were_there(
    with_decision: Any, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(with_decision, "monitor", SimpleNamespace(warn=told.append))
    decided(with_decision, 0.25)
    export(with_decision, measured(with_decision, OTHER))
    assert made == [(EXPORTED, ("litert", "onnx"))]
    assert "threshold: 0.5 -> 0.25" in told[0] and "positive" not in told[0]


def test_the_decision_of_another_run_is_none_of_the_exported_one(
    with_decision: Any, made: Made
) -> None:
    keep_json(place(with_decision.store.folder, "decision.json"), {"run_id": OTHER, "rule": {}})
    export(with_decision, measured(with_decision, OTHER))
    assert made == []


def test_only_files_without_a_decision_are_taken_over(tmp_path: Path) -> None:
    (tmp_path / EXTRA).mkdir()
    for name in ("classifier.onnx", "classifier_int8.tflite"):
        (tmp_path / EXTRA / name).touch()
    kept = {name: stage._kept(name, tmp_path) for name in ("litert", "litert_int8", "onnx")}
    assert kept == {
        "litert": None,
        "litert_int8": tmp_path / EXTRA / "classifier_int8.tflite",
        "onnx": None,
    }
    assert stage._kept("litert_int8", None) is None
    assert stage._kept("litert_int8", tmp_path / "absent") is None
