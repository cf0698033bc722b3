"""A backbone that is put back where it was changed."""

from collections.abc import Callable

import numpy as np

from tl_keras.models.backbone import Backbone
from tl_keras.transfer.borrowed import BorrowedBackbone


def test_parts_are_made_once_and_the_last_block_is_the_whole(
    make_backbone: Callable[..., Backbone],
) -> None:
    backbone = make_backbone()
    borrowed = BorrowedBackbone(backbone)
    assert borrowed.up_to(None) is borrowed.up_to("top") is backbone
    assert borrowed.up_to("block1") is borrowed.up_to("block1")
    assert borrowed.up_to("block1").block_names == ("stem", "block1")


def test_only_what_changed_is_put_back(make_backbone: Callable[..., Backbone]) -> None:
    backbone = make_backbone()
    borrowed = BorrowedBackbone(backbone)
    first, second, *_ = backbone.model.weights
    borrowed.expect_changes([first])
    for variable in (first, second):
        variable.assign(variable + 1)
    borrowed.load({})
    np.testing.assert_array_equal(first, backbone.source_weights[0])
    np.testing.assert_array_equal(second, backbone.source_weights[1] + 1)


def test_weights_that_were_kept_come_back_alone(make_backbone: Callable[..., Backbone]) -> None:
    backbone = make_backbone()
    borrowed = BorrowedBackbone(backbone)
    variables = backbone.model.weights
    changed = [variables[0], variables[5]]
    borrowed.expect_changes(changed)
    for variable in changed:
        variable.assign(variable + 1)
    kept = borrowed.weights_of([*changed, object()])
    assert kept.keys() == {0, 5}
    borrowed.load({3: backbone.source_weights[3] + 2})
    borrowed.load(kept)
    for position, (variable, source) in enumerate(
        zip(variables, backbone.source_weights, strict=True)
    ):
        np.testing.assert_array_equal(variable, source + (position in kept))
