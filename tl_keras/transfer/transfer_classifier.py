"""A classifier of pictures with scikit-learn's conventions."""

import os
from collections.abc import Mapping
from typing import Any, Self

import keras
import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import assert_all_finite, check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from tl_keras.config.schema import ResizeMode
from tl_keras.data.given_pictures import given_pixels, resized
from tl_keras.errors import ConfigError
from tl_keras.keras_settings import needed_keras
from tl_keras.models.backbone import Backbone, Depth
from tl_keras.models.plain_classifier import plain_classifier
from tl_keras.models.pretrained import GivenScaling, load_given
from tl_keras.models.sources.source_card import SourceCard
from tl_keras.strategy_table import FINE_TUNING, HEAD_ONLY, PROBING
from tl_keras.transfer.advice import advise
from tl_keras.transfer.features import FeatureBank
from tl_keras.transfer.labelled_pictures import LabelledPictures
from tl_keras.transfer.measurements import measure
from tl_keras.transfer.probes import LinearProbes, probe_classifier
from tl_keras.transfer.representation import Candidates
from tl_keras.transfer.seeds import seeds_kept
from tl_keras.transfer.similarity import input_moments
from tl_keras.transfer.two_phase import fit_two_phase

ADVISED = "advise"
CHOICES = (ADVISED, PROBING, HEAD_ONLY, FINE_TUNING)
PREDICTION_BATCH = 64


