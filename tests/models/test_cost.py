"""What a classifier costs."""

import keras
import pytest

from tl_keras.models.backbone import Backbone
from tl_keras.models.cost import Costs
from tl_keras.models.heads import build_head
from tl_keras.models.networks import build_backbone
from tl_keras.models.pooling import Pooling

pytestmark = pytest.mark.usefixtures("tiny_backbone")


@pytest.fixture
def backbone() -> Backbone:
    return Backbone.wrap("Tiny", None, build_backbone("Tiny", image_size=32, alpha=1.0))


def test_every_number_counts_frozen_ones_too(backbone: Backbone) -> None:
    cost = Costs(backbone, classes=2).of(["stem", "block1"])
    # two convolutions with scale, shift, mean and variance; a head on the channels of both
    assert cost.parameters == (27 * 6 + 6) + (54 * 6 + 6) + 2 * 4 * 6 + (12 * 2 + 2)
    assert cost.megabytes == pytest.approx(cost.parameters * 4 / 2**20)
    assert 0 < cost.milliseconds_per_image < 1000


def test_hidden_layers_count(backbone: Backbone) -> None:
    costs = Costs(backbone, classes=2)
    model = backbone.inference_model(build_head(6, 2, hidden_units=(5,), dropout=0.5))
    assert costs.of(["top"], hidden_units=(5,)).parameters == model.count_params()


def test_the_time_of_a_cut_is_measured_once(
    backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[int] = []

    def milliseconds(model: keras.Model) -> float:
        measured.append(model.count_params())
        return float(len(measured))

    monkeypatch.setattr("tl_keras.models.cost._milliseconds", milliseconds)
    costs = Costs(backbone, classes=2)
    times = [costs.of(blocks).milliseconds_per_image for blocks in (["top"], ["stem", "top"])]
    assert times == [costs.milliseconds("top")] * 2 == [1.0] * 2
    assert costs.milliseconds("block1") == 2.0
    assert measured[0] == costs.of(["top"]).parameters


@pytest.mark.parametrize(("views", "passes"), [("none", 1), ("flip", 2), ("turns", 8)])
def test_every_view_passes_and_deviations_have_weights(
    backbone: Backbone, views: str, passes: int
) -> None:
    costs = Costs(backbone, classes=2)
    plain, all_of_it = costs.of(["top"]), costs.of(["top"], (), Pooling("mean_std", views))
    assert all_of_it.milliseconds_per_image == passes * plain.milliseconds_per_image
    assert all_of_it.parameters == plain.parameters + 6 * 2
