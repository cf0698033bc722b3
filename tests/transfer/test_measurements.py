"""What advice is drawn from."""

from collections.abc import Callable

import numpy as np

from tl_keras.data.rows import whole
from tl_keras.models.backbone import Backbone
from tl_keras.transfer.features import FeatureBank
from tl_keras.transfer.measurements import measure
from tl_keras.transfer.probes import LinearProbes
from tl_keras.transfer.trainer import LabelledImages


def test_only_the_given_images_are_measured(
    make_backbone: Callable[..., Backbone], images: LabelledImages
) -> None:
    backbone, rows = make_backbone(), np.arange(24)
    bank = FeatureBank(backbone, images.pixels)
    probes = LinearProbes(bank, images, np.arange(30), np.arange(30))
    before = measure(bank, None, images, probes, rows)
    pixels = whole(images.pixels)
    pixels[24:] = 255 - pixels[24:]
    others = LabelledImages(pixels, images.class_indices, 3)
    bank = FeatureBank(backbone, pixels)
    probes = LinearProbes(bank, others, np.arange(30), np.arange(30))
    after = measure(bank, None, others, probes, rows, seed=1)

    assert before.logme == after.logme
    assert before.distances == after.distances
    assert before.probes.equals(after.probes)
    assert list(before.logme) == ["stem", "block1", "block2", "top"]
    assert (before.probes["images"] == 24).all()
    assert len(before.labels) == 24
    # which the sentence on the draw tells
    assert (before.seed, after.seed) == (0, 1)
