"""Whether the ImageNet weights of Keras can be had here, and what to do where they cannot."""

import os
import tempfile
import urllib.request
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError

from tl_keras.config.schema import BUNDLED_ALPHA, BUNDLED_BACKBONE, BackboneConfig
from tl_keras.errors import WeightsError
from tl_keras.home import with_home
from tl_keras.imagenet_table import URLS, imagenet_file, imagenet_url

# As long as a slow network may take to answer; without one the answer comes at once.
_SECONDS = 10.0
# Of the images that the bundled weights were trained on, pixels.
_BUNDLED_SIZE = 96


def check_imagenet(settings: BackboneConfig) -> None:
    """Nothing, if Keras has the weights already or can download them.

    Raises:
        WeightsError: it cannot.
    """
    if settings.name not in URLS:
        return  # a backbone of somebody's own, of which Keras knows more
    kept = _keras_folder() / imagenet_file(settings.name, settings.alpha, settings.side)
    if kept.is_file():
        return
    url = imagenet_url(settings.name, settings.alpha, settings.side)
    try:
        asked = urllib.request.Request(url, method="HEAD")
        urllib.request.urlopen(asked, timeout=_SECONDS).close()
    except HTTPError:
        return  # something answers; what a download gives is Keras's to say
    # the second of an answer that is none, or of a proxy that cannot be
    except (OSError, HTTPException) as error:
        raise offline_error(settings.name, settings.alpha, settings.side, error) from error


def offline_error(
    backbone: str, alpha: float | None, image_size: int, failure: Exception
) -> WeightsError:
    """What to do where the weights cannot be downloaded.

    Args:
        backbone: its name.
        alpha: width multiplier; None is 1.0.
        image_size: side of the input, pixels.
        failure: why.
    """
    ways = [
        f"those that ship with the package: {_bundled(backbone, alpha)}",
        "random ones: --set backbone.weights=null",
    ]
    if backbone in URLS:
        name = imagenet_file(backbone, alpha, image_size)
        ways.insert(
            0,
            f"the same weights: fetch {imagenet_url(backbone, alpha, image_size)} where there is a "
            f"network and put it here as {_keras_folder() / name}, or name it: "
            f"--set backbone.weights=FOLDER/{name}",
        )
    listed = "".join(f"\n  {way}" for way in ways)
    return WeightsError(
        f'The weights "imagenet" of {backbone} are not on this machine and could not be '
        f"downloaded ({failure}). One of these goes on:{listed}"
    )


def _bundled(backbone: str, alpha: float | None) -> str:
    sets = ["backbone.weights=bundled", f"backbone.image_size={_BUNDLED_SIZE}"]
    if backbone != BUNDLED_BACKBONE:
        sets += [f"backbone.name={BUNDLED_BACKBONE}", "backbone.cut=top"]
    if (alpha or BUNDLED_ALPHA) != BUNDLED_ALPHA:
        sets.append("backbone.alpha=null")
    return " ".join(f"--set {text}" for text in sets)


def _keras_folder() -> Path:
    """Where Keras keeps what it downloads: elsewhere where it must not write."""
    elsewhere = Path("/tmp" if Path("/tmp").is_dir() else tempfile.gettempdir())
    user = Path(with_home("~"))
    usual = (user if os.access(user, os.W_OK) else elsewhere) / ".keras"
    folder = Path(os.environ.get("KERAS_HOME", usual))
    closed = folder.exists() and not os.access(folder, os.W_OK)
    return (elsewhere / ".keras" if closed else folder) / "models"
