"""How much is told by images that come in groups: crops of one picture, shots of one part.

Images of a group tend to be right or wrong together, so a mean over them is less sure than one
over as many images of different groups. Its interval is that of fewer images, in number the
effective sample size (Kish 1965, "Survey Sampling"; for shares Korn and Graubard 1998,
"Confidence intervals for proportions with small expected number of positive counts estimated from
survey data"). Where every image is a group of its own nothing changes.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, sem
from scipy.stats import t as student_t


def shared_groups(groups: NDArray[np.integer] | None, n_images: int) -> NDArray[np.integer] | None:
    """The groups, if any image shares its own with another; else None.

    Args:
        groups: `(images,)`, number of the group of each; None where each is its own.
        n_images: How many there must be.

    Raises:
        ValueError: They are not those of the images.
    """
    if groups is None:
        return None
    if groups.shape != (n_images,):
        raise ValueError(f"groups must have a number per image, {n_images}; got {groups.shape}.")
    return groups if len(np.unique(groups)) < n_images else None


def effective_size(
    values: NDArray[np.floating] | NDArray[np.bool_],
    groups: NDArray[np.integer] | None,
    unseen: tuple[float, float] = (0.0, 1.0),
    weights: NDArray[np.float64] | None = None,
) -> float:
    """How many images of different groups would give as wide a 95% interval of the mean.

    The variance of the mean with groups over that without, half a group of mean size that nobody
    has seen at either extreme among them, so that there is one where all images agree. Few groups
    say little about it: it grows as the quantile of Student's t does over the normal one, with the
    degrees of freedom of as many equal groups. No group counts as less than one image.

    Args:
        values: `(images,)`.
        groups: `(images,)`, number of the group of each; None where each is its own.
        unseen: The lowest and highest value that an image can have.
        weights: `(images,)`, above 0; None is 1 for each.

    Returns:
        From the number of groups, where these are of one size, to the sum of the weights.
    """
    weights = np.ones(len(values)) if weights is None else weights
    total = float(weights.sum())
    if groups is None:
        return total
    _, number = np.unique(groups, return_inverse=True)
    sizes = np.bincount(number, weights).astype(np.float64)
    typical, extremes = sizes.mean(), np.array(unseen)
    everything = total + typical
    mean = (weights @ values + typical * extremes.mean()) / everything
    beyond = np.mean((extremes - mean) ** 2)
    alone = weights @ (values - mean) ** 2 + typical * beyond
    deviations = np.bincount(number, weights * (values - mean))
    together = deviations @ deviations + typical**2 * beyond
    equal_groups = everything**2 / (sizes @ sizes + typical**2)
    freedom = equal_groups - 1
    unsure = (student_t.ppf(0.975, freedom) / norm.ppf(0.975)) ** 2 * equal_groups / freedom
    return float(np.clip(total * alone / (together * unsure), effective_groups(sizes), total))


def effective_groups(sizes: NDArray[np.floating]) -> float:
    """How many groups of one size weigh as evenly as groups of these sizes (Kish 1965)."""
    return float(sizes.sum() ** 2 / (sizes @ sizes))


def standard_error(values: NDArray[np.floating], groups: NDArray[np.integer] | None) -> float:
    """Standard error of the mean; with groups the cluster-robust one (Liang and Zeger 1986).

    Args:
        values: `(images,)`.
        groups: `(images,)`, number of the group of each; None where each is its own.

    Returns:
        Not a number with a single image or group.
    """
    groups = shared_groups(groups, len(values))
    if groups is None:
        return float(sem(values)) if len(values) > 1 else float("nan")
    _, number = np.unique(groups, return_inverse=True)
    sums = np.bincount(number, values - values.mean())
    if len(sums) == 1:
        return float("nan")
    return float(np.sqrt(len(sums) / (len(sums) - 1) * (sums @ sums))) / len(values)


def design_effect(values: NDArray[np.float64], groups: NDArray[np.integer]) -> float:
    """How many times the variance of the mean is that of as many images of different groups.

    Kish (1965); as measured, for planning; at least 1, and 1 with a single group or without
    variance.

    Args:
        values: `(seeds, images)`.
        groups: `(images,)`, number of the group of each.
    """
    _, number = np.unique(groups, return_inverse=True)
    deviations = values.mean(axis=0) - values.mean()
    n_groups, alone = number.max() + 1, np.sum(deviations**2)
    if n_groups == 1 or alone == 0:
        return 1.0
    together = np.sum(np.bincount(number, deviations) ** 2) * n_groups / (n_groups - 1)
    n_images = len(deviations)
    return max(1.0, float(together / (alone * n_images / (n_images - 1))))
