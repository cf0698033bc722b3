"""Experiment files and directories of images, read into configurations."""

import hashlib
import os
import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tl_keras.config.leaves import leaves, without
from tl_keras.config.problems import shown
from tl_keras.config.reading import Kind, Places, of_values, read_file, validated
from tl_keras.config.schema import ExperimentConfig
from tl_keras.config.stored import completed, hash_of
from tl_keras.errors import ConfigError
from tl_keras.home import with_home
from tl_keras.invocation import by_command, go_on
from tl_keras.results_layout import CONFIG, place
from tl_keras.safe_text import brief

# Keys and sections that change no number of a run, by their dotted names.
_WITHOUT_EFFECT = ("description", "results_dir", "export", "cache", "engine", "decision")
_LONGEST_SLUG = 100
_TABLES = (".csv", ".tsv", ".parquet")
# What people name in place of images, by the ending of its name: what it is, and what to do.
_ELSE = {
    (".xls", ".xlsx", ".xlsm", ".ods", ".numbers"): "a file of a spreadsheet program. Save the "
    "sheet as CSV there (CSV UTF-8), and name that file",
    (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".heic"): "a single photo. "
    "Name the folder in which each class has a folder of its photos",
    (".zip", ".7z", ".rar", ".gz", ".tar", ".tgz"): "an archive. Unpack it, and name the folder",
}
_ABSENT = object()
_EXPERIMENT = Kind(
    ExperimentConfig,
    f"an experiment file (JSON), a directory of images or a table of them ({', '.join(_TABLES)})",
    '{"name": "parts", "data": {"folder": "photos/parts"}}',
)


def load_config(source: str | os.PathLike[str], overrides: Sequence[str] = ()) -> ExperimentConfig:
    """Read an experiment.

    Args:
        source: A JSON file; or a directory or a table of images, which are run with the defaults
            under the name of the directory or table.
        overrides: Texts `key.sub=value`, as after `--set`.

    Raises:
        ConfigError: with one line for every problem: the place, what was wrong, what is allowed and
            what was received.
    """
    path = Path(with_home(source))
    _refuse_results(path)
    if not (os.path.isdir(path) or is_table(path)):  # noqa: PTH112 (also of impossible paths)
        _refuse_else(path)
        config = read_file(_EXPERIMENT, path, overrides)
        if not _lead_elsewhere(overrides):
            _refuse_renamed(path, config)
        return config
    name, images = images_on_disk(path)
    return validated(
        _EXPERIMENT, {"name": name, "data": images}, Places(brief(str(path))), overrides
    )


def _refuse_else(path: Path) -> None:
    for endings, found in _ELSE.items():
        if path.suffix.lower() in endings:
            raise ConfigError(f"{path} must be {_EXPERIMENT.what}; got {found}.")


def check_folder_name(folder: Path, config: ExperimentConfig) -> None:
    """Nothing, if a folder of results has the name of its experiment, by which it is found again.

    Args:
        folder: of the experiment.
        config: that lies in it.

    Raises:
        ConfigError: it was renamed.
    """
    if folder.name != config.name:
        raise ConfigError(
            f"{folder} holds results of the experiment {config.name}, and must have its name to go "
            f"on with them; got {folder.name}. Rename it back."
        )


def _lead_elsewhere(overrides: Sequence[str]) -> bool:
    """Whether overrides ask for results in another folder."""
    return any(text.partition("=")[0].strip() in ("name", "results_dir") for text in overrides)


def _refuse_renamed(path: Path, config: ExperimentConfig) -> None:
    """A configuration in the folder of its results that leads to others: all would begin anew."""
    folder = path.absolute().parent
    if path.name != CONFIG or not place(folder, "environment.json").exists():
        return
    if folder.parent == Path(config.results_folder).absolute().parent:
        check_folder_name(folder, config)


def is_table(path: Path) -> bool:
    """Whether a path is that of a table of images, by its name."""
    return path.suffix.lower() in _TABLES and not os.path.isdir(path)  # noqa: PTH112


def images_on_disk(path: Path) -> tuple[str, dict[str, str]]:
    """A name for images that are files, and the key of the section `data` for them."""
    if is_table(path):
        return slug(path.stem), {"table": str(path)}
    return slug(Path(os.path.realpath(path)).name), {"folder": str(path)}


def parse_config(raw: Mapping[str, Any]) -> ExperimentConfig:
    """Read an experiment from Python values, with the keys of an experiment file.

    Args:
        raw: as of `of_values`.

    Raises:
        ConfigError: as `load_config` does, with "configuration" for the place.
    """
    return of_values(_EXPERIMENT, raw, "configuration")


def fingerprint(config: ExperimentConfig) -> str:
    """First 12 hexadecimal digits of the SHA-256 of the keys that change numbers."""
    return hash_of(without(config.as_dict(), _WITHOUT_EFFECT))


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Compare two configurations as `ExperimentConfig.as_dict` gives them, or gave them once.

    Returns:
        Lines such as `training.phase_1.epochs: 30 -> 50`, for keys that change numbers only.
    """
    before, after = (leaves(without(completed(each), _WITHOUT_EFFECT)) for each in (old, new))
    return [
        f"{key}: {_shown_leaf(before, key)} -> {_shown_leaf(after, key)}"
        for key in {**before, **after}
        if before.get(key, _ABSENT) != after.get(key, _ABSENT)
    ]


def json_schema() -> dict[str, Any]:
    """JSON Schema of an experiment file."""
    schema = ExperimentConfig.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def refuse_experiment_folder(folder: Path) -> None:
    """Nothing, if a folder is not that of an experiment, whose tables an audit would replace.

    Raises:
        ConfigError: it is one.
    """
    if (folder / CONFIG).exists():
        raise ConfigError(
            "An audit must not be written into the folder of an experiment, whose tables it would "
            f"replace; got {folder}. Name another folder{' (--output)' if by_command() else ''}."
        )


def slug(text: str) -> str:
    """A valid name of an experiment that is near the text, and safe on every file system.

    Where letters are lost or it is cut, the text's own digits are added: other texts have others.

    >>> slug("My photos (2024)")
    'My_photos_2024'
    >>> slug("Трещины 2024")
    '2024_dcba8093'
    """
    whole = unicodedata.normalize("NFKD", text)
    plain = re.sub(r"[^A-Za-z0-9.-]+", "_", whole.encode("ascii", "ignore").decode()).strip("_.-")
    letters_lost = any(not c.isascii() and unicodedata.category(c)[0] not in "MZ" for c in whole)
    if not text:
        return "images"
    if _reserved(plain):
        plain = ""
    if plain and not letters_lost and len(plain) <= _LONGEST_SLUG:
        return plain
    own = hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{plain[: _LONGEST_SLUG - 9].strip('_.-') or 'images'}_{own}"


def _reserved(name: str) -> bool:
    """Whether Windows keeps the name for a device, whatever its ending."""
    return re.fullmatch(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?", name) is not None


def _refuse_results(folder: Path) -> None:
    stored, runs = folder / CONFIG, place(folder, "runs")
    if os.path.isfile(stored) and os.path.isdir(runs):  # noqa: PTH112, PTH113
        raise ConfigError(
            f"{folder}: must be {_EXPERIMENT.what}; got the results of an experiment. To go on "
            f"with it: {go_on(stored)}; to show them again: tl-keras report {folder}"
        )


def _shown_leaf(known: Mapping[str, Any], key: str) -> str:
    return shown(known[key]) if key in known else "(absent)"
