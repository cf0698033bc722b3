"""One's own pictures, as training and probes take them."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from tl_keras.config.schema import ResizeMode
from tl_keras.data.given_pictures import given_pictures, resized
from tl_keras.data.label_spellings import in_words, spellings
from tl_keras.data.listing import some_of
from tl_keras.errors import PicturesError
from tl_keras.transfer.trainer import LabelledImages


@dataclass(frozen=True)
class LabelledPictures:
    """Pictures at the input size of a network, with what is known of them.

    Attributes:
        pixels: uint8 (n, size, size, 3), 0..255.
        labels: int64 or str, (n,).
        groups: (n,); of its own for each picture where none were given.
    """

    pixels: np.ndarray
    labels: np.ndarray
    groups: np.ndarray

    @classmethod
    def of(
        cls, x: Any, y: Any, groups: Any, image_size: int, resize: ResizeMode = "stretch"
    ) -> "LabelledPictures":
        """Pictures as `given_pictures` takes them, resized; warns of labels in two spellings.

        Raises:
            PicturesError: something is not as it must be.
        """
        labels, names = [], []

        def pixels_only() -> Any:
            for place, picture in enumerate(given_pictures(x, y, groups, named=False)):
                labels.append(picture.label)
                names.append(str(place) if picture.group is None else picture.group)
                yield picture.pixels

        pixels = resized(pixels_only(), image_size, resize)
        if twins := spellings(label for label in set(labels) if isinstance(label, str)):
            text = f"Labels differ only in what is easily overlooked: {in_words(twins)}."
            warnings.warn(f"{text} If they are one class, give it one spelling.", stacklevel=2)
        return cls(pixels, np.array(labels), np.array(names))

    @property
    def classes(self) -> np.ndarray:
        """The labels, each once: numbers in their order, names alphabetically."""
        return np.unique(self.labels)

    @property
    def rarest(self) -> str:
        """The class whose pictures are of the fewest groups, in words."""
        groups = {label: len(set(self.groups[self.labels == label])) for label in self.classes}
        return f"class {min(groups, key=lambda label: groups[label])}"

    def indices(self, classes: np.ndarray) -> np.ndarray:
        """Positions of the labels among `classes`, int64 (n,).

        Raises:
            PicturesError: a label is none of them.
        """
        if others := set(self.labels.tolist()) - set(classes.tolist()):
            raise PicturesError(
                f"Labels must be of the training images' classes, {some_of(map(str, classes))}; "
                f"got {some_of(map(str, sorted(others)))} as well."
            )
        return np.searchsorted(classes, self.labels).astype(np.int64)

    def as_images(self) -> LabelledImages:
        """As the trainer and the probes take them.

        Raises:
            PicturesError: they are of a single class.
        """
        classes = self.classes
        if len(classes) < 2:
            raise PicturesError(
                f"The pictures must be of two classes at least; got one class, {classes[0]}."
            )
        numbers = np.unique(self.groups, return_inverse=True)[1].reshape(-1)
        return LabelledImages(self.pixels, self.indices(classes), len(classes), numbers)
