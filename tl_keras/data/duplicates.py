"""Copies among pictures: exact ones, and those encoded, resized, lit, turned or cropped anew.

All pairs are compared. Near copies are looked for in four steps, each of which sees what the one
before it left:

1. The perceptual hash (Zauner 2010, "Implementation and benchmarking of perceptual image hash
   functions"): the signs of the 63 lowest coefficients of the discrete cosine transform. Turned
   and mirrored pictures have the same coefficients with other signs and with the axes exchanged.
2. The correlation of the pictures, and that of their details: of the coefficients times their
   frequency, which says more where all pictures have the same light and shade.
3. The same of a part of each, a few percent smaller, that fits the other best.

The mean picture of the set is taken out of all comparisons: what pictures of one camera have in
common makes no copies of them. `benchmarks/duplicates.py` measures what is found.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.fft import dctn
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from tl_keras.data.crops import cut_like
from tl_keras.data.fingerprints import THUMBNAIL, Fingerprint

# Side of the pictures that are correlated: details beyond are lost when a file is encoded anew.
SIDE = 32
HASH_SIDE = 8
# Of 63 bits.
MOST_BITS = 12
# Either one makes a copy; below the third, cropping is not tried.
CORRELATION, DETAIL, WORTH_CROPPING = 0.99, 0.98, 0.85
# Frequencies beyond, in half periods per picture, are noise in small files.
_HIGHEST_DETAIL = 0.6 * SIDE
# A mean of fewer pictures is one of them.
_LEAST_FOR_MEAN = 10
_ROWS, _PAIRS = 1024, 2048

# How the second picture of a pair was turned, by number: 1 upside down, 2 mirrored, 4 axes
# exchanged first.
CHANGES = (
    "",
    "mirrored",
    "mirrored",
    "turned by 180 degrees",
    "mirrored and turned",
    "turned by 90 degrees",
    "turned by 90 degrees",
    "mirrored and turned",
)
_NO_PAIRS = pd.DataFrame(
    {
        "first": np.empty(0, np.int64),
        "second": np.empty(0, np.int64),
        "kind": np.empty(0, object),
        "change": np.empty(0, object),
        "correlation": np.empty(0),
    }
)
PAIR_COLUMNS = ["first", "second", "kind", "change", "correlation"]


def find_pairs(fingerprints: list[Fingerprint]) -> pd.DataFrame:
    """Pairs of copies, as many as it takes to connect all copies of a picture.

    Args:
        fingerprints: of n pictures.

    Returns:
        first, second (positions below n, first < second), kind ("exact": the same pixels; "near"),
        change ("", "mirrored", "turned by 90 degrees", ..., "cropped"), correlation (0..1).
    """
    digests = np.array([one.digest for one in fingerprints], "S32")
    _, firsts, number = np.unique(digests, return_index=True, return_inverse=True)
    same_as = firsts[number.reshape(-1)]
    copies = np.flatnonzero(same_as != np.arange(len(digests)))
    exact = pd.DataFrame({"first": same_as[copies], "second": copies}).assign(
        kind="exact", change="", correlation=1.0
    )
    different = np.sort(firsts)
    thumbnails = np.zeros((len(different), THUMBNAIL, THUMBNAIL), np.uint8)
    for place, position in enumerate(different):
        thumbnails[place] = fingerprints[position].thumbnail
    near = _Search(thumbnails).pairs() if len(different) > 1 else _NO_PAIRS
    near = near.assign(first=different[near["first"]], second=different[near["second"]])
    found = pd.concat([exact, near] if len(near) else [exact], ignore_index=True)
    return found[PAIR_COLUMNS].sort_values(["first", "second"], ignore_index=True)


def connected(firsts: np.ndarray, seconds: np.ndarray, count: int) -> np.ndarray:
    """Number the groups of `count` things that pairs connect, int (count,)."""
    pairs = coo_array((np.ones(len(firsts), bool), (firsts, seconds)), shape=(count, count))
    return np.asarray(connected_components(pairs, directed=False)[1])


@dataclass(frozen=True)
class _Turn:
    """Pictures compared after one of eight turns of the second one."""

    number: int
    signs: np.ndarray
    signs_turned: np.ndarray
    common: np.ndarray
    common_detail: np.ndarray


class _Search:
    """Near copies among different pictures."""

    def __init__(self, thumbnails: np.ndarray) -> None:
        self._thumbnails = thumbnails
        self._spectra = _spectra(thumbnails)
        frequency = np.hypot(*np.indices((SIDE, SIDE)))
        self._detail = np.where(frequency < _HIGHEST_DETAIL, frequency, 0).astype(np.float32)
        mean = self._spectra.mean(axis=0)
        self._mean = mean if len(thumbnails) >= _LEAST_FOR_MEAN else np.zeros_like(mean)
        self._group = np.arange(len(thumbnails))
        self._found: list[pd.DataFrame] = []

    def pairs(self) -> pd.DataFrame:
        for number in range(len(CHANGES)):
            turn = self._turn(number)
            for firsts, seconds in _candidates(turn):
                for start in range(0, len(firsts), _PAIRS):
                    part = slice(start, start + _PAIRS)
                    self._compare(turn, firsts[part], seconds[part])
        found = pd.concat(self._found, ignore_index=True) if self._found else _NO_PAIRS
        return found.assign(kind="near")

    def _turn(self, number: int) -> _Turn:
        means = np.stack([self._mean, _turned(self._mean, number)])
        low = self._spectra[:, :HASH_SIDE, :HASH_SIDE]
        common_low = _directions(means[:, :HASH_SIDE, :HASH_SIDE])
        signs = _signs(_without(_flat(low), common_low))
        signs_turned = _signs(_without(_flat(_turned(low, number)), common_low))
        return _Turn(
            number, signs, signs_turned, _directions(means), _directions(means * self._detail)
        )

    def _compare(self, turn: _Turn, firsts: np.ndarray, seconds: np.ndarray) -> None:
        new = self._group[firsts] != self._group[seconds]
        firsts, seconds = firsts[new], seconds[new]
        if not len(firsts):
            return
        first, second = self._spectra[firsts], _turned(self._spectra[seconds], turn.number)
        correlation, detail = self._correlations(turn, first, second)
        same = (correlation >= CORRELATION) | (detail >= DETAIL)
        self._add(firsts[same], seconds[same], CHANGES[turn.number], correlation[same])
        rest = ~same & (correlation >= WORTH_CROPPING)
        rest[rest] = self._group[firsts[rest]] != self._group[seconds[rest]]
        if rest.any():
            self._compare_parts(turn, firsts[rest], seconds[rest])

    def _compare_parts(self, turn: _Turn, firsts: np.ndarray, seconds: np.ndarray) -> None:
        first = self._thumbnails[firsts].astype(np.float32)
        second = _turned_pixels(self._thumbnails[seconds].astype(np.float32), turn.number)
        best = np.zeros(len(firsts), np.float32)
        same = np.zeros(len(firsts), bool)
        for whole, part in ((first, second), (second, first)):
            fitted = cut_like(whole, part)
            correlation, detail = self._correlations(turn, _spectra(fitted), _spectra(part))
            same |= (correlation >= CORRELATION) | (detail >= DETAIL)
            best = np.maximum(best, correlation)
        words = " and ".join(filter(None, ("cropped", CHANGES[turn.number])))
        self._add(firsts[same], seconds[same], words, best[same])

    def _correlations(
        self, turn: _Turn, first: np.ndarray, second: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        return (
            _cosine(_without(_flat(first), turn.common), _without(_flat(second), turn.common)),
            _cosine(
                _without(_flat(first * self._detail), turn.common_detail),
                _without(_flat(second * self._detail), turn.common_detail),
            ),
        )

    def _add(
        self, firsts: np.ndarray, seconds: np.ndarray, change: str, correlation: np.ndarray
    ) -> None:
        if not len(firsts):
            return
        pairs = pd.DataFrame({"first": firsts, "second": seconds})
        pairs = pd.DataFrame(np.sort(pairs, axis=1), columns=["first", "second"])
        self._found.append(pairs.assign(change=change, correlation=correlation.astype(float)))
        links = connected(self._group[firsts], self._group[seconds], len(self._group))
        self._group = links[self._group]


def _candidates(turn: _Turn) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs whose hashes differ in few bits, some rows of all at a time."""
    bits = HASH_SIDE**2 - 1
    for start in range(0, len(turn.signs), _ROWS):
        alike = turn.signs[start : start + _ROWS] @ turn.signs_turned[start:].T
        rows, columns = np.nonzero(alike >= bits - 2 * MOST_BITS)
        later = columns > rows
        yield start + rows[later], start + columns[later]


