"""The table of ImageNet weights names the files that Keras asks for."""

import keras
import pytest

from tl_keras.backbone_table import BACKBONES
from tl_keras.imagenet_table import imagenet_file, imagenet_url
from tl_keras.models.networks import build_backbone

SIZES = (96, 100, 128, 160, 192, 224, 256)
CASES = [
    (spec.name, alpha, size)
    for spec in BACKBONES.values()
    for alpha in spec.alphas or (None,)
    for size in (SIZES if spec.name in ("MobileNet", "MobileNetV2") else (96,))
]


class AskedError(Exception):
    """Keras would download now."""


@pytest.fixture(scope="module", autouse=True)
def _unbuilt() -> None:
    keras.backend.clear_session()


def asked_of_keras(monkeypatch: pytest.MonkeyPatch, name: str, alpha: object, size: int) -> object:
    asked: list[tuple[str, str]] = []

    def get_file(fname: str, origin: str, **settings: object) -> None:
        asked.append((fname, origin))
        raise AskedError

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", get_file)
    with pytest.raises(AskedError):
        build_backbone(name, image_size=size, alpha=alpha, weights="imagenet")  # type: ignore[arg-type]
    return asked[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "alpha", "size"), [case for case in CASES if case[1] in (None, 0.75) and case[2] < 161]
)
def test_the_url_and_file_are_those_of_keras(
    monkeypatch: pytest.MonkeyPatch, name: str, alpha: float | None, size: int
) -> None:
    expected = imagenet_file(name, alpha, size), imagenet_url(name, alpha, size)
    assert asked_of_keras(monkeypatch, name, alpha, size) == expected


def test_every_backbone_has_one() -> None:
    for name, alpha, size in CASES:
        assert imagenet_url(name, alpha, size).startswith("https://storage.googleapis.com/")
        assert imagenet_file(name, alpha, size).endswith(".h5")


def test_without_alpha_the_width_is_1() -> None:
    assert imagenet_file("MobileNet", None, 224) == "mobilenet_1_0_224_tf_no_top.h5"
    assert imagenet_file("MobileNetV2", None, 96) == imagenet_file("MobileNetV2", 1.0, 96)
