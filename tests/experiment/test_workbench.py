"""What runs share: every photo is decoded once and passes the network once."""

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tl_keras.data import pixels
from tl_keras.experiment.stages import ExperimentResult, run_experiment
from tl_keras.transfer.passes import Pass

pytestmark = pytest.mark.usefixtures("without_report")

Counts = tuple[ExperimentResult, Counter[str]]


@pytest.fixture
def counted(
    photos: Path, tiny_backbone: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Counts]:
    """`counted(name, **keys)`: an experiment whose cut is searched for, and what it took.

    By path how often a file was decoded, and by what comes out how many images passed.
    """
    counts: Counter[str] = Counter()
    decode, pass_images = pixels.decoded_pictures, Pass.__call__

    def decoding(paths: list[str], **how: Any) -> Any:
        counts.update(paths)
        return decode(paths, **how)

    def passing(way: Pass, images: np.ndarray) -> Any:
        counts[way.what["gives"]] += len(images)
        return pass_images(way, images)

    monkeypatch.setattr(pixels, "decoded_pictures", decoding)
    monkeypatch.setattr(Pass, "__call__", passing)

    def run(name: str, data: Mapping[str, Any] | None = None, **keys: Any) -> Counts:
        counts.clear()
        config: dict[str, Any] = {
            "name": name,
            "data": {"folder": photos, "train_per_class": 4, "test_fraction": 0.4, **(data or {})},
            "backbone": {"name": "Tiny", "weights": None, "image_size": 32, "cut": "search"},
            "strategies": ["linear_probe", "feature_extraction"],
            "training": {"phase_1": {"epochs": 2}},
            "seeds": 1,
            "export": False,
            "learning_curve": False,
            "cache": {"folder": str(tmp_path / "features")},
            "results_dir": str(tmp_path / "results"),
        }
        result = run_experiment(config | keys)
        return result, Counter(counts)

    return run


def split(counts: Counter[str]) -> tuple[list[int], dict[str, int]]:
    """How often each file was decoded, and how many images passed for what."""
    decoded = [count for what, count in counts.items() if what.endswith(".png")]
    return decoded, {what: count for what, count in counts.items() if not what.endswith(".png")}


def test_every_photo_is_decoded_once_and_passes_the_network_once(
    counted: Callable[..., Counts],
) -> None:
    result, counts = counted("first")
    decoded, passed = split(counts)
    used = result.splits["image_id"].nunique()
    labelled = result.splits.loc[result.splits["part"] != "test", "image_id"].nunique()
    assert decoded == [1] * used
    assert passed == {
        "mean and variance of BatchNorm inputs": labelled,
        "moments of the outputs of all blocks": used - labelled,
        "moments of the outputs of all blocks, images mirrored": used,
    }


@pytest.mark.slow
def test_another_experiment_lets_nothing_pass_that_is_known(
    counted: Callable[..., Counts],
) -> None:
    first, _ = counted("first")
    again, counts = counted("second")
    assert split(counts)[1] == {}
    assert again.runs["test_loss"].tolist() == first.runs["test_loss"].tolist()
    assert again.runs["cut"].tolist() == first.runs["cut"].tolist()
