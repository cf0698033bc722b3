"""Whether the ImageNet weights of Keras can be had here, and what to do where they cannot."""

import os
import tempfile
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

from tl_keras.config.asked_network import instead, without
from tl_keras.config.schema import BUNDLED_ALPHA, BUNDLED_BACKBONE, BackboneConfig
from tl_keras.errors import WeightsError
from tl_keras.home import with_home
from tl_keras.imagenet_table import URLS, imagenet_file, imagenet_url
from tl_keras.invocation import again, by_command
from tl_keras.invocation import settings as given

# As long as a slow network may take to answer; without one the answer comes at once.
_SECONDS = 10.0


class DownloadError(WeightsError):
    """Weights that a function was asked for are not here, and could not be downloaded.

    Attributes:
        failure: why.
    """

    def __init__(self, message: str, failure: Exception) -> None:
        super().__init__(message)
        self.failure = failure

    def __reduce__(self) -> tuple[type["DownloadError"], tuple[str, Exception]]:
        # from a worker process
        return type(self), (str(self), self.failure)


def check_imagenet(settings: BackboneConfig) -> None:
    """Nothing, if Keras has the weights already or can download them.

    Args:
        settings: of the network.

    Raises:
        WeightsError: it cannot.
    """
    if settings.network not in URLS:
        return  # a backbone of somebody's own, of which Keras knows more
    kept = _keras_folder() / imagenet_file(settings.network, settings.alpha, settings.side)
    if kept.is_file():
        return
    url = imagenet_url(settings.network, settings.alpha, settings.side)
    try:
        asked = urllib.request.Request(url, method="HEAD")
        urllib.request.urlopen(asked, timeout=_SECONDS).close()
    except HTTPError:
        return  # something answers; what a download gives is Keras's to say
    # the second of an answer that is none, or of a proxy that cannot be
    except (OSError, HTTPException) as error:
        raise experiment_offline_error(settings, error) from error


def experiment_offline_error(settings: BackboneConfig, failure: Exception) -> WeightsError:
    """What to do where an experiment's weights cannot be downloaded; at the end what works now.

    Args:
        settings: of the network.
        failure: why.
    """
    changes: dict[str, Any] = {"backbone.weights": "bundled"}
    if (rest := without()) or settings.network != BUNDLED_BACKBONE:
        changes |= {"backbone.name": BUNDLED_BACKBONE, "backbone.cut": "top"}
    if (settings.alpha or BUNDLED_ALPHA) != BUNDLED_ALPHA:
        changes["backbone.alpha"] = None

    def named(weights: str) -> str:
        return given(instead(weights=weights) if rest else {"backbone.weights": weights})

    told = _ways(
        _fault(settings.network, failure),
        _fetching(settings.network, settings.alpha, settings.side, named),
        given({"backbone.weights": None}),
        again(changes),
        again(rest) if rest else None,
    )
    return WeightsError(told)


def offline_error(
    backbone: str, alpha: float | None, image_size: int, failure: Exception
) -> DownloadError:
    """What to do where weights that a function was asked for cannot be downloaded.

    Args:
        backbone: its name.
        alpha: width multiplier; None is 1.0.
        image_size: side of the input, pixels.
        failure: why.
    """
    bundled = given({"weights": "bundled"})
    if backbone != BUNDLED_BACKBONE or (alpha or BUNDLED_ALPHA) != BUNDLED_ALPHA:
        bundled += f", with {BUNDLED_BACKBONE} for the network and no alpha"
    told = _ways(
        _fault(backbone, failure),
        _fetching(backbone, alpha, image_size, lambda file: given({"weights": file})),
        given({"weights": None}),
        bundled,
    )
    return DownloadError(told, failure)


def _ways(
    fault: str, fetched: str | None, random: str, bundled: str, rest: str | None = None
) -> str:
    ways = [fetched] if fetched else []
    if rest:
        ways.append(f"the list without this network: {rest}")
    ways.append(f"random weights, which borrow nothing: {random}")
    listed = "".join(f"\n  {way}" for way in ways)
    now = "this command" if by_command() else "these arguments in the call"
    return (
        f"{fault} One of these goes on:{listed}\n"
        "Or at once, with weights that ship with the package (good for surfaces and textures; "
        f"objects come out near guessing), by {now}:\n  {bundled}"
    )


def _fault(backbone: str, failure: Exception) -> str:
    return (
        f'The weights "imagenet" of {backbone} are not on this machine and could not be '
        f"downloaded ({failure})."
    )


def _fetching(
    backbone: str, alpha: float | None, image_size: int, named: Callable[[str], str]
) -> str | None:
    """How to bring the file here; None of a network of somebody's own, which has none."""
    if backbone not in URLS:
        return None
    name = imagenet_file(backbone, alpha, image_size)
    return (
        f"the same weights: fetch {imagenet_url(backbone, alpha, image_size)} where there is a "
        f"network and put it here as {_keras_folder() / name}, or name it: "
        f"{named(f'FOLDER/{name}')}"
    )


def _keras_folder() -> Path:
    """Where Keras keeps what it downloads: elsewhere where it must not write."""
    elsewhere = Path("/tmp" if Path("/tmp").is_dir() else tempfile.gettempdir())
    user = Path(with_home("~"))
    usual = (user if os.access(user, os.W_OK) else elsewhere) / ".keras"
    folder = Path(os.environ.get("KERAS_HOME", usual))
    closed = folder.exists() and not os.access(folder, os.W_OK)
    return (elsewhere / ".keras" if closed else folder) / "models"
