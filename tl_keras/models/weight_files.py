"""Load a weights file into a backbone completely, or say what is wrong with the file."""

import io
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import h5py
import numpy as np

from tl_keras.backbone_table import FILE
from tl_keras.errors import WeightsError
from tl_keras.invocation import literal
from tl_keras.path_kinds import A_FILE, NOTHING, kind_of

# What a file holds is read before TensorFlow is loaded.
if TYPE_CHECKING:
    import keras

Format = Literal[".weights.h5", ".h5", ".keras"]
_FORMATS = '".weights.h5", ".keras" or ".h5" (the older format of Keras Applications)'


@dataclass(frozen=True)
class FileContents:
    """How many arrays of weights there are, and how many parameters they hold in all."""

    arrays: int
    parameters: int


def load_weight_file(backbone: "keras.Model", path: Path, architecture: str) -> None:
    """Set every weight of the backbone from a `.weights.h5`, `.keras` or older `.h5` file.

    After an error the backbone's weights are undefined.

    Args:
        backbone: Built without its classifier.
        path: The file.
        architecture: The backbone in words, for the message.

    Raises:
        WeightsError: No such file, not a weights file, or weights of another architecture.
    """
    contents = read_contents(path)
    expected = _contents_of(backbone)
    # of an older file Keras compares every layer itself, of the others it ignores what is too much
    if contents != expected and _format_by_name(path) != ".h5":
        raise _mismatch(path, architecture, expected, contents)
    _fill_with_nan(backbone)
    try:
        with warnings.catch_warnings():
            # Keras warns of layers that it left out: the check below finds them and is an error
            warnings.filterwarnings("ignore", message="Skipping nested container")
            backbone.load_weights(path)
    except (ValueError, KeyError, OSError) as error:
        raise _mismatch(path, architecture, expected, contents) from error
    except Exception as error:
        raise _unreadable(path, "a sound weights file") from error
    missing = [w.path for w in _float_weights(backbone) if not np.isfinite(w.numpy()).all()]
    if missing:
        raise WeightsError(
            f"{path} left {len(missing)} weights of {architecture} unset or not finite "
            f"({missing[0]} first). Save the weights again from a sound {architecture}."
        )


def read_contents(path: Path) -> FileContents:
    """Count what a weights file holds, after checking that its name tells its format.

    Raises:
        WeightsError: The file is missing, no weights file, or named against its format.
    """
    named = _format_by_name(path)
    if (there := kind_of(path)) != A_FILE:
        found = "no" if there == NOTHING else f"{there} in place of a"
        raise WeightsError(
            f"There is {found} weights file {path} (a relative path starts at the working "
            f'directory {Path.cwd()}). weights must be "imagenet", "bundled", {literal(None)} or '
            "a file that exists."
        )
    try:
        if named == ".keras":
            return _contents_of_archive(path)
        with _open_hdf5(path) as file:
            return _contents_of_hdf5(path, file, named)
    except WeightsError:
        raise
    except Exception as error:
        # of a damaged file the libraries raise whatever they stumble over
        raise _unreadable(path, "a sound weights file") from error


def _format_by_name(path: Path) -> Format:
    for suffix in (".weights.h5", ".h5", ".keras"):
        if path.name.endswith(suffix):
            return suffix
    if path.suffix == ".hdf5":
        return ".h5"
    raise WeightsError(
        f'weights must be "imagenet", "bundled", {literal(None)}, a folder of a source model, '
        f"or a file whose name ends in {_FORMATS}; got {path}."
    )


def _contents_of_archive(path: Path) -> FileContents:
    if not zipfile.is_zipfile(path):
        raise _unreadable(path, "a .keras archive")
    with zipfile.ZipFile(path) as archive:
        if "model.weights.h5" not in archive.namelist():
            raise _unreadable(path, "a .keras archive with model.weights.h5 inside")
        weights = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(weights, "r") as file:
        return _contents_of_hdf5(path, file, ".weights.h5")


def _open_hdf5(path: Path) -> Any:
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise _unreadable(path, "an HDF5 file") from error


def _contents_of_hdf5(path: Path, file: Any, named: Format) -> FileContents:
    root = file.get("model_weights", file)
    found: Format = ".h5" if "layer_names" in root.attrs else ".weights.h5"
    if found == ".weights.h5" and "layers" not in file:
        raise WeightsError(
            f"{path} is an HDF5 file without Keras weights (it holds "
            f"{', '.join(sorted(file)[:5]) or 'nothing'}). Give a file written by save_weights."
        )
    if found != named:
        stem = path.name.removesuffix(".hdf5").removesuffix(".h5").removesuffix(".weights")
        raise WeightsError(
            f'{path.name} is named as a "{named}" file but holds the "{found}" format, and Keras '
            f'reads a file by its name. Rename it to "{stem}{found}".'
        )
    return _count(root if found == ".h5" else file["layers"])


def _count(group: Any) -> FileContents:
    sizes: list[int] = []

    def visit(name: str, item: Any) -> None:
        # random states of dropout layers are no weights
        if isinstance(item, h5py.Dataset) and "seed_generator" not in name:
            sizes.append(int(item.size))

    group.visititems(visit)
    return FileContents(len(sizes), sum(sizes))


def _contents_of(backbone: "keras.Model") -> FileContents:
    sizes = [int(np.prod(weight.shape)) for weight in backbone.weights]
    return FileContents(len(sizes), sum(sizes))


def _float_weights(backbone: "keras.Model") -> list[Any]:
    import keras

    return [w for w in backbone.weights if keras.backend.is_float_dtype(w.dtype)]


def _fill_with_nan(backbone: "keras.Model") -> None:
    """So that a weight that the file does not set cannot pass for a loaded one."""
    for weight in _float_weights(backbone):
        weight.assign(np.full(weight.shape, np.nan, dtype="float32"))


def _unreadable(path: Path, wanted: str) -> WeightsError:
    return WeightsError(
        f"{path} ({path.stat().st_size} bytes) is not {wanted}, though its name says so. It may be "
        "an interrupted download or a pointer to the real file: fetch it again."
    )


def _mismatch(
    path: Path, architecture: str, expected: FileContents, received: FileContents
) -> WeightsError:
    whole = ""
    if _format_by_name(path) == ".keras":
        whole = f' Or set backbone.name to "{FILE}", and the network in the file is used.'
    return WeightsError(
        f"{path} does not hold the weights of {architecture}: expected {expected.arrays} arrays "
        f"with {expected.parameters:,} parameters, in the backbone's order and shapes; the file "
        f"has {received.arrays} with {received.parameters:,}. Set backbone.name and backbone.alpha "
        "to what the file was made for, and use a file of the backbone alone, without a classifier "
        f'("no top").{whole}'
    )