def _spectra(thumbnails: np.ndarray) -> np.ndarray:
    """Coefficients of the cosine transform, float32 (n, SIDE, SIDE), without the mean gray."""
    count, side, _ = thumbnails.shape
    step = side // SIDE
    small = thumbnails.reshape(count, SIDE, step, SIDE, step).mean(axis=(2, 4), dtype=np.float32)
    spectra = dctn(small, axes=(1, 2), norm="ortho").astype(np.float32)
    spectra[:, 0, 0] = 0
    return spectra


def _turned(spectra: np.ndarray, number: int) -> np.ndarray:
    """The spectra of turned pictures."""
    odd = np.where(np.arange(spectra.shape[-1]) % 2, -1, 1).astype(np.float32)
    turned = spectra.swapaxes(-1, -2) if number & 4 else spectra
    turned = turned * odd[:, None] if number & 1 else turned
    return turned * odd if number & 2 else turned


def _turned_pixels(pictures: np.ndarray, number: int) -> np.ndarray:
    turned = pictures.swapaxes(-1, -2) if number & 4 else pictures
    turned = turned[..., ::-1, :] if number & 1 else turned
    return np.ascontiguousarray(turned[..., ::-1] if number & 2 else turned)


def _flat(spectra: np.ndarray) -> np.ndarray:
    return spectra.reshape(len(spectra), -1)


def _directions(means: np.ndarray) -> np.ndarray:
    """Orthonormal rows that span the given ones, (k, coefficients)."""
    _, lengths, rows = np.linalg.svd(_flat(means), full_matrices=False)
    return rows[lengths > 1e-3 * max(lengths[0], 1e-6)].astype(np.float32)


def _without(values: np.ndarray, directions: np.ndarray) -> np.ndarray:
    return np.asarray(values - (values @ directions.T) @ directions)


def _signs(values: np.ndarray) -> np.ndarray:
    """+1 and -1, float32; the first coefficient, the mean gray, is left out."""
    return np.where(values[:, 1:] > 0, 1, -1).astype(np.float32)


def _cosine(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return np.asarray((first * second).sum(axis=1) / np.maximum(lengths, 1e-6))
