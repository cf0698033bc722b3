"""What one text says of a network: its name, its file, its width, its weights."""

import difflib
import json
from collections.abc import Iterable
from pathlib import PureWindowsPath
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from tl_keras.backbone_table import BACKBONES, FILE, HUB, PRESET, preset_label
from tl_keras.config.text_kinds import possible_place

_ENDINGS = (".keras", ".h5", ".hdf5")


def read_entry(entry: str) -> dict[str, Any]:
    """The keys of the section `backbone` that an entry stands for.

    Args:
        entry: "MobileNetV2", "MobileNet-0.25" (with its alpha), "MobileNetV2=WEIGHTS", the path
            of a `.keras` or `.h5` file, or "keras_hub:" and a preset.

    Raises:
        ValueError: it is none of these, with words for people.

    >>> read_entry("MobileNet-0.25=mobilenet.h5")
    {'name': 'MobileNet', 'alpha': 0.25, 'weights': 'mobilenet.h5'}
    >>> read_entry("networks/last_year.keras")
    {'name': 'file', 'alpha': None, 'weights': 'networks/last_year.keras'}
    """
    if entry.removeprefix(HUB) not in (entry, ""):
        return {"name": possible_place(entry), "alpha": None, "weights": PRESET}
    known, equals, weights = entry.partition("=")
    name, hyphen, width = known.partition("-")
    if name in BACKBONES and (not hyphen or _is_number(width)):
        keys: dict[str, Any] = {"name": name}
        if hyphen:
            keys["alpha"] = float(width)
        if equals:
            keys["weights"] = possible_place(weights) if weights else _refuse(entry)
        return keys
    if entry == FILE:
        return {"name": FILE}
    if _is_path(entry):
        return {"name": FILE, "alpha": None, "weights": possible_place(entry)}
    return _refuse(entry)


def write_entry(name: str, alpha: float | None, weights: str | None) -> str:
    """The entry that stands for a network with a file of weights, or in one.

    >>> write_entry("MobileNet", 0.25, "mobilenet.h5")
    'MobileNet-0.25=mobilenet.h5'
    >>> write_entry("file", None, "last_year")
    './last_year'
    """
    if name == FILE:
        return str(weights) if _is_path(str(weights)) else f"./{weights}"
    return f"{name}{'' if alpha is None else f'-{alpha:g}'}={weights}"


def entry_labels(entries: Iterable[str]) -> dict[str, str]:
    """Short names of entries for people, by entry; whole file names where others are like it.

    >>> entry_labels(["MobileNetV2=a/own.h5", "networks/net.keras"])
    {'MobileNetV2=a/own.h5': 'MobileNetV2', 'networks/net.keras': 'net'}
    >>> list(entry_labels(["MobileNetV2", "MobileNetV2=a/own.h5"]).values())
    ['MobileNetV2', 'MobileNetV2=own.h5']
    """
    asked = list(dict.fromkeys(entries))
    short = [_short(entry) for entry in asked]
    return {
        entry: label if short.count(label) == 1 else _with_file(entry)
        for entry, label in zip(asked, short, strict=True)
    }


def _short(entry: str) -> str:
    if entry.startswith(HUB):
        return preset_label(entry)
    known = entry.partition("=")[0]
    return PureWindowsPath(entry).stem if _is_path(known) else known


def _with_file(entry: str) -> str:
    known, equals, weights = entry.partition("=")
    if equals and not _is_path(known):
        return f"{known}={PureWindowsPath(weights).name}"
    return entry


def _is_path(text: str) -> bool:
    return text.endswith(_ENDINGS) or any(sign in text for sign in "/\\")


def _is_number(text: str) -> bool:
    try:
        return float(text) > 0
    except ValueError:
        return False


def meant(entry: str) -> str:
    """What was most likely meant by an entry, for the end of a sentence."""
    ending = PureWindowsPath(entry).suffix
    if ending not in _ENDINGS and difflib.get_close_matches(ending.lower(), _ENDINGS, 1):
        return f"; the name of such a file ends in {' or '.join(_ENDINGS)}, and not in {ending}"
    near = difflib.get_close_matches(entry.partition("=")[0].partition("-")[0], BACKBONES, 1)
    return f'; did you mean "{near[0]}"?' if near else ""


def _refuse(entry: str) -> Any:
    raise ValueError(
        f"must be one of {', '.join(map(json.dumps, (*BACKBONES, FILE)))}, one of them with its "
        f"width or its weights (MobileNet-0.25, MobileNetV2=FILE), the path of a .keras or "
        f".h5 file, or {HUB} and a preset of KerasHub; got "
        f"{json.dumps(entry, ensure_ascii=False)}{meant(entry)}"
    )


def _possible(entry: str) -> str:
    read_entry(entry)
    return entry


NetworkEntry = Annotated[
    str,
    Field(min_length=1, max_length=4000, examples=[*BACKBONES, FILE]),
    AfterValidator(_possible),
]