class TransferClassifier(ClassifierMixin, BaseEstimator):
    """A pretrained network fitted to pictures of one's own.

    Takes pictures of any size as (n, height, width, 3) or gray arrays or as a list, 0..255, with
    (n,) numbers or names.

    Attributes:
        classes_: the labels, sorted.
        model_: a plain Keras model from images, 0..255 (batch, size, size, 3), to probabilities.
        strategy_: what was trained.
        history_: a row per epoch of two-phase training; None of linear probes, which have none.
    """

    def __init__(
        self,
        backbone: str | keras.Model = "MobileNetV2",
        *,
        weights: str | os.PathLike[str] | None = "imagenet",
        alpha: float | None = None,
        scaling: GivenScaling = None,
        image_size: int = 160,
        resize: ResizeMode = "stretch",
        strategy: str = ADVISED,
        cut: str = "top",
        unfrozen_blocks: Depth = 2,
        validation_split: float = 0.2,
        training: Mapping[str, Any] | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        """Keep the parameters; nothing is loaded before `fit`.

        Args:
            backbone: name of a network, as of `load_backbone`, or a Keras model.
            weights: of it; see `load_backbone`.
            alpha: width multiplier; None is 1.0.
            scaling: of a network of one's own; see `load_backbone`.
            image_size: height and width that pictures are resized to, pixels.
            resize: how pictures that are not square get there: "stretch", "pad" or "crop".
            strategy: "advise" measures the training pictures and takes what it advises;
                "linear_probe" fits logistic regressions on the blocks that cross-validation
                chooses, "feature_extraction" a head on the frozen network, and "fine_tuning" trains
                blocks with it.
            cut: the block after which the network ends; "top" is the last. Advice chooses its own.
            unfrozen_blocks: of fine-tuning; advice chooses its own.
            validation_split: share of the training pictures that chooses the epochs; linear probes
                need none.
            training: further settings of `fit_two_phase`, such as `{"epochs": (50, 10)}`.
            random_state: of everything random.
        """
        self.backbone = backbone
        self.weights = weights
        self.alpha = alpha
        self.scaling = scaling
        self.image_size = image_size
        self.resize = resize
        self.strategy = strategy
        self.cut = cut
        self.unfrozen_blocks = unfrozen_blocks
        self.validation_split = validation_split
        self.training = training
        self.random_state = random_state

    @needed_keras()
    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:  # noqa: N803
        """Train on pictures and their labels.

        Args:
            X: n pictures.
            y: (n,) numbers or names.
            groups: (n,); pictures of one group stay on one side of every division.

        Raises:
            PicturesError: the pictures are not as they must be.
            ConfigError: a parameter is not valid.
            WeightsError: the weights cannot be had or do not fit.
        """
        if self.strategy not in CHOICES:
            raise ConfigError(
                f"strategy must be one of {', '.join(CHOICES)}; got {self.strategy!r}."
            )
        y = column_or_1d(y, warn=True)
        assert_all_finite(y, input_name="y")
        check_classification_targets(y)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        pictures = LabelledPictures.of(X, y, groups, self.image_size, self.resize)
        self.classes_ = np.unique(y)
        with seeds_kept():
            self.strategy_, self.model_, self.history_ = self._fitted(pictures, seed)
        return self

    @needed_keras()
    def predict_proba(self, X: Any) -> np.ndarray:  # noqa: N803
        """Probabilities of the classes, float32 (n, classes), in the order of `classes_`.

        Raises:
            PicturesError: `X` is not as it must be.
        """
        check_is_fitted(self)
        pixels = resized(given_pixels(X), self.image_size, self.resize)
        # `predict` of Keras traces every model anew, and TensorFlow warns of that in a grid of them
        parts = np.array_split(pixels, max(1, -(-len(pixels) // PREDICTION_BATCH)))
        # Keras 3.10 gives a model that was stored a list of one input
        answers = [
            self.model_(
                keras.tree.pack_sequence_as(self.model_.input, [part.astype(np.float32)]),
                training=False,
            )
            for part in parts
        ]
        return np.concatenate([np.asarray(answer) for answer in answers])

    def predict(self, X: Any) -> np.ndarray:  # noqa: N803
        """The likeliest class of each picture, (n,).

        Raises:
            PicturesError: `X` is not as it must be.
        """
        likeliest = self.predict_proba(X).argmax(axis=1)
        return np.asarray(self.classes_[likeliest])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.three_d_array = False, True
        return tags

    def _fitted(
        self, pictures: LabelledPictures, seed: int
    ) -> tuple[str, keras.Model, pd.DataFrame | None]:
        """What was trained, the model, and its history."""
        images, rows = pictures.as_images(), np.arange(len(pictures.labels))
        backbone, card = self._source(seed)
        strategy, cut, depths = self.strategy, self.cut, [self.unfrozen_blocks]
        probes: LinearProbes | None = None
        if strategy == ADVISED:
            bank = FeatureBank(backbone, images.pixels)
            # before the probes, for one pass gives what both read
            input_moments(bank, rows)
            probes = LinearProbes(bank, images, pictures.groups, rows, Candidates())
            advice = advise(measure(bank, card, images, probes, rows))
            strategy, cut = advice.strategy, advice.cut
            depths = list(dict.fromkeys(advice.unfrozen_blocks))
        if cut != "top":
            backbone = backbone.cut_after(cut)
        if strategy == PROBING:
            if probes is None:
                bank = FeatureBank(backbone, images.pixels)
                probes = LinearProbes(bank, images, pictures.groups, rows, Candidates())
            return strategy, _probed(backbone, probes, images.classes, rows, seed), None
        if strategy == HEAD_ONLY:
            depths = [0]
        trained = [self._trained(backbone, pictures, depth, seed) for depth in depths]
        model, history = min(trained, key=lambda found: _loss_kept(found[1]))
        return strategy, model, history

    def _source(self, seed: int) -> tuple[Backbone, SourceCard | None]:
        # for random source weights
        keras.utils.set_random_seed(seed)
        return load_given(
            self.backbone,
            weights=self.weights,
            image_size=self.image_size,
            alpha=self.alpha,
            scaling=self.scaling,
        )

    def _trained(
        self, backbone: Backbone, pictures: LabelledPictures, depth: Depth, seed: int
    ) -> tuple[keras.Model, pd.DataFrame]:
        return fit_two_phase(
            backbone,
            pictures.pixels,
            pictures.labels,
            groups=pictures.groups,
            validation_split=self.validation_split,
            unfrozen_blocks=depth,
            seed=seed,
            **(self.training or {}),
        )


def _loss_kept(history: pd.DataFrame) -> float:
    return float(history.loc[history["kept"], "validation_loss"].mean())


def _probed(
    backbone: Backbone, probes: LinearProbes, classes: int, rows: np.ndarray, seed: int
) -> keras.Model:
    fitted = probes.fit(rows, seed, backbone.block_names[-1])
    head, pooling = (fitted.probe.kernel, fitted.probe.bias), fitted.representation.pooling
    return plain_classifier(probe_classifier(backbone, fitted.blocks, classes, head, pooling))
