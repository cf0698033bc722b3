"""The model of this folder: files of pictures in, answers out."""

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .decoders import decode
from .resizing import resize
from .unpacking import NoPictureError

FACTS = "classifier.json"
# Python brings a part of it alone.
VISUAL_C = "vc_redist.x64.exe, from https://aka.ms/vs/17/release/vc_redist.x64.exe"
_STANDARD_ERROR = 2
_KEYS = ("model", "sha256", "labels", "image_size", "reading", "decisions")


@dataclass(frozen=True)
class Network:
    """The file of a model in its runtime.

    Attributes:
        call: from pixels, (1, size, size, 3), 0..255, to the outputs by their names.
        outputs: these names.
    """

    call: Callable[[NDArray[np.float32]], dict[str, NDArray[np.float32]]]
    outputs: tuple[str, ...]


class FolderError(Exception):
    """What lies in this folder cannot be used; the message says what to do."""


@dataclass(frozen=True)
class PlainClassifier:
    """A model that is ready to answer.

    Attributes:
        facts: what `classifier.json` says.
        network: the model's file in its runtime.
    """

    facts: dict[str, Any]
    network: Network

    @property
    def columns(self) -> list[str]:
        """Names of what `answer` says of a photo."""
        decided = ["confidence", "decision"] if self.facts["decisions"] else []
        familiar = ["familiar"] if "familiar" in self.network.outputs else []
        return ["label", "probability", *decided, *familiar, "problem"]

    @classmethod
    def of(cls, folder: Path) -> "PlainClassifier":
        """Load it.

        Raises:
            FolderError: a file is missing or damaged, or the runtime cannot load it.
        """
        facts = read_facts(folder)
        path = folder / facts["model"]
        try:
            content = path.read_bytes()
        except OSError as error:
            raise _incomplete(f"{path} ({error.strerror})") from error
        if hashlib.sha256(content).hexdigest() != facts["sha256"]:
            raise _incomplete(f"{path} with other content")
        return cls(facts, litert(content))

    def answer(self, encoded: bytes) -> dict[str, Any]:
        """What the model says of a file, with "problem" where it cannot be read."""
        try:
            # what libraries of formats say of damaged files
            with _quiet():
                pixels = self.pixels(encoded)
        except NoPictureError as error:
            return self.nothing(str(error))
        outputs = self.network.call(pixels[np.newaxis].astype(np.float32))
        probabilities = outputs["probabilities"][0]
        best = int(probabilities.argmax())
        found = {"label": self.facts["labels"][best], "probability": float(probabilities[best])}
        if self.facts["decisions"]:
            found["confidence"] = float(outputs["confidence"][0])
            found["decision"] = self.facts["decisions"][int(outputs["decision"][0])]
        if "familiar" in outputs:
            found["familiar"] = float(outputs["familiar"][0])
        return found | {"problem": ""}

    def nothing(self, problem: str) -> dict[str, Any]:
        """The answer to a file that cannot be read."""
        return dict.fromkeys(self.columns, "") | {"problem": problem}

    def pixels(self, encoded: bytes) -> NDArray[np.uint8]:
        """A file at the input size, (size, size, 3).

        Raises:
            NoPictureError: it cannot be read.
        """
        reading, size = self.facts["reading"], self.facts["image_size"]
        small = resize(decode(encoded, reading), size, reading["resize"])
        return np.broadcast_to(small, (size, size, 3))


def read_facts(folder: Path) -> dict[str, Any]:
    """What `classifier.json` says.

    Raises:
        FolderError: it is missing, or is not as it was written.
    """
    path = folder / FACTS
    try:
        facts = json.loads(path.read_bytes())
        absent = [key for key in _KEYS if key not in facts]
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise _incomplete(f"{path} ({error})") from error
    if absent or not isinstance(facts, dict):
        raise _incomplete(f"{path} without {', '.join(absent) or 'content'}")
    return facts


def litert(content: bytes) -> Network:
    """A LiteRT file in its interpreter.

    Raises:
        FolderError: the runtime is not installed, or cannot load it.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter

        with _quiet():
            runner = Interpreter(model_content=content, num_threads=1).get_signature_runner()
            shape = runner.get_input_details()["images"]["shape"]
            runner(images=np.zeros(shape, np.float32))
    except ImportError as error:
        mend = "Install it with: python -m pip install ai-edge-litert"
        if sys.platform == "win32":
            mend = f"It needs Microsoft's Visual C++ runtime, of 2024 or newer: run {VISUAL_C}"
        raise FolderError(f"The library ai-edge-litert is needed, got: {error}. {mend}") from error
    # of several kinds
    except Exception as error:
        raise _incomplete(f"a model that the runtime refuses ({error})") from error
    return Network(lambda images: runner(images=images), tuple(runner.get_output_details()))


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what libraries write past Python; their errors are Python's."""
    with Path(os.devnull).open("w") as nowhere:
        kept = os.dup(_STANDARD_ERROR)
        os.dup2(nowhere.fileno(), _STANDARD_ERROR)
        try:
            yield
        finally:
            os.dup2(kept, _STANDARD_ERROR)
            os.close(kept)


def _incomplete(got: str) -> FolderError:
    return FolderError(
        f"This folder must be as it was exported, got {got}. Copy it anew, whole, from where it "
        "was exported."
    )
