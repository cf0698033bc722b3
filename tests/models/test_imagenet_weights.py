"""Whether ImageNet weights can be had is known without a download."""

from email.message import Message
from http.client import BadStatusLine
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request

import pytest

from tl_keras.config.files import load_config
from tl_keras.config.schema import BackboneConfig
from tl_keras.errors import WeightsError
from tl_keras.imagenet_table import imagenet_file
from tl_keras.models.imagenet_weights import check_imagenet

SETTINGS = BackboneConfig()


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was asked of the network, which there is none of."""
    methods: list[str] = []

    def urlopen(request: Request, timeout: float) -> None:
        methods.append(request.get_method())
        raise URLError("no network")

    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    return methods


def test_weights_that_keras_has_ask_nobody(asked: list[str], tmp_path: Path) -> None:
    kept = tmp_path / "models" / imagenet_file("MobileNetV2", None, 160)
    kept.parent.mkdir()
    kept.touch()
    check_imagenet(SETTINGS)
    assert asked == []
    with pytest.raises(WeightsError):
        check_imagenet(SETTINGS.model_copy(update={"image_size": 96}))


def test_offline_the_commands_that_go_on_are_said(asked: list[str], tmp_path: Path) -> None:
    with pytest.raises(WeightsError) as refused:
        check_imagenet(SETTINGS)
    said, name = str(refused.value), imagenet_file("MobileNetV2", None, 160)
    assert asked == ["HEAD"]
    assert str(tmp_path / "models" / name) in said
    assert f"--set backbone.weights=FOLDER/{name}" in said


@pytest.mark.parametrize("changes", [{}, {"name": "VGG16", "cut": "block3"}, {"alpha": 0.5}])
def test_what_is_proposed_is_a_valid_configuration(
    asked: list[str], tmp_path: Path, changes: dict[str, object]
) -> None:
    settings = BackboneConfig.model_validate({"name": "MobileNetV2", **changes})
    with pytest.raises(WeightsError) as refused:
        check_imagenet(settings)
    path = tmp_path / "x.json"
    backbone = settings.model_dump_json()
    path.write_text(f'{{"name": "a", "data": {{"folder": "f"}}, "backbone": {backbone}}}')
    for line in str(refused.value).splitlines()[2:]:
        sets = [word for word in line.split() if "=" in word]
        assert load_config(path, sets).backbone.weights in ("bundled", None)


def test_a_server_that_answers_is_a_network(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def urlopen(request: Request, timeout: float) -> None:
        raise HTTPError(request.full_url, 403, "forbidden", Message(), None)

    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    check_imagenet(SETTINGS)


def test_an_answer_that_is_none_is_no_network(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def urlopen(request: Request, timeout: float) -> None:
        raise BadStatusLine("220 mail.example.com")

    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(WeightsError):
        check_imagenet(SETTINGS)


def test_a_backbone_of_ones_own_is_left_to_keras(asked: list[str]) -> None:
    check_imagenet(SETTINGS.model_copy(update={"name": "Own"}))
    assert asked == []
