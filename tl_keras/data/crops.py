"""Small gray pictures brought to the same frame, where one is a crop of the other.

The least-squares image registration of Lucas and Kanade 1981 ("An iterative image registration
technique"), with a shift and a scale for each axis, for many pairs at a time.
"""

import numpy as np

# Of the picture's side: crops of up to 6% are found.
LARGEST_CROP = 0.06
_STEPS = 6


def cut_like(pictures: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The part of each picture, a few percent smaller than it, that looks most like another one.

    Args:
        pictures: float32 (n, side, side).
        others: of the same shape; may differ in brightness and contrast.

    Returns:
        The parts, resized to (n, side, side).
    """
    count, side, _ = pictures.shape
    places = np.arange(side, dtype=np.float32) - (side - 1) / 2
    # shift and growth along y, then along x
    found = np.zeros((count, 4), np.float32)
    for _ in range(_STEPS):
        part = _part(pictures, found, places)
        down, across = np.gradient(part, axis=(1, 2))
        moves = [down, down * places[:, None], across, across * places, part, np.ones_like(part)]
        columns = np.stack(moves, axis=1).reshape(count, len(moves), -1)
        normal = (columns @ columns.swapaxes(1, 2)).astype(np.float64)
        wanted = (columns @ others.reshape(count, -1, 1)).astype(np.float64)
        # A picture without edges along an axis leaves its moves open.
        normal += 1e-4 * normal.diagonal(axis1=1, axis2=2)[:, None] * np.eye(len(moves)) + 1e-6 * (
            np.eye(len(moves))
        )
        step = np.linalg.solve(normal, wanted)[..., 0]
        contrast = np.maximum(step[:, 4:5], 0.5)
        found += (step[:, :4] / contrast).astype(np.float32)
        found[:, 1::2] = np.clip(found[:, 1::2], -LARGEST_CROP, 0)
        room = -found[:, 1::2] * (side - 1) / 2 + 0.5
        found[:, ::2] = np.clip(found[:, ::2], -room, room)
    return _part(pictures, found, places)


def _part(pictures: np.ndarray, found: np.ndarray, places: np.ndarray) -> np.ndarray:
    rows = _interpolation(found[:, 0], found[:, 1], places)
    columns = _interpolation(found[:, 2], found[:, 3], places)
    return np.asarray(rows @ pictures @ columns.swapaxes(1, 2))


def _interpolation(shift: np.ndarray, growth: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Weights of linear interpolation between the rows of a picture, (n, side, side)."""
    last = len(places) - 1
    at = np.clip(last / 2 + shift[:, None] + (1 + growth[:, None]) * places, 0, last)
    weights = 1 - np.abs(at[:, :, None] - np.arange(last + 1))
    return np.maximum(weights, 0).astype(np.float32)
