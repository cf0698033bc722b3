"""What Python hands to an experiment, and what becomes of it."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from PIL import Image

from tl_keras.config.files import fingerprint, parse_config
from tl_keras.config.schema import ExperimentConfig
from tl_keras.data.given_pictures import given_pixels, resized
from tl_keras.data.sources import load_images
from tl_keras.errors import ConfigError, DataError, ResultsError
from tl_keras.experiment.advise import advise
from tl_keras.experiment.audit import audit_images
from tl_keras.experiment.inputs import experiment_config
from tl_keras.experiment.stages import run_experiment
from tl_keras.results_layout import PICTURES
from tl_keras.serving.predictions import predict

TINY = {"name": "Tiny", "weights": None, "image_size": 32}


@pytest.fixture(scope="module")
def arrays(photos: Path) -> tuple[np.ndarray, np.ndarray]:
    """The photos of the shared folder, uint8 (42, 36, 40, 3), and their names."""
    files = sorted(photos.rglob("*.png"))
    pixels = np.stack([np.asarray(Image.open(file)) for file in files])
    return pixels, np.array([file.parent.name for file in files])


Arrays = tuple[np.ndarray, np.ndarray]


def listed(images: Any, results: Path) -> set[tuple[bytes, str, str]]:
    """Pixels, label and group of every picture that an experiment on `images` would use."""
    config = experiment_config(images=images, settings={"results_dir": str(results)})
    frame = load_images(config.data).frame
    return {
        (np.asarray(Image.open(path)).tobytes(), label, group)
        for path, label, group in zip(frame["path"], frame["label"], frame["group"], strict=True)
    }


def without_groups(found: set[tuple[bytes, str, str]]) -> set[tuple[bytes, str]]:
    return {(pixels, label) for pixels, label, _ in found}


def test_every_form_of_images_is_the_same_pictures(
    arrays: Arrays, photos: Path, tmp_path: Path
) -> None:
    pixels, labels = arrays
    files = sorted(photos.rglob("*.png"))
    frame = pd.DataFrame({"path": files, "label": labels})
    frame.to_csv(tmp_path / "photos.csv", index=False)
    frame.astype(str).to_parquet(tmp_path / "photos.parquet")
    forms = {
        "folder": photos,
        "text": str(photos),
        "frame": frame,
        "csv": tmp_path / "photos.csv",
        "parquet": str(tmp_path / "photos.parquet"),
        "arrays": (pixels, labels),
        "lists": (list(pixels.astype(np.float32)), list(labels)),
        "dataset": tf.data.Dataset.from_tensor_slices((pixels, labels)).batch(8),
    }
    expected = {(p.tobytes(), label) for p, label in zip(pixels, labels.tolist(), strict=True)}
    for name, images in forms.items():
        assert without_groups(listed(images, tmp_path)) == expected, name


def test_groups_of_arrays_and_of_tables_are_kept(
    arrays: Arrays, photos: Path, tmp_path: Path
) -> None:
    pixels, labels = arrays
    groups = [f"part {number // 2}" for number in range(len(labels))]
    found = listed((pixels, labels, groups), tmp_path)
    assert {group for *_, group in found} == set(groups)
    assert listed((sorted(photos.rglob("*.png")), labels, groups), tmp_path) == found
    frame = pd.DataFrame(
        {"path": sorted(photos.rglob("*.png")), "label": labels, "group": groups, "more": 1}
    )
    assert listed(frame, tmp_path) == found


def test_the_same_pictures_again_are_the_same_experiment(arrays: Arrays, tmp_path: Path) -> None:
    pixels, labels = arrays
    order = np.random.default_rng(0).permutation(len(labels))
    shuffled = tf.data.Dataset.from_tensor_slices((pixels, labels)).shuffle(99).batch(5)
    forms: list[Any] = [(pixels, labels), (list(pixels), labels.tolist())]
    settings = {"results_dir": str(tmp_path)}
    configs = [experiment_config(images=images, settings=settings) for images in forms]
    assert len({fingerprint(config) for config in configs}) == 1
    assert len(list((tmp_path / PICTURES).rglob("*.png"))) == len(labels)
    # a dataset may shuffle and has no rows, arrays have
    again = [experiment_config(images=shuffled, settings=settings) for _ in range(2)]
    assert len({fingerprint(config) for config in again}) == 1
    moved = experiment_config(images=(pixels[order], labels[order]), settings=settings)
    assert fingerprint(moved) != fingerprint(configs[0])
    other = experiment_config(images=(pixels[1:], labels[1:]), settings=settings)
    assert fingerprint(other) != fingerprint(configs[0])


@pytest.mark.usefixtures("tiny_backbone")
def test_settings_change_keys_of_a_section_and_leave_the_rest(photos: Path) -> None:
    config = {"name": "a", "data": {"folder": str(photos), "test_fraction": 0.4}, "seeds": 2}
    found = experiment_config(config, None, "b", {"data": {"split_seed": 3}, "backbone": TINY})
    data = {"folder": str(photos), "test_fraction": 0.4, "split_seed": 3}
    assert found == parse_config({"name": "b", "data": data, "seeds": 2, "backbone": TINY})
    assert config["data"] == {"folder": str(photos), "test_fraction": 0.4}


@pytest.mark.usefixtures("tiny_backbone")
@pytest.mark.parametrize(
    ("given", "settings"),
    [
        ({"estimate": {"method": "k_fold"}}, {"estimate": {"method": "seeds"}}),
        ({}, {"backbone": {"cut": "stem"}}),
        ({"search": {"max_trials": 2}}, {"search": {"cuts": ["stem"]}}),
    ],
)
def test_settings_are_as_if_they_stood_in_the_file(
    photos: Path, tmp_path: Path, given: dict[str, Any], settings: dict[str, Any]
) -> None:
    """A default that follows from other keys follows from the changed ones."""
    raw = {"name": "a", "data": {"folder": str(photos)}, "backbone": TINY, **given}
    path = tmp_path / "a.json"
    path.write_text(json.dumps(raw))
    merged = {**raw, **{key: {**raw.get(key, {}), **settings[key]} for key in settings}}
    for config in (path, parse_config(raw), raw):
        assert experiment_config(config, settings=settings) == parse_config(merged)


def test_names_come_from_the_images(photos: Path, arrays: Arrays, tmp_path: Path) -> None:
    settings = {"results_dir": str(tmp_path)}
    assert experiment_config(images=photos).name == "photos"
    assert experiment_config(images=tmp_path / "my parts.csv").name == "my_parts"
    assert experiment_config(images=arrays, settings=settings).name == "images"
    assert experiment_config(images=arrays, name="parts", settings=settings).name == "parts"


def test_a_configuration_is_taken_as_it_is(photos: Path, tmp_path: Path) -> None:
    config = experiment_config({"name": "a", "data": {"folder": str(photos)}})
    assert isinstance(config, ExperimentConfig)
    assert experiment_config(config) is config
    assert experiment_config(config, settings={"seeds": 9}).seeds == 9
    assert experiment_config(photos).data.folder == str(photos)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "images or a configuration"),
        ({"config": {"name": "a", "data": {"folder": "x"}}, "images": "y"}, r"data\.folder"),
        ({"images": "x", "settings": {"sedes": 1}}, "seeds"),
        ({"config": 3}, "int"),
        ({"images": "x", "settings": {"data": "y"}}, "data must be"),
        ({"config": np.zeros((2, 4, 4, 3))}, "images=..."),
    ],
)
def test_wrong_configurations_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        experiment_config(**given)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((200, 64, 64, 3)), r"\(x, y\)"),
        ((np.zeros((4, 8, 8, 3)),), r"\(x, y\)"),
        ((np.random.default_rng(0).random((4, 8, 8, 3)), [0, 1, 0, 1]), r"0\.\.1"),
        ((np.full((4, 8, 8, 3), 9), [0, 1, 0]), "3 for 4"),
        (pd.DataFrame({"file": ["a.png"], "class": ["a"]}), '"path": "file", "label": "class"'),
        (pd.DataFrame([["a.png", "a"]]), '"path": "0", "label": "1"'),
        (["a.png", "b.png"], r"images=\(x, y\)"),
        (np.array(["a.png", "b.png"]), r"images=\(x, y\)"),
        ((["a.png", "b.png"], ["a"]), "1 for 2"),
        ((np.full((4, 3, 8, 8), 9), [0, 1, 0, 1]), "moveaxis"),
        ((np.full((3, 8, 8), 9), ["a", None, 2.5]), "NoneType and float and str"),
    ],
)
def test_wrong_images_are_refused_in_a_sentence(images: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message) as raised:
        experiment_config(images=images, settings={"results_dir": str(tmp_path)})
    assert len(str(raised.value)) < 400
    assert not list(tmp_path.rglob("*.csv"))


@pytest.mark.parametrize("form", ["arrays", "frame"])
@pytest.mark.parametrize(
    "settings", [{"sedes": 1}, {"data": {"test_fraction": 2}}, {"data": {"folder": "photos"}}]
)
def test_nothing_is_written_for_a_configuration_that_is_refused(
    form: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    x, y = np.full((4, 8, 8, 3), 9, np.uint8), ["a", "b", "a", "b"]
    frame = pd.DataFrame({"path": ["1.png", "2.png"], "label": ["a", "b"]})
    images = (x, y) if form == "arrays" else frame
    with pytest.raises(ConfigError):
        experiment_config(images=images, settings={"results_dir": str(tmp_path), **settings})
    assert not list(tmp_path.iterdir())


def test_a_table_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    frame = pd.DataFrame({"path": ["1.png", "2.png"], "label": ["a", "b"]})
    with pytest.raises(DataError, match="results_dir"):
        experiment_config(images=frame, settings={"results_dir": str(tmp_path / "file")})


SHORT: dict[str, Any] = {
    "backbone": TINY,
    "data": {"train_per_class": 4, "test_fraction": 0.4},
    "training": {"phase_1": {"epochs": 2}},
    "strategies": ["linear_probe", "feature_extraction"],
    "seeds": 1,
    "learning_curve": False,
}


@pytest.mark.slow
@pytest.mark.usefixtures("tiny_backbone", "checked_here", "without_report")
def test_an_experiment_on_arrays_is_that_on_their_files_and_goes_on(
    arrays: Arrays, photos: Path, tmp_path: Path
) -> None:
    results: dict[str, Any] = {"results_dir": str(tmp_path)}
    first = run_experiment(images=arrays, name="arrays", **SHORT, **results)
    assert first.export is not None
    again = run_experiment(images=arrays, name="arrays", **SHORT, **results)
    # whatever names an image leads back to its row
    rows, (pixels, labels) = first.splits["row"], arrays
    classes = np.unique(labels)
    assert labels[rows].tolist() == classes[first.splits["class_index"]].tolist()
    errors = first.finished.table("errors")
    assert errors is not None and labels[errors["row"]].tolist() == errors["label"].tolist()
    with pytest.raises(ResultsError, match=r"one of images, .*Did you mean \"errors\""):
        first.finished.table("error")
    assert "errors" in repr(first.finished)
    answers = first.predict(pixels)
    assert answers.equals(predict(first.export, list(pixels)))
    model = first.model().predict(resized(given_pixels(pixels), 32, "stretch"), verbose=0)
    np.testing.assert_allclose(answers["probability"], model.max(axis=1), atol=1e-4)
    with pytest.raises(ResultsError, match=r"others.*\n.*\n.*fresh=True"):
        run_experiment(images=(pixels[::-1], labels[::-1]), name="arrays", **SHORT, **results)
    columns = ["run_id", "validation_loss", "test_loss", "test_accuracy", "phase_1_seconds"]
    pd.testing.assert_frame_equal(again.runs[columns], first.runs[columns])
    # other names of the files are another draw, so what is compared is the set of pictures
    from_files = run_experiment(images=photos, name="files", **SHORT, **results, export=False)
    assert from_files.runs["test_images"].tolist() == first.runs["test_images"].tolist()
    assert sorted(from_files.splits["part"]) == sorted(first.splits["part"])


@pytest.mark.usefixtures("tiny_backbone")
def test_advice_and_audit_take_the_same_images(arrays: Arrays, tmp_path: Path) -> None:
    pixels, labels = arrays
    doubled = np.concatenate([pixels, pixels[:1]]), np.append(labels, labels[0])
    keys: dict[str, Any] = {"results_dir": str(tmp_path), "backbone": TINY}
    advice = advise(images=doubled, **keys)
    assert advice.images_per_class > 0
    followed = experiment_config(
        images=doubled, settings={**advice.arguments(), "results_dir": str(tmp_path)}
    )
    assert followed.backbone.model_dump() == {
        **experiment_config(images=doubled, settings=keys).backbone.model_dump(),
        "cut": advice.cut,
    }
    assert followed.strategies == (advice.strategy,)
    report = audit_images(images=doubled, network=False, **keys)
    assert len(report.audit.duplicates) == 2
    assert set(report.findings_table()["row"].dropna()) >= {0, len(labels)}
    assert str(len(labels) + 1) in repr(report) and len(repr(report)) < 2000
    assert report.audit.images["sha256"].duplicated().sum() == 1


@pytest.mark.parametrize(
    "label", [["a"], {"a": 1}, ("a",), {"a"}, np.array([1]), b"\xff", pd.Timedelta(1, "D")]
)
def test_cells_that_are_no_names_are_refused(tmp_path: Path, label: object) -> None:
    frame = pd.DataFrame(
        {"path": ["a.png", "b.png"], "label": pd.Series([label, label], dtype=object)}
    )
    with pytest.raises(DataError, match="must hold"):
        experiment_config(images=frame, settings={"results_dir": str(tmp_path)})


@pytest.mark.parametrize("label", ["a", b"a", 1, 1.5, True, np.int64(1), date(2020, 1, 1)])
def test_other_cells_are_names(tmp_path: Path, label: object) -> None:
    frame = pd.DataFrame(
        {"path": ["a.png", "b.png"], "label": pd.Series([label, "z"], dtype=object)}
    )
    config = experiment_config(images=frame, settings={"results_dir": str(tmp_path)})
    assert config.data.table is not None
    expected = label.decode() if isinstance(label, bytes) else str(label)
    assert Path(config.data.table).read_text().splitlines()[1] == f"a.png,{expected}"


def test_columns_of_a_frame_may_have_other_names(photos: Path, tmp_path: Path) -> None:
    files = sorted(photos.rglob("*.png"))
    frame = pd.DataFrame({"file": files, 7: [file.parent.name for file in files]})
    settings = {"results_dir": str(tmp_path), "data": {"columns": {"path": "file", "label": "7"}}}
    table = load_images(experiment_config(images=frame, settings=settings).data)
    assert table.classes == ("amber", "blue", "green")


def test_a_column_given_twice_is_refused(tmp_path: Path) -> None:
    frame = pd.DataFrame([["a.png", "a", "b"]], columns=["path", "label", "label"])
    with pytest.raises(DataError, match="twice"):
        experiment_config(images=frame, settings={"results_dir": str(tmp_path)})
