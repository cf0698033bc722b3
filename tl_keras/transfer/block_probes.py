"""Probes at every block, on one's own pictures."""

from typing import Any

import numpy as np
import pandas as pd

from tl_keras.errors import PicturesError
from tl_keras.keras_settings import needed_keras
from tl_keras.models.backbone import Backbone
from tl_keras.transfer.features import FeatureBank
from tl_keras.transfer.labelled_pictures import LabelledPictures
from tl_keras.transfer.probes import LinearProbes


@needed_keras()
def probe_blocks(
    backbone: Backbone, x: Any, y: Any = None, *, groups: Any = None, seed: int = 0
) -> pd.DataFrame:
    """How well a linear classifier reads the classes at every block, cross-validated.

    Args:
        backbone: as `load_backbone` gives it, or a part of it.
        x: (n, height, width, 3) or gray pictures of any size, 0..255, as an array or a list; or a
            `tf.data.Dataset` of (image, label).
        y: (n,) numbers or names; None for a dataset.
        groups: (n,); pictures of one group are never on both sides of a division.
        seed: of the divisions.

    Returns:
        A row per block, with accuracy, its 95% interval and the cross-entropy in nats, and two rows
        for several blocks at once; see `tl_keras.transfer.probing.cross_validate`.

    Raises:
        PicturesError: the pictures are not as they must be, or too few to hold any out.
    """
    pictures = LabelledPictures.of(x, y, groups, backbone.image_size)
    images, rows = pictures.as_images(), np.arange(len(pictures.labels))
    bank = FeatureBank(backbone, images.pixels)
    probes = LinearProbes(bank, images, pictures.groups, rows)
    table = probes.cross_validate(rows, seed)
    if table.empty:
        raise PicturesError(
            "Every class must have two pictures at least, of two groups where these are given, to "
            f"hold one of them out; got fewer of {pictures.rarest}. Add pictures."
        )
    return table
