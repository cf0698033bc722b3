"""A standalone copy: equal answers, plain layers, and weights of its own."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from tl_keras.models.heads import build_head
from tl_keras.models.pretrained import load_backbone
from tl_keras.models.standalone import standalone

IMAGES = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)


@pytest.fixture(params=["live", "frozen"])
def make(request: pytest.FixtureRequest, tiny_backbone: None) -> Callable[[], keras.Model]:
    def made() -> keras.Model:
        backbone = load_backbone("Tiny", weights=None, image_size=32)
        head = build_head(backbone.channels, 3, hidden_units=(4,), dropout=0.5)
        head.set_weights(
            [np.random.default_rng(1).normal(size=w.shape) for w in head.get_weights()]
        )
        if request.param == "live":
            return backbone.live_model(head)
        return backbone.inference_model(head)

    return made


def test_it_answers_alike_and_is_loaded_by_keras(
    make: Callable[[], keras.Model], tmp_path: Path
) -> None:
    model = make()
    copy = standalone(model)
    expected = model.predict(IMAGES, verbose=0)
    np.testing.assert_array_equal(copy.predict(IMAGES, verbose=0), expected)
    copy.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(IMAGES, verbose=0), expected)


def test_it_does_not_change_with_the_model(make: Callable[[], keras.Model]) -> None:
    model = make()
    copy = standalone(model)
    before = copy.predict(IMAGES, verbose=0)
    model.set_weights([weights + 1 for weights in model.get_weights()])
    np.testing.assert_array_equal(copy.predict(IMAGES, verbose=0), before)
