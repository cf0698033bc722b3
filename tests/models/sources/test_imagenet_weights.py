"""Whether ImageNet weights can be had is known without a download."""

import json
import shlex
from email.message import Message
from http.client import BadStatusLine
from importlib import import_module
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request

import pytest

from tl_keras.config.asked_network import looking_at
from tl_keras.config.files import load_config, parse_config
from tl_keras.config.schema import BackboneConfig
from tl_keras.errors import WeightsError
from tl_keras.experiment.inputs import experiment_config
from tl_keras.imagenet_table import imagenet_file
from tl_keras.invocation import typed
from tl_keras.models.sources.imagenet_weights import check_imagenet

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
    with pytest.raises(WeightsError) as refused, typed(["tl-keras", "run", "x"]):
        check_imagenet(SETTINGS)
    said, name = str(refused.value), imagenet_file("MobileNetV2", None, 160)
    assert asked == ["HEAD"]
    assert str(tmp_path / "models" / name) in said
    assert f"--set backbone.weights=FOLDER/{name}" in said


@pytest.mark.parametrize(
    "changes",
    [
        *({}, {"name": "VGG16", "cut": "block3"}, {"alpha": 0.5}),
        {"name": ["MobileNetV2", "MobileNet-0.5"]},
    ],
)
@pytest.mark.parametrize("command", ["run", "advise"])
def test_offline_the_last_line_is_the_command_that_works(
    asked: list[str], tmp_path: Path, changes: dict[str, object], command: str
) -> None:
    path = tmp_path / "my x.json"
    experiment = {"name": "a", "data": {"folder": "f"}, "backbone": changes}
    path.write_text(json.dumps(experiment))
    *rest, last = networks = load_config(path).backbone.networks
    with (
        pytest.raises(WeightsError) as refused,
        typed(["tl-keras", command, str(path)]),
        looking_at(networks, last) as settings,
    ):
        check_imagenet(settings)

    def pasted(line: str) -> BackboneConfig:
        program, subcommand, *words = shlex.split(line)
        assert (program, subcommand) == ("tl-keras", command)
        module = import_module(f"tl_keras.commands.{command}")
        options = module._parser().parse_args(words)
        return load_config(options.experiment, options.set).backbone

    *others, at_the_end = str(refused.value).splitlines()
    without = [line[line.index(":") + 1 :] for line in others if "without this" in line]
    assert [[pasted(line).label] for line in without] == ([rest] if rest else [])
    backbone = pasted(at_the_end)
    assert backbone.weights == "bundled"
    assert backbone.side == (160 if "image_size" in changes else 96)


@pytest.mark.parametrize("changes", [{}, {"name": "VGG16", "cut": "block3"}, {"alpha": 0.5}])
def test_offline_python_is_told_the_arguments_that_work(
    asked: list[str], changes: dict[str, object]
) -> None:
    raw = {"name": "a", "data": {"folder": "f"}, "backbone": changes}
    with pytest.raises(WeightsError) as refused:
        check_imagenet(parse_config(raw).backbone)
    assert "--set" not in str(refused.value)
    added = eval(f"dict({str(refused.value).splitlines()[-1].strip()})")
    assert experiment_config(raw, settings=added).backbone.weights == "bundled"


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
