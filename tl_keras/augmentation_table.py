"""The augmentation levels: a row per level, with the random changes it makes to images.

Imports no TensorFlow: the experiment file may name what stands here. `tl_keras.data.augmentation`
makes the layers.
"""

from collections.abc import Mapping
from typing import Any

# Random layers of Keras by name, with their arguments, in the order in which they act.
Changes = Mapping[str, Mapping[str, Any]]

_MIRRORED_BORDER = {"fill_mode": "reflect"}
_PIXELS = {"value_range": (0, 255)}

AUGMENTATIONS: dict[str, Changes] = {
    "none": {},
    # What people would call the same picture taken again. No mirroring, because letters, digits
    # and many parts have a handedness.
    "light": {
        "RandomTranslation": {"height_factor": 0.08, "width_factor": 0.08, **_MIRRORED_BORDER},
        "RandomZoom": {"height_factor": 0.1, **_MIRRORED_BORDER},
        "RandomRotation": {"factor": 0.02, **_MIRRORED_BORDER},
        "RandomBrightness": {"factor": 0.1, **_PIXELS},
        "RandomContrast": {"factor": 0.15, **_PIXELS},
    },
    # For objects that may lie any way round.
    "strong": {
        "RandomFlip": {"mode": "horizontal_and_vertical"},
        "RandomTranslation": {"height_factor": 0.15, "width_factor": 0.15, **_MIRRORED_BORDER},
        "RandomZoom": {"height_factor": 0.25, **_MIRRORED_BORDER},
        "RandomRotation": {"factor": 0.25, **_MIRRORED_BORDER},
        "RandomBrightness": {"factor": 0.2, **_PIXELS},
        "RandomContrast": {"factor": 0.3, **_PIXELS},
    },
}
