"""What a head reads of feature maps: how they are averaged over positions, and over views.

The mean over height and width tells how much of a feature an image has; the standard deviation
beside it, how unevenly it is spread: a small defect moves it and hardly moves the mean (statistics
pooling, Snyder et al. 2018, "X-vectors", who do so over time). A view is the image as it is, turned
or mirrored; the moments of several are averaged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

MEAN, SPREAD = "mean", "mean_std"
AS_IT_IS, FLIP, TURNS = "none", "flip", "turns"
# Beside the mean square a variance of less is rounding, and the slope of a root at 0 has no end.
LEAST_SHARE, LEAST = 1e-4, 1e-12


@dataclass(frozen=True)
class View:
    """What is done to square images, or to maps of them, (batch, side, side, channels).

    Attributes:
        words: for people; empty where nothing is done.
        transposed: whether rows become columns, before all else.
        upside_down: whether the first row becomes the last.
        mirrored: whether left becomes right.
    """

    words: str = ""
    transposed: bool = False
    upside_down: bool = False
    mirrored: bool = False

    def of(self, images: Any) -> Any:
        """Images in this view; tensors or arrays."""
        return self._flipped(_transposed(images) if self.transposed else images)

    def back(self, maps: Any) -> Any:
        """Maps of such images, as the image itself lies."""
        flipped = self._flipped(maps)
        return _transposed(flipped) if self.transposed else flipped

    def _flipped(self, images: Any) -> Any:
        axes = ((1, self.upside_down), (2, self.mirrored))
        for axis in (axis for axis, asked in axes if asked):
            images = keras.ops.flip(images, axis=axis)
        return images


STRAIGHT, MIRRORED = View(), View("mirrored", mirrored=True)
# The views that are averaged, by what stands for them in configurations and tables.
VIEWS: Mapping[str, tuple[View, ...]] = {
    AS_IT_IS: (STRAIGHT,),
    FLIP: (STRAIGHT, MIRRORED),
    TURNS: (
        STRAIGHT,
        MIRRORED,
        View("upside down", upside_down=True),
        View("turned by 180 degrees", upside_down=True, mirrored=True),
        View("transposed", transposed=True),
        View("turned by 90 degrees", transposed=True, mirrored=True),
        View("turned by 270 degrees", transposed=True, upside_down=True),
        View("transposed and turned by 180 degrees", True, True, True),
    ),
}


@dataclass(frozen=True)
class Pooling:
    """How feature maps become features.

    Attributes:
        kind: `MEAN`, or `SPREAD` for the standard deviation beside it.
        views: that are averaged, a key of `VIEWS`.
    """

    kind: str = MEAN
    views: str = AS_IT_IS

    @classmethod
    def of(cls, kind: str | None, views: str | None) -> "Pooling":
        """As a run's row names it; a run of an earlier version names nothing."""
        return cls(kind or MEAN, views or AS_IT_IS)

    def width(self, channels: int) -> int:
        """Features of a map with so many channels."""
        return channels * (2 if self.kind == SPREAD else 1)

    def of_moments(self, views: Sequence[np.ndarray]) -> np.ndarray:
        """Features (k, width) from what is kept of each view: means, then means of squares."""
        moments = np.mean(views, axis=0, dtype=np.float32) if len(views) > 1 else views[0]
        mean, square = np.split(moments, 2, axis=1)
        if self.kind == MEAN:
            return np.ascontiguousarray(mean)
        return np.concatenate([mean, np.asarray(deviation(mean, square))], axis=1)

    @property
    def passes(self) -> int:
        """How often an image goes through the network."""
        return len(VIEWS[self.views])

    def layer(self, channels: int, name: str | None = None) -> keras.Layer:
        """From a map (batch, height, width, channels) to features (batch, width)."""
        if self.kind == MEAN:
            return keras.layers.GlobalAveragePooling2D(name=name)
        maps = keras.Input((None, None, channels))
        return keras.Model(maps, self.features([maps]), name=name)

    def features(self, views: Sequence[Any]) -> Any:
        """Of maps of each view, which lie as the image does, (batch, width)."""
        pool = keras.layers.GlobalAveragePooling2D()
        mean = pool(_average(views))
        if self.kind == MEAN:
            return mean
        square = pool(_average([keras.layers.Multiply()([maps, maps]) for maps in views]))
        return keras.layers.Concatenate()([mean, deviation(mean, square)])

    def network(self, model: keras.Model, outputs: Sequence[Any]) -> keras.Model:
        """From what a network takes to the features of several of its outputs, side by side."""
        images = model.input
        views = [list(outputs)]
        if self.passes > 1:
            whole = keras.Model(images, list(outputs))
            images = keras.Input(images.shape[1:])
            views = [
                [view.back(maps) for maps in keras.tree.flatten(whole(view.of(images)))]
                for view in VIEWS[self.views]
            ]
        pooled = [self.features(maps) for maps in zip(*views, strict=True)]
        features = keras.layers.Concatenate()(pooled) if len(pooled) > 1 else pooled[0]
        return keras.Model(images, features)


PLAIN = Pooling()


def deviation(mean: Any, square: Any) -> Any:
    """The standard deviation of what has this mean and this mean square; tensors or arrays."""
    return keras.ops.sqrt((1 + LEAST_SHARE) * square - mean * mean + LEAST)


def _transposed(images: Any) -> Any:
    return keras.ops.transpose(images, (0, 2, 1, 3))


def _average(tensors: Sequence[Any]) -> Any:
    return keras.layers.Average()(list(tensors)) if len(tensors) > 1 else tensors[0]
