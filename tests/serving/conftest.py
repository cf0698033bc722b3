"""A folder as it is exported, without its wheels, of a model that no turn leaves as it is."""

from pathlib import Path

import pytest

from tl_keras.data.picture_reading import DEFAULTS, PictureReading
from tl_keras.evaluation.decision_rule import DecisionRule

SIZE, LABELS = 12, ("good", "crack", "überzug")
RULE = DecisionRule(LABELS, 1.4, (1.0, 0.5, 2.0), ("crack",), 0.3, 0.12)


@pytest.fixture(scope="session")
def portable_model() -> object:
    import keras

    keras.utils.set_random_seed(0)
    inputs = keras.Input((SIZE, SIZE, 3))
    flat = keras.layers.Flatten()(keras.layers.Rescaling(1 / 64)(inputs))
    return keras.Model(inputs, keras.layers.Dense(len(LABELS), activation="softmax")(flat))


def make_folder(model: object, place: Path, reading: PictureReading = DEFAULTS) -> Path:
    """Write it, ready to be used where the libraries are installed."""
    import numpy as np

    from tl_keras.serving import portable_folder
    from tl_keras.serving.handover import Handover
    from tl_keras.serving.targets import furnish_target, write_target

    pixels = np.zeros((1, SIZE, SIZE, 3), np.uint8)
    path = write_target("portable", model, place, pixels, LABELS, RULE)
    handover = Handover(reading, RULE, [], np.zeros((0, len(LABELS))))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(portable_folder, "fetch_wheels", lambda *_: [])
        assert furnish_target("portable", path, handover) == []
    return path


@pytest.fixture(scope="session")
def portable_folder(portable_model: object, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("ai_edge_litert")
    return make_folder(portable_model, tmp_path_factory.mktemp("export"))
