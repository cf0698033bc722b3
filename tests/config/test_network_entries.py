"""What one text says of a network, and lists of them."""

import json
from typing import Any

import pytest

from tl_keras.config.asked_network import instead, looking_at, without
from tl_keras.config.files import parse_config
from tl_keras.config.network_entries import entry_labels
from tl_keras.config.schema import BackboneConfig
from tl_keras.errors import ConfigError


def backbone(**keys: Any) -> BackboneConfig:
    return parse_config({"name": "x", "data": {"folder": "photos"}, "backbone": keys}).backbone


@pytest.mark.parametrize(
    ("entry", "keys"),
    [
        ("VGG16", {"name": "VGG16"}),
        ("nets/own.keras", {"name": "file", "weights": "nets/own.keras"}),
        ("own.h5", {"name": "file", "weights": "own.h5"}),
        ("nets=2/own.keras", {"name": "file", "weights": "nets=2/own.keras"}),
        ("MobileNet-0.25", {"name": "MobileNet", "alpha": 0.25}),
        ("MobileNetV2=bundled", {"name": "MobileNetV2", "weights": "bundled"}),
        (
            "MobileNet-0.5=a/b=c.h5",
            {"name": "MobileNet", "alpha": 0.5, "weights": "a/b=c.h5"},
        ),
    ],
)
def test_an_entry_is_short_for_keys(entry: str, keys: dict[str, Any]) -> None:
    whole = backbone(**keys)
    assert backbone(name=entry) == backbone(name=[entry]) == whole
    again = json.loads(json.dumps(whole.model_dump(mode="json")))
    assert backbone(**again) == whole, "as it is stored"


def test_a_list_is_every_network_at_every_size() -> None:
    several = backbone(
        name=["MobileNet-0.25=a.h5", "own.keras"], image_size=[160, 96], scaling="tf"
    )
    assert list(several.candidates) == [
        *(("MobileNet-0.25=a.h5", 96), ("MobileNet-0.25=a.h5", 160)),
        *(("own.keras", 96), ("own.keras", 160)),
    ]
    first, *_, last = several.candidates.values()
    assert first == backbone(name="MobileNet", alpha=0.25, weights="a.h5", image_size=96)
    assert last == backbone(name="file", weights="own.keras", scaling="tf", image_size=160)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"name": "VGG17"}, 'did you mean "VGG16"'),
        ({"name": "own.kears"}, "ends in .keras or .h5"),
        ({"name": "own.keras", "alpha": 0.5}, "alpha"),
        ({"name": "MobileNetV2="}, 'got "MobileNetV2="'),
        ({"name": "VGG16-0.5"}, "alpha must be .* for VGG16; got 0.5"),
        ({"name": ["VGG16", "VGG17"]}, r"backbone.name\[1\] must be"),
        ({"name": ["VGG16", "VGG16"]}, "each network once"),
        ({"name": ["VGG16", "file"], "weights": "own.keras"}, "the path of a .keras"),
        ({"name": ["VGG16", "Xception"], "image_size": [64, 96]}, "at least 71 for Xception"),
        ({"name": ["VGG16", "Xception"], "scaling": "tf"}, "backbone.scaling goes with"),
        ({"name": ["VGG16", "MobileNetV2"], "cut": "block_3"}, "for VGG16; got block_3"),
    ],
)
def test_what_is_no_network_is_refused(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        backbone(**keys)


def test_depths_must_fit_every_network_and_defaults_do() -> None:
    raw = {"name": "x", "data": {"folder": "photos"}, "backbone": {"name": ["VGG16", "MobileNet"]}}
    config = parse_config(raw)
    # no default asks for a depth that a network lacks
    for network in config.backbone.candidates.values():
        assert config.with_network(network).backbone == network
    with pytest.raises(ConfigError, match="at most 5"):
        parse_config(raw | {"fine_tuning": {"unfrozen_blocks": [6]}})


def test_labels_tell_networks_apart() -> None:
    entries = ["VGG16", "VGG16=a/own.h5", "a/net.keras", "b/net.keras", "b/other.keras"]
    labels = entry_labels(entries)
    assert len({*labels.values()}) == len(entries)
    assert (labels["VGG16=a/own.h5"], labels["b/other.keras"]) == ("VGG16=own.h5", "other")


@pytest.mark.parametrize(
    ("asked", "place", "other"),
    [
        ({"name": "VGG16=a.h5"}, 0, ("MobileNetV2", None, "a.h5")),
        ({"name": "MobileNet-0.5=a.h5"}, 0, ("MobileNet", 1.0, "a.h5")),
        ({"name": "MobileNet", "alpha": 0.5, "weights": "a.h5"}, 0, ("VGG16", None, "a.h5")),
        ({"name": "own.keras", "scaling": "tf", "trust_code": True}, 0, ("VGG16", None, "b.h5")),
        ({"name": ["VGG16=a/b", "own.keras"], "scaling": "tf"}, 0, ("file", None, "a/b")),
        ({"name": ["VGG16", "own.keras"], "scaling": "tf"}, 1, ("Xception", None, "own.keras")),
    ],
)
def test_one_network_is_asked_for_in_place_of_another(
    asked: dict[str, Any], place: int, other: tuple[str, float | None, str]
) -> None:
    def after(changes: dict[str, Any]) -> list[tuple[Any, ...]]:
        keys = {key.removeprefix("backbone."): value for key, value in changes.items()}
        networks = backbone(**{**asked, **keys}).networks.values()
        return [(each.name, each.alpha, each.weights) for each in networks]

    before = backbone(**asked).networks
    with looking_at(before, [*before][place]):
        changes = instead(**dict(zip(("name", "alpha", "weights"), other, strict=True)))
        left = without()
    expected = after({})
    expected[place] = other
    assert after(changes) == expected
    if left is None:
        assert len(before) == 1
    else:
        del expected[place]
        assert after(left) == expected
