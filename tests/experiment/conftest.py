"""What experiments on the same pictures share."""

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="module")
def advised_once() -> Iterator[None]:
    """Work out once what to advise for the same network, pictures and labels.

    It takes longer than training a tiny network, and depends on nothing else.
    """
    from tl_keras.experiment import advise

    work_out, known = advise._advice, dict[tuple[object, ...], Any]()

    def remembered(bench: Any, card: Any, rows: Any, networks: Any, seed: int) -> Any:
        backbone, images = bench.backbone, bench.images
        network = backbone.spec.name, backbone.block_names, backbone.source_digest(), repr(card)
        pictures = images.pixels[rows].tobytes(), images.class_indices.tobytes(), rows.tobytes()
        probes = repr(bench.config.probe), repr(networks), seed
        if (asked := (*network, *pictures, *probes)) not in known:
            known[asked] = work_out(bench, card, rows, networks, seed)
        return known[asked]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(advise, "_advice", remembered)
        yield
