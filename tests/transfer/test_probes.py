"""Linear probes of one set of images, beside trainings of the same backbone."""

from collections.abc import Callable

import numpy as np
import pytest

from tl_keras.data.splits import Draw
from tl_keras.models.backbone import Backbone
from tl_keras.models.pooling import VIEWS, Pooling
from tl_keras.transfer.features import FeatureBank
from tl_keras.transfer.probes import LinearProbes
from tl_keras.transfer.representation import Candidates
from tl_keras.transfer.trainer import LabelledImages

EVERY = np.arange(30)


def probes_of(backbone: Backbone, images: LabelledImages) -> LinearProbes:
    bank = FeatureBank(backbone, images.pixels)
    return LinearProbes(bank, images, EVERY, EVERY, Candidates())


@pytest.mark.parametrize("kind", ["mean", "mean_std"])
@pytest.mark.parametrize("views", VIEWS)
def test_what_is_read_is_the_source_whatever_was_trained_meanwhile(
    make_backbone: Callable[..., Backbone], images: LabelledImages, kind: str, views: str
) -> None:
    pooling, backbone = Pooling(kind, views), make_backbone()
    wanted = probes_of(make_backbone(), images).features(EVERY, pooling=pooling)
    probes = probes_of(backbone, images)
    backbone.model.get_layer("block1_conv").kernel.assign_add(np.full((3, 3, 4, 4), 0.5))
    for block, values in probes.features(EVERY, pooling=pooling).items():
        np.testing.assert_array_equal(values, wanted[block])


def test_a_kind_is_chosen_once_and_hinders_no_choice(
    make_backbone: Callable[..., Backbone], images: LabelledImages, draw: Draw
) -> None:
    alone, both = (probes_of(make_backbone(), images) for _ in range(2))
    kind = both.choose_kind(draw.train, 0, "block2")
    assert both.choose_kind(draw.train, 0, "block2") == kind
    chosen, wanted = both.choose(draw.train, 0, "block2"), alone.choose(draw.train, 0, "block2")
    assert chosen is not None and wanted is not None
    assert chosen.representation == wanted.representation
    assert chosen.representation.pooling.kind == kind
    assert chosen.found.table.equals(wanted.found.table)
